// Checks the store in a data directory before RocksDB opens it for writing: it must be a store of Holdfast, of this
// version, with write-ahead logs that are whole. Changes nothing.

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

// The caller holds the store's lock, so that nobody writes meanwhile. `ends`, which the file system of `db_options`
// uses, gets the ends of logs whose last commit a crash has torn. Errors: those of OpenRocksDbStore.
absl::Status CheckExistingStore(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                                const rocksdb::ColumnFamilyOptions& node_options, bool check_logs,
                                bool (*is_node_family)(const std::string&), FileEnds* ends, ExistingStore* existing);

// Returns the error after RocksDB has refused to open the store, with the directory named. For damage, the error also
// names the tables that cannot be opened, which RocksDB does not always name, and says what to do.
absl::Status OpenFailed(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                        const rocksdb::ColumnFamilyOptions& node_options, const rocksdb::Status& status);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_
