// Checks the store in a data directory before RocksDB opens it for writing: it must be a store of Holdfast, of a
// version that this program reads. Changes nothing.

#ifndef HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_
#define HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "rocksdb/options.h"
#include "rocksdb/status.h"

namespace holdfast::storage {

// Sets `*families` to the names of the store's families; to none where there is no store. The caller holds the store's
// lock, so that nobody writes meanwhile. Errors: those of OpenRocksDbStore.
absl::Status CheckExistingStore(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                                const rocksdb::ColumnFamilyOptions& node_options,
                                bool (*is_node_family)(const std::string&), std::vector<std::string>* families);

// Returns the error after RocksDB has refused to open the store, with the directory named. For damage, the error also
// names the tables that cannot be opened, which RocksDB does not always name, and says what to do.
absl::Status OpenFailed(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                        const rocksdb::ColumnFamilyOptions& node_options, const rocksdb::Status& status);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_EXISTING_H_
