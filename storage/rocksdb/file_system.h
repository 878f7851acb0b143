// The file system under RocksDB: the operating system's, but for four things.
//
// It refuses to write RocksDB's OPTIONS files: RocksDB writes one with every family that it makes or drops, at a cost
// that grows with the number of families (220 ms at 1,000; 1.2 ms without), nothing here reads them, and RocksDB goes
// on without.
//
// The files are the group's if the data directory is (group_access.h).
//
// A write-ahead log ends for RocksDB where it is told to: before a commit that a crash has torn, which RocksDB would
// take for damage where pages of it are missing (rocksdb_wal_reader.h). The file itself stays as it is.
//
// For crash tests it can lose what is not synced. SIGKILL leaves the page cache whole, so a test that kills a process
// cannot tell a synced write from one that was only written. With `lose_unsynced`, appended bytes stay in the memory of
// the process until the file is synced, except that at random a part of them reaches the file, as a power failure may
// leave it (a torn record). A file that is read again after it was closed gets its bytes first. What is torn follows
// from the seed, and from the order in which RocksDB's threads write.

#ifndef HOLDFAST_STORAGE_ROCKSDB_FILE_SYSTEM_H_
#define HOLDFAST_STORAGE_ROCKSDB_FILE_SYSTEM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "rocksdb/env.h"

namespace holdfast::storage {

// Where files of the data directory end for who opens them to read them from the beginning, in bytes. Any thread.
class FileEnds {
 public:
  void Set(const std::string& path, uint64_t end) {
    std::lock_guard lock(mutex_);
    ends_[NameOf(path)] = end;
  }
  // Nothing: where the file ends.
  std::optional<uint64_t> Of(const std::string& path) const {
    std::lock_guard lock(mutex_);
    const auto found = ends_.find(NameOf(path));
    return found == ends_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  static std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

  mutable std::mutex mutex_;
  std::map<std::string, uint64_t> ends_;  // by name; guarded by mutex_
};

std::unique_ptr<rocksdb::Env> NewRocksDbEnv(std::optional<uint64_t> lose_unsynced_seed,
                                            std::shared_ptr<const FileEnds> ends);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_FILE_SYSTEM_H_
