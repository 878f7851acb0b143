// Checks, before RocksDB recovers from the write-ahead logs, that they hold every acknowledged commit.
//
// RocksDB's recovery silently ends a log at a record whose length reaches past the end of the file, skips a record of
// an unknown type, and does not notice that a log is missing: the store would open with a part of the acknowledged
// commits. But each key written takes a sequence number, and each commit in a log says its first one. Commits are
// therefore numbered, and these rules hold:
//   1. In a log, and from each log to the next one that has a commit, the numbers go on without a gap.
//   2. The last commit reaches the number that was recorded, in a file of its own, when the store was last opened or
//      closed or had last switched to a new log; and the one that RocksDB recorded in its MANIFEST at the last flush.
//   3. The logs that had commits at that time still have some, unless RocksDB has said since that it needs them no
//      more.
//   4. A log ends with a whole commit, or with one that a crash has torn (wal_reader.h), which nobody was told of.
//
// One loss cannot be noticed: the newest log of a store that was not closed is cut off behind these numbers. A crash
// leaves the same.

#ifndef HOLDFAST_STORAGE_ROCKSDB_WAL_CHECK_H_
#define HOLDFAST_STORAGE_ROCKSDB_WAL_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "rocksdb/env.h"
#include "storage/rocksdb/wal_reader.h"

namespace holdfast::storage {

// The record of the logs, in a file of its own (WriteWalMarks).
struct WalMarks {
  uint64_t oldest = 0;  // logs with a lower number are not needed any more, as RocksDB says
  uint64_t last_sequence = 0;
  // The logs that have commits, and the newest, which may have none.
  std::vector<uint64_t> listed;
  // A copy of the store's header, if one was recorded.
  std::optional<v1::StoreHeader> header;
};

// Records the marks. They are durable on return, and so are the logs' entries in the directory.
absl::Status WriteWalMarks(rocksdb::Env* env, const std::string& data_dir, const WalMarks& marks);
// Returns empty marks if the store has recorded none. `oldest` is not set.
absl::StatusOr<WalMarks> ReadWalMarks(rocksdb::Env* env, const std::string& data_dir);

std::string WalPath(const std::string& data_dir, uint64_t number);
// Returns the numbers of the logs in a directory, in ascending order.
absl::StatusOr<std::vector<uint64_t>> ListWals(const std::string& data_dir);
// Reads the logs whole: 1 s for 500 MiB, of which 0.4 s are checksums. A start without it takes 4 s.
absl::StatusOr<std::vector<WalFile>> ReadWals(const std::string& data_dir);

// Returns DATA_LOSS that names the file if a rule does not hold. `recovered` is the number up to which RocksDB would
// recover.
absl::Status CheckWals(const std::string& data_dir, const std::vector<WalFile>& files, const WalMarks& marks,
                       uint64_t recovered);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_WAL_CHECK_H_
