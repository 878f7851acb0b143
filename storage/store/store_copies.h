// Copies of a store in a directory, which share the files that they have in common: a copy takes the room and the time
// of what has changed since the one before.
//
// A copy is there as a whole or not at all, also after a crash; what a crash leaves of one is removed when the next
// copy is made. Each has a record, bytes of the caller, which come and go with it.
//
// Threading: one thread at a time; any thread may stop. Blocking. Errors: RESOURCE_EXHAUSTED if the disk is full;
// DATA_LOSS for a copy that is damaged, naming the file; UNAVAILABLE for other failures of the file system; CANCELLED
// after Stop.

#ifndef HOLDFAST_STORAGE_STORE_STORE_COPIES_H_
#define HOLDFAST_STORAGE_STORE_STORE_COPIES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/store/store.h"

namespace holdfast::storage {

class StoreCopies {
 public:
  struct Copy {
    uint32_t id = 0;
    uint64_t bytes = 0;
    std::string record;
  };
  struct Watch {
    // Called once, on any thread, when what the copy will hold is settled. A write to the store between the call of
    // Create and this may be in the copy in part.
    std::function<void()> settled;
    // Called on any thread as the copy grows, with its bytes so far.
    std::function<void(uint64_t)> grown;
  };

  virtual ~StoreCopies() = default;

  // Has the store write to its files what it keeps in memory, if that makes the next copy cheaper.
  virtual absl::Status Prepare() = 0;
  // Makes a copy, which is durable on return.
  virtual absl::StatusOr<Copy> Create(const std::string& record, const Watch& watch) = 0;
  // Reads the whole copy and compares it with the checksums from the time when it was made.
  virtual absl::Status Verify(uint32_t id) = 0;
  virtual absl::Status Delete(uint32_t id) = 0;
  // Returns the copies in the order in which they were made, without those whose record is damaged.
  virtual std::vector<Copy> List() = 0;
  // Writes the store of a copy to `data_dir`, where there is none.
  virtual absl::Status Restore(uint32_t id, const std::string& data_dir) = 0;
  // Opens the store of a copy where it is, to be read only: nothing is written, also not beside the copy. It has the
  // families of the node, and those of single objects that `wanted` takes; a family that it lacks is empty. Its memory
  // is that of the copy's write-ahead logs and a small cache. The copy must not be deleted while it is open.
  virtual absl::StatusOr<std::unique_ptr<Store>> OpenCopy(uint32_t id,
                                                          absl::FunctionRef<bool(absl::string_view name)> wanted) = 0;
  // Ends a Create that is under way, and all later ones. Any thread.
  virtual void Stop() = 0;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_STORE_COPIES_H_
