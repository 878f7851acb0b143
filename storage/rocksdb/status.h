// What RocksDB says, in the words of this project.

#ifndef HOLDFAST_STORAGE_ROCKSDB_STATUS_H_
#define HOLDFAST_STORAGE_ROCKSDB_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "rocksdb/status.h"

namespace holdfast::storage {

absl::Status FromRocksDb(const rocksdb::Status& status);

// Whether another process, or another store of this one, has the lock.
bool IsLocked(const rocksdb::Status& status);

// The same with the directory named.
absl::Status InDirectory(const std::string& data_dir, const absl::Status& status);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_STATUS_H_
