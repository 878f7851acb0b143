// Decides which objects have a column family of their own.
//
// While families are left, each object that is written gets one; the others are packed into one family. Once none is
// left, an object that is large, or was written often since it was loaded, gets the family of a small object that is
// not in memory: the small object is packed first. This class decides, and has families made and dropped; the objects
// themselves move (Activation::BeginMove).
//
// Threading: the executor; families are made and dropped on a background thread. Ownership: outlives the activations.

#ifndef HOLDFAST_ACTORS_RUNTIME_PLACEMENT_POLICY_H_
#define HOLDFAST_ACTORS_RUNTIME_PLACEMENT_POLICY_H_

#include <deque>
#include <map>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "actors/executor/executor.h"
#include "actors/object.h"
#include "storage/base/background.h"
#include "storage/base/observer.h"
#include "storage/node/families.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::actors {

class Activation;

class PlacementPolicy {
 public:
  // The services of the policy. The pointers outlive it.
  struct Services {
    Executor* executor;
    storage::Store* store;
    storage::Families* families;
    storage::Background* family_changes;    // one thread
    storage::Observer* observer = nullptr;  // may be null
    // Returns the activation of an object; null if the object is not in memory.
    absl::AnyInvocable<Activation*(const storage::ObjectKey& key)> find;
    // Brings an object into memory to be moved; null if no class of this server is its class.
    absl::AnyInvocable<Activation*(const storage::ObjectKey& key)> bring;
  };
  enum class MoveEnd {
    kDone,      // the object is at the new place
    kFailed,    // the object is at the old place
    kTooLarge,  // the object is at the old place: it has too many bytes to be packed
  };

  explicit PlacementPolicy(Services services) : services_(std::move(services)) {}
  PlacementPolicy(const PlacementPolicy&) = delete;
  PlacementPolicy& operator=(const PlacementPolicy&) = delete;

  // Adds an object that has a family of its own already. Call it before the first turn.
  void Add(const storage::ObjectKey& key) { placed_.push_back(key); }
  // From now on no object gets a family, and DropSoon() drops none.
  void Stop();
  // Returns whether no family is being made or dropped.
  bool idle() const { return changes_under_way_ == 0; }

  // Looks at a packed object that has written: gives it a family if there is room, or begins to pack a small object for
  // it if it is large or busy.
  void Consider(Activation* activation);
  // A move has ended, and the object is packed or not. `left` is the family that the object had, if it had one and the
  // move is done.
  void Moved(const storage::ObjectKey& key, bool packed, MoveEnd end, const std::optional<storage::Placement>& left);
  // Drops a family that no batch which is under way names.
  void Drop(const storage::Placement& placement);
  // Drops the family of an object that has ceased to exist by itself: soon, but at most one family per kDropStep. The
  // objects may come back and get families again, and making and dropping families holds commits up. The next start
  // drops the families that are left at a stop.
  void DropSoon(const storage::Placement& placement);

 private:
  // An object that is being packed so that another gets the room of its family.
  struct Packing {
    storage::ObjectKey object;
    storage::ObjectKey room_for;
    std::optional<storage::Placement> left;  // the family to drop, once the object is packed
  };

  // Has a family made for the object, for which room is reserved.
  void Give(Activation* activation);
  // Packs an object that is small and not in memory, so that there is room for this one.
  void PackOneFor(const Activation* activation);
  void DropNext();

  Services services_;
  // The objects with a family, in the order in which PackOneFor() looks at them.
  std::deque<storage::ObjectKey> placed_;
  // The objects with a family whose packing failed, by the steady time of the next try.
  std::multimap<absl::Time, storage::ObjectKey> not_packed_;
  std::optional<Packing> packing_;
  absl::Time packed_time_ = absl::InfinitePast();
  // Families to be dropped one after the other, no more than there are families; the timer runs after each.
  std::deque<storage::Placement> drop_soon_;
  std::optional<Executor::TimerId> drop_timer_;
  int changes_under_way_ = 0;
  bool stopped_ = false;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_PLACEMENT_POLICY_H_
