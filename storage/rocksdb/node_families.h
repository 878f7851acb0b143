// The families of the node in RocksDB.

#ifndef HOLDFAST_STORAGE_ROCKSDB_NODE_FAMILIES_H_
#define HOLDFAST_STORAGE_ROCKSDB_NODE_FAMILIES_H_

#include <algorithm>
#include <iterator>
#include <string>

namespace holdfast::storage {

// Their names, in the order of FamilyId. Every RocksDB has the first one.
inline constexpr const char* kNodeFamilies[] = {"default", "catalog", "alarms", "packed", "requests"};

inline bool IsNodeFamily(const std::string& name) {
  return std::find(std::begin(kNodeFamilies), std::end(kNodeFamilies), name) != std::end(kNodeFamilies);
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_NODE_FAMILIES_H_
