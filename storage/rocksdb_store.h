// The store on RocksDB. This file and rocksdb_file_system are the only ones that know RocksDB.
//
// Durability: Commit returns when the write-ahead log is synced. The log is recovered with a torn tail cut off; a
// record that fails its checksum before the tail is refused (RocksDB's default would open with half of the log). Not
// noticed yet: a damaged type or length of a record that makes the rest look like a torn tail, and a log file that is
// missing. Errors of Commit: the write may or may not be on disk; RocksDB then refuses all later ones.

#ifndef HOLDFAST_STORAGE_ROCKSDB_STORE_H_
#define HOLDFAST_STORAGE_ROCKSDB_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/store.h"

namespace holdfast::storage {

struct RocksDbOptions {
  std::string data_dir;
  uint64_t block_cache_bytes = 256 << 20;
  uint64_t memtable_bytes = 256 << 20;
  uint64_t wal_bytes_max = 512 << 20;
  // For crash tests; see storage/rocksdb_file_system.h.
  bool sync = true;
  bool lose_unsynced = false;
  // What is lost follows from it; 0: from HOLDFAST_TEST_SEED, or else from chance. It is logged.
  uint64_t lose_unsynced_seed = 0;
};

// Opens the store in `data_dir`, or makes it. Errors: UNAVAILABLE when another process has it open;
// FAILED_PRECONDITION when it has another format version or number of shards, or is a RocksDB of something else;
// DATA_LOSS when RocksDB finds it damaged. None of them changes what is there.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const RocksDbOptions& options);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_STORE_H_
