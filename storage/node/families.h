// Keeps track of the objects that have a column family of their own, and of the room for more families.
//
// RocksDB carries some hundreds to a few thousand families, so they are a bounded resource: an object that writes gets
// one while there is room, and is packed with the others when there is not. A family is named after its object, with a
// generation that no other family of this store has. A family counts only once the object's record in the catalog names
// its generation. Recover drops the families that a crash leaves over: made but not yet named, or no longer named. If
// the record is damaged, nobody knows whether the family is the object's or left over: it stays, and the object is to
// answer DATA_LOSS. An object without a family is packed or does not exist, whatever has become of its record.
//
// Any thread may call any method; the blocking ones never on an executor.

#ifndef HOLDFAST_STORAGE_NODE_FAMILIES_H_
#define HOLDFAST_STORAGE_NODE_FAMILIES_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/base/mutex.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::storage {

struct Placement {
  FamilyId family;
  uint64_t generation;
};

// Returns the location of a packed object.
Location PackedLocation(const ObjectKey& key);

// "holdfast-object:NAMESPACE/CLASS/NAME@GENERATION", with every byte that is not a letter, a digit, '.', '_' or '-'
// written as %XX, since RocksDB puts the name into its log as it is.
std::string FamilyName(const ObjectId& id, uint64_t generation);
bool ParseFamilyName(absl::string_view name, ObjectId* id, uint64_t* generation);

class Families {
 public:
  // `store` must outlive this.
  Families(Store* store, int families_max) : store_(store), families_max_(families_max) {}

  // Finds the families in use and drops the others. Blocking; called once, before anything else. Logs `catalog_damaged`
  // for each object whose place is not known. Errors: FAILED_PRECONDITION if the store has a family of an unknown kind;
  // those of the store except the DATA_LOSS of a record in the catalog.
  absl::Status Recover();

  // Returns DATA_LOSS for an object whose place is not known: nothing of it may be read or written.
  absl::Status CheckPlace(const ObjectKey& key) const;
  std::optional<Placement> Find(const ObjectKey& key) const;
  // Returns the objects that have a family, in the order of their ids, so that a simulation follows from its seed
  // alone.
  std::vector<ObjectKey> List() const;
  int count() const { return taken_.load(std::memory_order_relaxed); }

  // Returns whether Reserve would succeed now; cheap.
  bool has_room() const { return taken_.load(std::memory_order_relaxed) < families_max_; }
  // Takes the room for one family, and returns whether there was any. Create uses the room; CancelReservation gives it
  // back.
  bool Reserve();
  void CancelReservation();
  // Makes an empty family, which Find returns only after Adopt. Blocking. If the store cannot make the family, the room
  // is given back.
  absl::StatusOr<Placement> Create(const ObjectKey& key);
  void Adopt(const ObjectKey& key, const Placement& placement);
  // Find no longer returns the family; Drop must follow once no commit names it.
  void Abandon(const ObjectKey& key);
  // Drops the family. Blocking. Gives the room back, or with `keep_room` keeps it for the caller, as Reserve does.
  // After a failure the next Recover drops the family.
  absl::Status Drop(const Placement& placement, bool keep_room = false);

 private:
  Store* const store_;
  const int families_max_;
  std::atomic<int> taken_ = 0;  // written under mutex_, read without it

  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, Placement> by_key_ ABSL_GUARDED_BY(mutex_);
  // The objects whose place is not known; constant after Recover.
  absl::flat_hash_set<std::string> unknown_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_generation_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_FAMILIES_H_
