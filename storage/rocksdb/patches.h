// The merge operator by which RocksDB applies patches (storage/store/patch.h). A patch is a merge operand: RocksDB
// applies the patches of a key to its last full value when the key is read, and writes the result in place of all of
// them when it makes tables.
//
// The operator never fails: once a merge fails while a memtable is flushed, RocksDB refuses all writes to all families.
// A patch that cannot be applied makes the value kDamagedValue instead.

#ifndef HOLDFAST_STORAGE_ROCKSDB_PATCHES_H_
#define HOLDFAST_STORAGE_ROCKSDB_PATCHES_H_

#include <memory>

#include "rocksdb/merge_operator.h"

namespace holdfast::storage {

std::shared_ptr<rocksdb::MergeOperator> NewPatchOperator();

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_PATCHES_H_
