// Reads one write-ahead log of RocksDB to find the numbers of its commits, damage, and the beginning of a commit that a
// crash has torn.
//
// A commit is synced before the next one is written, so a crash can tear only the last commit of a log, which nobody
// was told of. It leaves one of these:
//   - the log ends within it, and its last part would be whole with no other length;
//   - the log has its full length, but pages of 4 KiB that were not written are zeros: any of those over which the
//     commit reaches, in any order. A page that was there before keeps what it had, so in the page in which the commit
//     begins only the rest is zeros.
//
// Everything else is damage: a part that does not match its checksum and lacks no page, or one that is followed by
// anything but the rest of its commit. A missing page in the middle of a log is therefore damage, since commits follow
// it.

#ifndef HOLDFAST_STORAGE_ROCKSDB_WAL_READER_H_
#define HOLDFAST_STORAGE_ROCKSDB_WAL_READER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace holdfast::storage {

struct WalFile {
  uint64_t number = 0;
  std::string path;
  // The number of the log's first commit, if it has one, and the number that follows its last commit.
  std::optional<uint64_t> first;
  uint64_t next = 0;
  // The beginning of the torn commit, in bytes from the start of the file, if there is one.
  std::optional<uint64_t> torn_at;
  // OK, or DATA_LOSS that names the file.
  absl::Status damage;
};

// Reads the whole file at `path` and sets the fields behind `path`. Blocking; takes 32 KiB of memory.
void ReadWal(WalFile* wal);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_WAL_READER_H_
