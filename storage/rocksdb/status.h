// Turns the statuses of RocksDB into those of this project.

#ifndef HOLDFAST_STORAGE_ROCKSDB_STATUS_H_
#define HOLDFAST_STORAGE_ROCKSDB_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "rocksdb/status.h"

namespace holdfast::storage {

absl::Status FromRocksDb(const rocksdb::Status& status);

// Returns whether the status says that another process, or another store of this process, has the lock.
bool IsLocked(const rocksdb::Status& status);

// Returns the status with the directory named in its message.
absl::Status InDirectory(const std::string& data_dir, const absl::Status& status);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_STATUS_H_
