// A snapshot of one range of a keyspace, to be read later and elsewhere, however long that takes. Reads do not see
// later commits, not even one that deletes the object.
//
// It keeps files of the store on the disk as long as it lives, so its owner must bound its lifetime. It must not
// outlive the store. Threading: one thread at a time; a read may wait for the disk.

#ifndef HOLDFAST_STORAGE_STORE_FROZEN_RANGE_H_
#define HOLDFAST_STORAGE_STORE_FROZEN_RANGE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

class FrozenRange {
 public:
  // For View::Freeze(). `pending` is newer than the entries of the cursor.
  FrozenRange(WriteSet pending, std::unique_ptr<Cursor> cursor)
      : pending_(std::move(pending)), cursor_(std::move(cursor)) {}

  // Returns the value of a key; nothing if the key is absent. Keys must be asked for in ascending order. Errors:
  // DATA_LOSS if the store is damaged.
  absl::StatusOr<std::optional<std::string>> Get(absl::string_view key);

 private:
  WriteSet pending_;
  std::unique_ptr<Cursor> cursor_;
  bool begun_ = false;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_FROZEN_RANGE_H_
