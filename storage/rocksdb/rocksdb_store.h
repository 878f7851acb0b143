// The store on RocksDB. Its .cc and the other rocksdb_* files are the only ones that know RocksDB.
//
// Durability: Commit returns when the write-ahead log is synced. The log is recovered with a torn tail cut off; one
// that is damaged, has a gap or falls short is refused (storage/rocksdb/wal_check.h). Errors of Commit: the write may
// or may not be on disk; RocksDB then refuses all later ones.
//
// Faults: a corrupt block is DATA_LOSS for who reads it, and ends the compaction of its family until the next start;
// all else goes on. So it is with a table that cannot be opened at all, unless it is one of the two that RocksDB opens
// at the start (storage/FORMAT.md, Damage). When only the reserve of the disk is left, DiskFull says so, and Commit
// still works.
//
// Threads: RocksDB's, and one that ten times a second looks how full the disk is and does what was left to do.

#ifndef HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_STORE_H_
#define HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/base/disk_space.h"
#include "storage/base/observer.h"
#include "storage/store/store.h"

namespace holdfast::storage {

struct RocksDbOptions {
  std::string data_dir;
  uint64_t block_cache_bytes = 256 << 20;
  uint64_t memtable_bytes = 256 << 20;
  uint64_t wal_bytes_max = 512 << 20;
  // At the end all is flushed if the write-ahead logs have more, so that the next start has no more to read.
  uint64_t wal_bytes_kept = 32 << 20;
  // With less than this free the disk is full; 0: it never is, until a commit fails.
  uint64_t disk_reserve_bytes = 256 << 20;
  // Table files that are kept open. Beyond it the least recently used is closed, and opened again when it is needed.
  int open_tables_max = 4096;
  // For tests: what is free. By default what the file system says.
  FreeBytes free_bytes;
  // May be null.
  Observer* observer = nullptr;
  // For crash tests; see storage/rocksdb/file_system.h. Without sync nothing is promised of the write-ahead logs, and
  // they are not checked.
  bool sync = true;
  bool lose_unsynced = false;
  // What is lost follows from it; 0: from HOLDFAST_TEST_SEED, or else from chance. It is logged.
  uint64_t lose_unsynced_seed = 0;
};

// Opens the store in `data_dir`, or makes it. Errors: UNAVAILABLE when another process has it open;
// FAILED_PRECONDITION when it has another format version or number of shards, or is a RocksDB of something else;
// DATA_LOSS, which names the file, when it or its write-ahead log is damaged; RESOURCE_EXHAUSTED when the disk is full.
// None of them changes what is there.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const RocksDbOptions& options);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_STORE_H_
