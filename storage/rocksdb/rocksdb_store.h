// The store on RocksDB. Only the files in storage/rocksdb/ know RocksDB.
//
// Durability: a commit ends when the write-ahead log is synced. None is refused: a data directory belongs to the
// process that has it open. A start recovers the log up to its end, or to the first damage, without a word: whoever
// must not lose commits keeps them in a log above (storage/fold/logged_store.h), which notices. After an error of a
// commit the write may or may not be on disk, and RocksDB refuses all later writes.
//
// Faults: a read of a corrupt block returns DATA_LOSS, and once a compaction meets the block, its family is compacted
// no more until the next start; everything else goes on. The same holds for a table that cannot be opened at all,
// unless it is one of the two that RocksDB opens at the start (storage/FORMAT.md, Damage). When only the reserve of the
// disk is left, DiskFull returns true, and commits still work.
//
// Threads: RocksDB's, and an upkeep thread that ten times a second looks at the free bytes of the disk, and stops the
// compactions of corrupt families.

#ifndef HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_STORE_H_
#define HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
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
  // If the write-ahead logs have more than this when the store closes, everything is flushed, so that the next start
  // has no more to read.
  uint64_t wal_bytes_kept = 32 << 20;
  // With less than this free the disk counts as full. 0: it never does, and a commit fails instead.
  uint64_t disk_reserve_bytes = 256 << 20;
  // The most table files that are kept open. Beyond it the least recently used file is closed, and opened again when it
  // is needed.
  int open_tables_max = 4096;
  // For tests: returns the free bytes of the disk. By default the file system's.
  FreeBytes free_bytes;
  // May be null.
  Observer* observer = nullptr;
  // A log above has the commits that a damaged end of the write-ahead log loses. Without it such damage is DATA_LOSS,
  // unless it looks like a commit that a crash has cut off; and a store that is there is flushed when it is opened.
  bool log_above = false;
  // For crash tests; see storage/rocksdb/file_system.h. Without `sync` the write-ahead log promises nothing.
  bool sync = true;
  // The seed from which the lost bytes follow; nothing is lost without it.
  std::optional<uint64_t> lose_unsynced_seed;
};

// Opens the store in `data_dir`, or makes it. Errors: UNAVAILABLE when another process has it open; FAILED_PRECONDITION
// when it has another format version or number of shards, or is a RocksDB that is no Holdfast store; DATA_LOSS, which
// names the file, when it is damaged; RESOURCE_EXHAUSTED when the disk is full. After an error
// the store is as it was before.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const RocksDbOptions& options);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_STORE_H_
