// Looks at the store that is in a data directory before RocksDB opens it for writing: whether it is a store of
// Holdfast, of this version, with write-ahead logs that are whole. Changes nothing.

#ifndef HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_
#define HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "rocksdb/options.h"
#include "rocksdb/status.h"
#include "storage/rocksdb/file_system.h"

namespace holdfast::storage {

struct ExistingStore {
  std::vector<std::string> families;  // none where there is no store
  std::vector<uint64_t> empty_logs;   // write-ahead logs without a commit
};

// The lock must be held, so that nobody writes meanwhile. `ends`, which the file system of `db_options` goes by, gets
// the ends of logs whose last commit a crash has torn. Errors as OpenRocksDbStore's.
absl::Status CheckExistingStore(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                                const rocksdb::ColumnFamilyOptions& node_options, bool check_logs,
                                bool (*is_node_family)(const std::string&), FileEnds* ends, ExistingStore* existing);

// The error of an opening of the store that RocksDB has refused, with the directory named. Of damage it says also in
// which tables it is, which RocksDB does not always say, and what to do.
absl::Status OpenFailed(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                        const rocksdb::ColumnFamilyOptions& node_options, const rocksdb::Status& status);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_
