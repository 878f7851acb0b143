// Whether the write-ahead logs hold all that was acknowledged, looked at before RocksDB recovers from them.
//
// RocksDB's recovery ends a log without a word at a record whose length reaches past the end of the file, skips one of
// an unknown type, and does not miss a log that is gone: the store would open with a part of what was acknowledged. But
// each key written takes a sequence number, and each commit in a log says its first one. So commits are numbered, and
// this holds:
//   1. In a log, and from each log to the next one that has a commit, the numbers go on without a gap.
//   2. The last commit reaches the number that was recorded, in a file of its own, when the store was last opened or
//      closed or had last switched to a new log; and the one that RocksDB recorded in its MANIFEST at the last flush.
//   3. The logs that had commits at that time have some still, unless RocksDB has said since that it needs them no
//   more.
//   4. A log ends with a whole commit, or with one that a crash has torn (rocksdb_wal_reader.h): nobody was told of
//      that one.
//
// Cannot be noticed: the newest log of a store that was not closed, cut off behind these numbers, since a crash leaves
// the same.

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

// What was recorded of the logs.
struct WalMarks {
  uint64_t oldest = 0;  // those with a lower number are not needed any more; as RocksDB says
  uint64_t last_sequence = 0;
  // The logs that have commits, and the newest, which may have none.
  std::vector<uint64_t> listed;
  // A copy of the store's header, if one was recorded.
  std::optional<v1::StoreHeader> header;
};

// Durable on return, with the logs' entries in the directory.
absl::Status WriteWalMarks(rocksdb::Env* env, const std::string& data_dir, const WalMarks& marks);
// None of a store that has not recorded any. Leaves `oldest`.
absl::StatusOr<WalMarks> ReadWalMarks(rocksdb::Env* env, const std::string& data_dir);

std::string WalPath(const std::string& data_dir, uint64_t number);
// The numbers of the logs in a directory, in their order.
absl::StatusOr<std::vector<uint64_t>> ListWals(const std::string& data_dir);
// Reads all of each: 1 s for 500 MiB, where a start without it takes 4 s; 0.4 s of it are checksums.
absl::StatusOr<std::vector<WalFile>> ReadWals(const std::string& data_dir);

// DATA_LOSS that names the file. `recovered` is the number up to which RocksDB would recover.
absl::Status CheckWals(const std::string& data_dir, const std::vector<WalFile>& files, const WalMarks& marks,
                       uint64_t recovered);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_WAL_CHECK_H_
