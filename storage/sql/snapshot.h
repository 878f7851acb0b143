// The database of an object as of one moment, read as a file of SQLite's. An export sends it.
//
// Threading: one thread at a time; ReadPages may wait for the disk. It must not outlive the store.

#ifndef HOLDFAST_STORAGE_SQL_SNAPSHOT_H_
#define HOLDFAST_STORAGE_SQL_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/object/keyspace.h"
#include "storage/object/object_storage.h"
#include "storage/object/operation.h"
#include "storage/store/frozen_range.h"

namespace holdfast::storage::sql {

class Snapshot {
 public:
  // Takes a snapshot, in a turn of the object. It is shared only because a result is copied.
  static StorageOp<std::shared_ptr<Snapshot>> Take(ObjectStorage* storage);

  Snapshot(FrozenRange range, uint32_t generation, uint32_t page_count)
      : range_(std::move(range)), generation_(generation), page_count_(page_count) {}

  bool at_end() const { return next_ > page_count_; }
  // Appends the next pages to the file, `pages` at most. DATA_LOSS if one is missing or damaged.
  absl::Status ReadPages(uint32_t pages, std::string* file);

 private:
  FrozenRange range_;
  const uint32_t generation_;
  const uint32_t page_count_;
  uint32_t next_ = 1;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_SNAPSHOT_H_
