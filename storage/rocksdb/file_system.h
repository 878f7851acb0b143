// The file system under RocksDB: the operating system's, with three differences.
//
// It refuses to write RocksDB's OPTIONS files: RocksDB writes one with every family that it makes or drops, at a cost
// that grows with the number of families (220 ms at 1,000; 1.2 ms without), nothing here reads them, and RocksDB goes
// on without.
//
// The group may use the files if it may write the data directory (storage/base/group_access.h).
//
// For crash tests it can lose unsynced bytes. SIGKILL leaves the page cache whole, so a test that kills a process
// cannot tell a synced write from one that was only written. With `lose_unsynced`, appended bytes stay in the memory of
// the process until the file is synced, except that at random a part of them reaches the file, as a power failure may
// leave it (a torn record). If a file is read after it was closed, its bytes are first written to it. The torn parts
// follow from the seed, and from the order in which RocksDB's threads write.

#ifndef HOLDFAST_STORAGE_ROCKSDB_FILE_SYSTEM_H_
#define HOLDFAST_STORAGE_ROCKSDB_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "rocksdb/env.h"

namespace holdfast::storage {

std::unique_ptr<rocksdb::Env> NewRocksDbEnv(std::optional<uint64_t> lose_unsynced_seed);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_FILE_SYSTEM_H_
