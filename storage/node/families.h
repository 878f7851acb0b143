// Which objects have a column family of their own, and whether there is room for one more.
//
// RocksDB carries some hundreds to a few thousand families, so they are a bounded resource: an object that writes gets
// one while there is room, and is packed with the others when there is not. A family is named after its object, with a
// generation that no other family of this store has. It counts only once the object's record in the catalog names that
// generation; what a crash leaves over, made but not yet named or no longer named, is dropped by Recover. Where the
// catalog is damaged nobody knows whether the family is the object's or left over: it stays, and the object is to
// answer DATA_LOSS. An object without a family is packed, or there is none, whatever has become of its record.
//
// Any thread may call any method; the blocking ones never on an executor.

#ifndef HOLDFAST_STORAGE_NODE_FAMILIES_H_
#define HOLDFAST_STORAGE_NODE_FAMILIES_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::storage {

struct Placement {
  FamilyId family;
  uint64_t generation;
};

// Where a packed object lies.
Location PackedLocation(const ObjectKey& key);

// "holdfast-object:NAMESPACE/CLASS/NAME@GENERATION", with every byte that is not a letter, a digit, '.', '_' or '-'
// written as %XX, since RocksDB puts the name into its log as it is.
std::string FamilyName(const ObjectId& id, uint64_t generation);
bool ParseFamilyName(absl::string_view name, ObjectId* id, uint64_t* generation);

class Families {
 public:
  // `store` must outlive this.
  Families(Store* store, int families_max) : store_(store), families_max_(families_max) {}

  // Blocking, once, before anything else: finds the families in use and drops the others. Logs `catalog_damaged` for
  // each object whose place is not known. Errors: those of the store but DATA_LOSS.
  absl::Status Recover();

  // DATA_LOSS for an object whose place is not known: nothing of it may be read or written.
  absl::Status CheckPlace(const ObjectKey& key) const;
  std::optional<Placement> Find(const ObjectKey& key) const;
  // The objects that have a family, in the order of their ids, so that a simulation is its seed.
  std::vector<ObjectKey> List() const;
  int count() const { return taken_.load(std::memory_order_relaxed); }

  // Whether Reserve would succeed now; cheap.
  bool has_room() const { return taken_.load(std::memory_order_relaxed) < families_max_; }
  // Takes the room for one family, if there is any. It is used by Create or given back by CancelReservation.
  bool Reserve();
  void CancelReservation();
  // Blocking. The family is empty, and found under `key` from now on only after Adopt.
  absl::StatusOr<Placement> Create(const ObjectKey& key);
  void Adopt(const ObjectKey& key, const Placement& placement);
  // Not found any more; Drop must follow once no commit names it.
  void Abandon(const ObjectKey& key);
  // Blocking. Gives the room back, or keeps it for the caller, as Reserve does. A failure leaves the family for the
  // next Recover.
  absl::Status Drop(const Placement& placement, bool keep_room = false);

 private:
  Store* const store_;
  const int families_max_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  absl::flat_hash_map<std::string, Placement> by_key_;
  absl::flat_hash_set<std::string> unknown_;  // the objects whose place is not known; constant after Recover
  uint64_t next_generation_ = 1;

  std::atomic<int> taken_ = 0;  // changed under mutex_
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_FAMILIES_H_
