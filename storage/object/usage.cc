#include "storage/object/usage.h"

#include "storage/store/format.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage {

int64_t UsageOfPages(uint32_t page_count) {
  return static_cast<int64_t>(page_count) * static_cast<int64_t>(kSqlPageKeyBytes + kSqlPageBytes);
}

absl::StatusOr<v1::Usage> CountUsage(View& view) {
  UsageChange found;
  const KeyRange range{std::string(1, kEntryKind), kSqlDatabaseKey};
  absl::Status status = view.Scan(range, false, [&](absl::string_view key, absl::string_view value) {
    const char kind = key.front();
    found.size_bytes += static_cast<int64_t>(key.size() + value.size());
    if (kind == kEntryKind) {
      found.size_bytes -= 1;  // the kind
      ++found.entries;
    } else if (kind == kRowKind) {
      key.remove_prefix(1);
      uint16_t table;
      if (ConsumeUint16(&key, &table)) ++found.rows[table];
    }
    return true;
  });
  if (!status.ok()) return status;
  const auto record = view.Get(kSqlDatabaseKey);
  if (!record.ok()) return record.status();
  v1::SqlDatabase database;
  if (*record && !database.ParseFromString(**record)) {
    return absl::DataLossError("the record of the SQL database is garbled");
  }
  found.size_bytes += UsageOfPages(database.page_count());
  v1::Usage usage;
  found.ApplyTo(&usage);
  return usage;
}

}  // namespace holdfast::storage
