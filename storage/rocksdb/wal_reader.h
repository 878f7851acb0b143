// Reads one write-ahead log of RocksDB: which commits it has, whether it is damaged, and where a commit begins that a
// crash has torn.
//
// A commit is synced before the next one is written, so a crash can tear the last one of a log and no other. What it
// leaves of that one, which nobody was told of:
//   - the log ends within it; what is torn off has no other length with which it would be whole;
//   - the log has its full length, but pages of 4 KiB that were not written are zeros: any of those over which the
//     commit reaches, in any order. A page that was there before keeps what it had, so in the page in which the commit
//     begins only the rest is zeros.
//
// Damage is all else: a part that does not match its checksum and lacks no page, or one behind which anything is found
// that is not of the same commit. So a missing page in the middle of a log is damage, since commits follow it.

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
  // The number of its first commit, if it has one, and the number that follows its last.
  std::optional<uint64_t> first;
  uint64_t next = 0;
  // Where the torn commit begins, in bytes from the start of the file, if there is one.
  std::optional<uint64_t> torn_at;
  // OK, or DATA_LOSS that names the file.
  absl::Status damage;
};

// Reads all of the file at `path` and sets what is behind it. Blocking; 32 KiB of memory.
void ReadWal(WalFile* wal);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_WAL_READER_H_
