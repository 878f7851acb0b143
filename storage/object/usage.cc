#include "storage/object/usage.h"

#include "storage/store/format.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage {

int64_t UsageOfPages(uint32_t page_count) {
  return static_cast<int64_t>(page_count) * static_cast<int64_t>(kSqlPageKeyBytes + kSqlPageBytes);
}

namespace {

// Adds an entry, a record or an index entry.
void Count(absl::string_view key, absl::string_view value, UsageChange* found) {
  const char kind = key.front();
  found->size_bytes += static_cast<int64_t>(key.size() + value.size());
  if (kind == kEntryKind) {
    found->size_bytes -= 1;  // the kind
    ++found->entries;
  } else if (kind == kRowKind) {
    key.remove_prefix(1);
    uint16_t table;
    if (ConsumeUint16(&key, &table)) ++found->rows[table];
  }
}

absl::Status CountDatabase(absl::string_view record, UsageChange* found) {
  v1::SqlDatabase database;
  if (!database.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    return absl::DataLossError("the record of the SQL database is garbled");
  }
  found->size_bytes += UsageOfPages(database.page_count());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::Usage> CountUsage(View& view) {
  UsageChange found;
  const KeyRange range{std::string(1, kEntryKind), kSqlDatabaseKey};
  absl::Status status = view.Scan(range, false, [&](absl::string_view key, absl::string_view value) {
    Count(key, value, &found);
    return true;
  });
  if (!status.ok()) return status;
  const auto record = view.Get(kSqlDatabaseKey);
  if (!record.ok()) return record.status();
  if (*record) status = CountDatabase(**record, &found);
  if (!status.ok()) return status;
  v1::Usage usage;
  found.ApplyTo(&usage);
  return usage;
}

absl::StatusOr<UsageChange> CountKeys(absl::Span<const std::pair<std::string, std::string>> keys) {
  UsageChange found;
  for (const auto& [key, value] : keys) {
    if (key.front() >= kEntryKind && key < kSqlDatabaseKey) Count(key, value, &found);
    if (key != kSqlDatabaseKey) continue;
    if (absl::Status status = CountDatabase(value, &found); !status.ok()) return status;
  }
  return found;
}

}  // namespace holdfast::storage
