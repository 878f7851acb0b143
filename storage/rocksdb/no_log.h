#ifndef HOLDFAST_STORAGE_ROCKSDB_NO_LOG_H_
#define HOLDFAST_STORAGE_ROCKSDB_NO_LOG_H_

#include <cstdarg>

#include "rocksdb/env.h"

namespace holdfast::storage {

// The log of a RocksDB that is only looked at: it leaves no file.
class NoLog final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_NO_LOG_H_
