// The part of a store on RocksDB that only storage/rocksdb sees.

#ifndef HOLDFAST_STORAGE_ROCKSDB_OPEN_DB_H_
#define HOLDFAST_STORAGE_ROCKSDB_OPEN_DB_H_

#include <cstdint>

#include "rocksdb/db.h"
#include "storage/store/store.h"

namespace holdfast::storage {

class OpenDb : public Store {
 public:
  virtual rocksdb::DB* db() = 0;
  // Flushes all families if the write-ahead logs have over `bytes`.
  virtual rocksdb::Status FlushLogsOver(uint64_t bytes) = 0;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_OPEN_DB_H_
