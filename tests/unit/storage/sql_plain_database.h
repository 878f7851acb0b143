// SQLite as it comes, to compare ours with.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_SQL_PLAIN_DATABASE_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_SQL_PLAIN_DATABASE_H_

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/sql/value.h"

namespace holdfast::storage::sql {

class PlainDatabase {
 public:
  explicit PlainDatabase(const std::string& path = ":memory:") {
    EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
    EXPECT_EQ(sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr), SQLITE_OK);
  }
  // Of a database's pages in order.
  static std::vector<Row> CheckIntegrity(const std::string& file) {
    PlainDatabase plain;
    auto* image = static_cast<unsigned char*>(sqlite3_malloc64(file.size() + 1));
    file.copy(reinterpret_cast<char*>(image), file.size());
    const auto bytes = static_cast<sqlite3_int64>(file.size());
    EXPECT_EQ(sqlite3_deserialize(plain.db_, "main", image, bytes, bytes, SQLITE_DESERIALIZE_FREEONCLOSE), SQLITE_OK);
    auto rows = plain.Execute("PRAGMA integrity_check");
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *std::move(rows) : std::vector<Row>();
  }
  ~PlainDatabase() { sqlite3_close(db_); }
  PlainDatabase(const PlainDatabase&) = delete;
  PlainDatabase& operator=(const PlainDatabase&) = delete;

  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

  absl::StatusOr<std::vector<Row>> Execute(const std::string& sql, const std::vector<Value>& params = {}) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) return Error();
    for (size_t i = 0; i < params.size(); ++i) Bind(statement, static_cast<int>(i + 1), params[i]);
    std::vector<Row> rows;
    int stepped;
    while ((stepped = sqlite3_step(statement)) == SQLITE_ROW) {
      if (sqlite3_column_count(statement) == 0) continue;
      Row row;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) row.push_back(Column(statement, i));
      rows.push_back(std::move(row));
    }
    const absl::Status error = Error();
    sqlite3_finalize(statement);
    if (stepped != SQLITE_DONE) return error;
    return rows;
  }

 private:
  absl::Status Error() const { return absl::UnknownError(sqlite3_errmsg(db_)); }

  static void Bind(sqlite3_stmt* statement, int index, const Value& value) {
    if (const auto* integer = std::get_if<int64_t>(&value)) sqlite3_bind_int64(statement, index, *integer);
    if (const auto* real = std::get_if<double>(&value)) sqlite3_bind_double(statement, index, *real);
    if (const auto* text = std::get_if<std::string>(&value)) {
      sqlite3_bind_text(statement, index, text->data(), static_cast<int>(text->size()), SQLITE_STATIC);
    }
    if (const auto* blob = std::get_if<Blob>(&value)) {
      sqlite3_bind_blob(statement, index, blob->bytes.data(), static_cast<int>(blob->bytes.size()), SQLITE_STATIC);
    }
  }

  static Value Column(sqlite3_stmt* statement, int i) {
    const auto bytes = [&] {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, i));
      return std::string(data == nullptr ? "" : data, static_cast<size_t>(sqlite3_column_bytes(statement, i)));
    };
    switch (sqlite3_column_type(statement, i)) {
      case SQLITE_INTEGER:
        return int64_t{sqlite3_column_int64(statement, i)};
      case SQLITE_FLOAT:
        return sqlite3_column_double(statement, i);
      case SQLITE_TEXT:
        return bytes();
      case SQLITE_BLOB:
        return Blob{bytes()};
      default:
        return Null{};
    }
  }

  sqlite3* db_ = nullptr;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_SQL_PLAIN_DATABASE_H_
