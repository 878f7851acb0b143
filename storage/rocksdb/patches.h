// Patches (storage/store/patch.h) to RocksDB: a merge operator. A patch is an operand; RocksDB applies those of a key
// to its last full value when the key is read, and writes the result in place of all of them when it makes tables.
//
// It never fails: once a merge fails while a memtable is flushed, RocksDB refuses all writes to all families. What
// cannot be applied becomes kDamagedValue instead.

#ifndef HOLDFAST_STORAGE_ROCKSDB_PATCHES_H_
#define HOLDFAST_STORAGE_ROCKSDB_PATCHES_H_

#include <memory>

#include "rocksdb/merge_operator.h"

namespace holdfast::storage {

std::shared_ptr<rocksdb::MergeOperator> NewPatchOperator();

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_PATCHES_H_
