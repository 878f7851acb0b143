// Copies all objects of one store into another that has none: out of a data directory into a database, or back.
//
// Nobody else uses either store meanwhile. What is copied is what the objects are: their keys, the catalog, alarms, and
// request records. All objects are packed in the new store; a server that has families gives them out again. Headers
// that lag behind (storage/FORMAT.md) are settled, so that the new store needs no clocks of runs that were before.
//
// The copy is many commits, each of a bounded number of bytes. The first one puts a mark into the new store, and the
// last one removes it, after everything was read again from both and compared; while the mark is there, CheckMoved
// refuses the store to a server. A copy that was cut off is begun again, over what is there already. The mark has a
// fingerprint of the source, so that it is refused if the source was used in between.
//
// A packed family that has no order over its objects (storage/postgres) can't be walked over, so objects are found by
// the catalog there. What an object has left behind that does not exist any more, its remainder, is not found then and
// stays behind: a BatchProcessor which was empty numbers its items from 1 again.
//
// Blocking. One thread.

#ifndef HOLDFAST_STORAGE_NODE_MOVE_STORE_H_
#define HOLDFAST_STORAGE_NODE_MOVE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// The numbers of what was copied and compared.
struct Moved {
  uint64_t objects = 0;  // in the catalog
  uint64_t entries = 0;  // of all families
  uint64_t bytes = 0;    // of their keys and values
  uint64_t alarms = 0;
  uint64_t request_records = 0;
  // A sum over all entries of XXH3-128, the low half; the same on both sides.
  uint64_t checksum = 0;
};

struct MoveOptions {
  // A commit has about so many bytes, and one entry at least.
  size_t batch_bytes_max = 1 << 20;
  // The source's packed family has its objects in their order.
  bool packed_in_order = true;
  // Told of the progress after each commit. May be null.
  std::function<void(const Moved& so_far)> progress;
};

// Errors: FAILED_PRECONDITION if `to` has objects, `from` is itself an unfinished copy, or `from` was used since a copy
// into `to` began; DATA_LOSS if something in `from` can't be read, or the two are not equal in the end; those of the
// stores. After any error `to` has the mark, unless it was refused.
absl::StatusOr<Moved> MoveStore(Store* from, Store* to, const MoveOptions& options = {});

// FAILED_PRECONDITION if the store is an unfinished copy.
absl::Status CheckMoved(Store* store);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_MOVE_STORE_H_
