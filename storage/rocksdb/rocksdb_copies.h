// Copies of a store on RocksDB, by its BackupEngine: tables are shared between copies by their identity, write-ahead
// logs are copied, and every file has a checksum.

#ifndef HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_COPIES_H_
#define HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_COPIES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/store/store.h"
#include "storage/store/store_copies.h"

namespace holdfast::storage {

struct RocksDbCopiesOptions {
  // The directory of the copies, which is made if it is missing.
  std::string directory;
  // The store to copy, from OpenRocksDbStore, which outlives the copies. Null: the copies are only read, and nothing in
  // the directory is changed.
  Store* store = nullptr;
  // The most bytes that are written to the directory in a second; 0: no bound.
  uint64_t rate_bytes = 0;
  // Prepare flushes the store if its write-ahead logs have more than this, since every copy has them whole.
  uint64_t wal_bytes_max = 32 << 20;
};

absl::StatusOr<std::unique_ptr<StoreCopies>> OpenRocksDbCopies(const RocksDbCopiesOptions& options);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_COPIES_H_
