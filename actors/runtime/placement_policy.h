// Which objects have a column family of their own.
//
// While there are families for all, each object that is written gets one; the others are packed into one family. Once
// there are none left, an object that is large, or was written often since it was loaded, gets the family of one that
// is small and not in memory, which is packed for it. This class decides and has families made and dropped; the objects
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
#include "storage/node/families.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::actors {

class Activation;

class PlacementPolicy {
 public:
  // What it decides with. The pointers outlive it.
  struct Services {
    Executor* executor;
    storage::Store* store;
    storage::Families* families;
    storage::Background* family_changes;  // one thread
    // Returns the activation of an object; null if the object is not in memory.
    absl::AnyInvocable<Activation*(const storage::ObjectKey& key)> find;
    // Brings an object into memory to be moved; null if no class of this server is its class.
    absl::AnyInvocable<Activation*(const storage::ObjectKey& key)> bring;
  };
  enum class MoveEnd {
    kDone,      // the object is where it was to go
    kFailed,    // the object is where it was
    kTooLarge,  // the same, since it was to be packed and has too many bytes
  };

  explicit PlacementPolicy(Services services) : services_(std::move(services)) {}
  PlacementPolicy(const PlacementPolicy&) = delete;
  PlacementPolicy& operator=(const PlacementPolicy&) = delete;

  // Before the first turn: the object has a family of its own.
  void Add(const storage::ObjectKey& key) { placed_.push_back(key); }
  // No object gets a family any more.
  void Stop();
  // Returns whether no family is being made or dropped.
  bool idle() const { return changes_under_way_ == 0; }

  // The object has written. Gives it a family if it is packed and there is room or it deserves that of another.
  void Consider(Activation* activation);
  // A move has ended, and the object is packed or not. `left` is the family that the object had, if it had one and the
  // move is done.
  void Moved(const storage::ObjectKey& key, bool packed, MoveEnd end, const std::optional<storage::Placement>& left);
  // Drops a family that no batch which is under way names.
  void Drop(const storage::Placement& placement);
  // Does the same for the family of an object that has ceased to exist by itself: at once, but no more than so many a
  // second. Each may come back and get a family again, and to make and drop one holds commits up. At a stop those that
  // are left wait for the next start, which drops them.
  void DropSoon(const storage::Placement& placement);

 private:
  // An object that is being packed so that another gets its family's room.
  struct Packing {
    storage::ObjectKey object;
    storage::ObjectKey room_for;
    std::optional<storage::Placement> left;  // once it is packed
  };

  // Has a family made for the object, for which room is reserved.
  void Give(Activation* activation);
  // Packs an object that is small and not in memory, so that there is room for this one.
  void PackOneFor(const Activation* activation);
  void DropNext();

  Services services_;
  // The objects with a family, in the order in which they are looked at to be packed.
  std::deque<storage::ObjectKey> placed_;
  // Those of them whose packing came to nothing, by the time from which it is tried again.
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
