// Looks at the store that is in a data directory before RocksDB opens it for writing: whether it is a store of
// Holdfast, of this version, with write-ahead logs that are whole. Changes nothing.

#ifndef HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_
#define HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "rocksdb/options.h"

namespace holdfast::storage {

struct ExistingStore {
  std::vector<std::string> families;  // none where there is no store
  std::vector<uint64_t> empty_logs;   // write-ahead logs without a commit
};

// The lock must be held, so that nobody writes meanwhile.
// Errors as OpenRocksDbStore's.
absl::Status CheckExistingStore(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                                const rocksdb::ColumnFamilyOptions& node_options, bool check_logs,
                                bool (*is_node_family)(const std::string&), ExistingStore* existing);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_
