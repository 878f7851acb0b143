// An ordinary SQLite database, to compare the object's database with.

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
#include "absl/strings/match.h"
#include "storage/sql/value.h"

namespace holdfast::storage::sql {

class PlainDatabase {
 public:
  explicit PlainDatabase(const std::string& path = ":memory:") {
    EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
    EXPECT_EQ(sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr), SQLITE_OK);
  }
  // Returns the integrity check of a database, given as its pages in order.
  static std::vector<Row> CheckIntegrity(const std::string& file) {
    PlainDatabase plain;
    plain.Load(file);
    auto rows = plain.Execute("PRAGMA integrity_check");
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *std::move(rows) : std::vector<Row>();
  }
  ~PlainDatabase() { sqlite3_close(db_); }
  PlainDatabase(const PlainDatabase&) = delete;
  PlainDatabase& operator=(const PlainDatabase&) = delete;

  sqlite3* db() { return db_; }
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

  // Loads a database, given as its pages in order, into memory.
  void Load(const std::string& file) {
    auto* image = static_cast<unsigned char*>(sqlite3_malloc64(file.size() + 1));
    file.copy(reinterpret_cast<char*>(image), file.size());
    const auto bytes = static_cast<sqlite3_int64>(file.size());
    EXPECT_EQ(sqlite3_deserialize(db_, "main", image, bytes, bytes,
                                  SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE),
              SQLITE_OK);
  }
  // Returns the database's pages in order; empty where it has none. Call this outside a transaction.
  std::string Save() {
    // SQLite would write a page to serialize an empty database.
    const auto pages = Run("PRAGMA page_count", {});
    if (pages.ok() && pages->rows == std::vector<Row>{{int64_t{0}}}) return "";
    sqlite3_int64 bytes = 0;
    unsigned char* const image = sqlite3_serialize(db_, "main", &bytes, 0);
    std::string file(reinterpret_cast<const char*>(image), image == nullptr ? 0 : static_cast<size_t>(bytes));
    sqlite3_free(image);
    return file;
  }

  // Errors: FAILED_PRECONDITION for a constraint that does not hold, INVALID_ARGUMENT for an error in the SQL, INTERNAL
  // for errors that no SQL may cause.
  absl::StatusOr<std::vector<Row>> Execute(const std::string& sql, const std::vector<Value>& params = {}) {
    auto result = Run(sql, params);
    if (!result.ok()) return result.status();
    return std::move(result->rows);
  }
  // Runs one or several statements in one text, like the object's database. The result has everything but the steps.
  absl::StatusOr<Result> Run(const std::string& sql, const std::vector<Value>& params = {}) {
    Result result;
    const sqlite3_int64 written_before = sqlite3_total_changes64(db_);
    const char* rest = sql.c_str();
    for (bool found = false;;) {
      sqlite3_stmt* statement = nullptr;
      if (sqlite3_prepare_v2(db_, rest, -1, &statement, &rest) != SQLITE_OK) return Error();
      if (statement == nullptr && *rest != '\0') continue;
      if (statement == nullptr && found) break;
      if (statement == nullptr) return absl::InvalidArgumentError("there is no statement");
      found = true;
      const absl::Status status = RunOne(statement, params, &result);
      sqlite3_finalize(statement);
      if (!status.ok()) return status;
    }
    // ALTER TABLE has the columns of an internal query.
    if (absl::StartsWith(sql, "ALTER TABLE")) result.columns.clear();
    result.rows_written = sqlite3_total_changes64(db_) - written_before;
    return result;
  }
  // Returns whether a statement that only reads has a row.
  absl::StatusOr<bool> Query(const std::string& sql, const std::vector<Value>& params) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) return Error();
    const bool reads = sqlite3_stmt_readonly(statement) != 0;
    sqlite3_finalize(statement);
    if (!reads) return absl::InvalidArgumentError("the query writes");
    const auto result = Run(sql, params);
    if (!result.ok()) return result.status();
    return !result->rows.empty();
  }

 private:
  absl::Status Error() const {
    switch (sqlite3_errcode(db_) & 0xff) {
      case SQLITE_CONSTRAINT:
        return absl::FailedPreconditionError(sqlite3_errmsg(db_));
      case SQLITE_ERROR:
      case SQLITE_AUTH:
      case SQLITE_MISMATCH:
      case SQLITE_RANGE:
      case SQLITE_TOOBIG:
        return absl::InvalidArgumentError(sqlite3_errmsg(db_));
      default:
        return absl::InternalError(sqlite3_errmsg(db_));
    }
  }

  absl::Status RunOne(sqlite3_stmt* statement, const std::vector<Value>& params, Result* result) {
    if (static_cast<size_t>(sqlite3_bind_parameter_count(statement)) != params.size()) {
      return absl::InvalidArgumentError("the wrong number of parameters");
    }
    for (size_t i = 0; i < params.size(); ++i) Bind(statement, static_cast<int>(i + 1), params[i]);
    result->columns.clear();
    result->rows.clear();
    int stepped;
    while ((stepped = sqlite3_step(statement)) == SQLITE_ROW) {
      Row row;
      for (int i = 0; i < sqlite3_data_count(statement); ++i) row.push_back(ColumnValue(statement, i));
      result->rows.push_back(std::move(row));
    }
    if (stepped != SQLITE_DONE) return Error();
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const char* const declared = sqlite3_column_decltype(statement, i);
      result->columns.push_back({sqlite3_column_name(statement, i), declared == nullptr ? "" : declared});
    }
    return absl::OkStatus();
  }

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

  static Value ColumnValue(sqlite3_stmt* statement, int i) {
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
