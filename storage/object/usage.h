// Counts of what an object stores, by kind, and the changes of them that add up over a turn.

#ifndef HOLDFAST_STORAGE_OBJECT_USAGE_H_
#define HOLDFAST_STORAGE_OBJECT_USAGE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/object/keyspace.h"

namespace holdfast::storage {

struct UsageChange {
  bool from_nothing = false;  // everything stored before is gone
  int64_t size_bytes = 0;
  int64_t entries = 0;
  absl::btree_map<uint32_t, int64_t> rows;

  bool empty() const { return !from_nothing && size_bytes == 0 && entries == 0 && rows.empty(); }

  void ApplyTo(v1::Usage* usage) const {
    if (from_nothing) usage->Clear();
    // A sum is below zero only if a size was not known when it was counted.
    usage->set_size_bytes(std::max<int64_t>(0, usage->size_bytes() + size_bytes));
    usage->set_entry_count(std::max<int64_t>(0, usage->entry_count() + entries));
    for (const auto& [table, change] : rows) {
      const int64_t count = std::max<int64_t>(0, (*usage->mutable_row_counts())[table] + change);
      if (count == 0) {
        usage->mutable_row_counts()->erase(table);
      } else {
        (*usage->mutable_row_counts())[table] = count;
      }
    }
  }
};

// Returns the bytes that the pages of a SQL database count for, with their keys.
int64_t UsageOfPages(uint32_t page_count);

// Counts all that the object stores. DATA_LOSS if it is garbled.
absl::StatusOr<v1::Usage> CountUsage(View& view);

// Counts what these keys of an object store, in which the pages of a SQL database are those of its record. DATA_LOSS if
// the record is garbled.
absl::StatusOr<UsageChange> CountKeys(absl::Span<const std::pair<std::string, std::string>> keys);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_USAGE_H_
