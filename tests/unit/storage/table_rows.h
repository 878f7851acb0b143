// The rows and the table of users that the tests of tables share.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_TABLE_ROWS_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_TABLE_ROWS_H_

#include <cstdint>
#include <string>

#include "holdfast/storage/v1/storage.pb.h"
#include "storage/object/table.h"

namespace holdfast::storage {

using v1::PendingItemRow;
using v1::UserRow;

inline constexpr uint16_t kUsers = 1;
inline constexpr uint16_t kByEmail = 1;
inline constexpr uint16_t kByRevision = 2;

inline const TableSpec<UserRow>& UserSpec() {
  static const auto* const spec = new TableSpec<UserRow>{
      .id = kUsers,
      .append_primary_key = [](const UserRow& row, std::string* key) { AppendText(key, row.id()); },
      .indexes = {{kByEmail, [](const UserRow& row, std::string* key) { AppendText(key, row.email()); }},
                  {kByRevision, [](const UserRow& row, std::string* key) { AppendInt64(key, row.revision()); }}}};
  return *spec;
}

inline UserRow User(const std::string& id, const std::string& email, int64_t revision = 0,
                    const std::string& name = "") {
  UserRow row;
  row.set_id(id);
  row.set_email(email);
  row.set_revision(revision);
  row.set_name(name);
  return row;
}

inline PendingItemRow Item(int64_t sequence, const std::string& item) {
  PendingItemRow row;
  row.set_sequence(sequence);
  row.set_item(item);
  return row;
}

inline std::string NumberKey(int64_t number) {
  std::string key;
  AppendInt64(&key, number);
  return key;
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_TABLE_ROWS_H_
