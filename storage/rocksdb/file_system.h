// The file system under RocksDB: the operating system's, with four differences.
//
// It refuses to write RocksDB's OPTIONS files: RocksDB writes one with every family that it makes or drops, at a cost
// that grows with the number of families (220 ms at 1,000; 1.2 ms without), nothing here reads them, and RocksDB goes
// on without.
//
// The group may use the files if it may write the data directory (storage/base/group_access.h).
//
// For RocksDB a write-ahead log ends where FileEnds says: before a commit that a crash has torn, which RocksDB would
// take for damage if pages of it are missing (storage/rocksdb/wal_reader.h). The file itself stays as it is.
//
// For crash tests it can lose unsynced bytes. SIGKILL leaves the page cache whole, so a test that kills a process
// cannot tell a synced write from one that was only written. With `lose_unsynced`, appended bytes stay in the memory of
// the process until the file is synced, except that at random a part of them reaches the file, as a power failure may
// leave it (a torn record). If a file is read after it was closed, its bytes are first written to it. The torn parts
// follow from the seed, and from the order in which RocksDB's threads write.

#ifndef HOLDFAST_STORAGE_ROCKSDB_FILE_SYSTEM_H_
#define HOLDFAST_STORAGE_ROCKSDB_FILE_SYSTEM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "rocksdb/env.h"
#include "storage/base/mutex.h"

namespace holdfast::storage {

// The ends of files of the data directory, in bytes, as a sequential reader sees them. Any thread.
class FileEnds {
 public:
  void Set(const std::string& path, uint64_t end) {
    MutexLock lock(&mutex_);
    ends_[NameOf(path)] = end;
  }
  // Returns the end that was set; nothing if the reader sees the file's own end.
  std::optional<uint64_t> Of(const std::string& path) const {
    MutexLock lock(&mutex_);
    const auto found = ends_.find(NameOf(path));
    return found == ends_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  static std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

  mutable Mutex mutex_;
  std::map<std::string, uint64_t> ends_ ABSL_GUARDED_BY(mutex_);  // by name
};

std::unique_ptr<rocksdb::Env> NewRocksDbEnv(std::optional<uint64_t> lose_unsynced_seed,
                                            std::shared_ptr<const FileEnds> ends);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_FILE_SYSTEM_H_
