#include "storage/sql/statement_values.h"

#include <sqlite3.h>

#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/sql/failure.h"

namespace holdfast::storage::sql {
namespace {

// Bytes of a value in a reply, beside its own.
constexpr size_t kValueOverheadBytes = 16;
// Bytes of memory that a value and a row take, beside two copies of their own: as a Value and in the message.
constexpr size_t kValueMemoryBytes = 88;
constexpr size_t kRowMemoryBytes = 128;

absl::string_view ColumnBytes(sqlite3_stmt* statement, int column) {
  // The blob comes first: the call may convert the value, and so change the number of its bytes.
  const void* bytes = sqlite3_column_blob(statement, column);
  return {static_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement, column))};
}

Value ColumnValue(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT:
      return std::string(ColumnBytes(statement, column));
    case SQLITE_BLOB:
      return Blob{std::string(ColumnBytes(statement, column))};
    default:
      return Null{};
  }
}

struct Binder {
  sqlite3_stmt* statement;
  int index;

  int operator()(const Null&) const { return sqlite3_bind_null(statement, index); }
  int operator()(int64_t value) const { return sqlite3_bind_int64(statement, index, value); }
  int operator()(double value) const { return sqlite3_bind_double(statement, index, value); }
  int operator()(const std::string& value) const {
    return sqlite3_bind_text64(statement, index, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  int operator()(const Blob& value) const {
    return sqlite3_bind_blob64(statement, index, value.bytes.data(), value.bytes.size(), SQLITE_STATIC);
  }
};

std::string OrEmpty(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

size_t BytesOf(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text->size();
  if (const auto* blob = std::get_if<Blob>(&value)) return blob->bytes.size();
  return sizeof(int64_t);
}

absl::Status CheckParams(sqlite3_stmt* statement, absl::Span<const Value> params, const Limits& limits) {
  const int wanted = sqlite3_bind_parameter_count(statement);
  if (static_cast<size_t>(wanted) != params.size()) {
    return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_RANGE},
                       absl::StrCat("the statement has ", wanted, " parameters; ", params.size(), " are given"));
  }
  for (size_t i = 0; i < params.size(); ++i) {
    if (BytesOf(params[i]) <= static_cast<size_t>(limits.value_bytes_max)) continue;
    return MakeFailure(
        {.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_TOOBIG},
        absl::StrCat("parameter ", i + 1, " is too big: it has over ", limits.value_bytes_max, " bytes"));
  }
  return absl::OkStatus();
}

int BindParams(sqlite3_stmt* statement, absl::Span<const Value> params) {
  for (size_t i = 0; i < params.size(); ++i) {
    const int result = std::visit(Binder{statement, static_cast<int>(i) + 1}, params[i]);
    if (result != SQLITE_OK) return result;
  }
  return SQLITE_OK;
}

absl::Status ResultReader::ReadRow(sqlite3_stmt* statement, Result* result) {
  Row row;
  const int columns = sqlite3_data_count(statement);
  row.reserve(static_cast<size_t>(columns));
  size_.memory_bytes += kRowMemoryBytes;
  for (int column = 0; column < columns; ++column) {
    // Numbers are not asked for their bytes, which would turn them into text.
    const int type = sqlite3_column_type(statement, column);
    const size_t bytes = type == SQLITE_TEXT || type == SQLITE_BLOB ? ColumnBytes(statement, column).size() : 0;
    if (bytes > static_cast<size_t>(limits_.value_bytes_max)) {
      return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_TOOBIG},
                         absl::StrCat("column ", column + 1, " of the result is too big: it has over ",
                                      limits_.value_bytes_max, " bytes"));
    }
    size_.bytes += kValueOverheadBytes + bytes;
    size_.memory_bytes += kValueMemoryBytes + 2 * bytes;
    if (size_.bytes > limits_.result_bytes_max || size_.memory_bytes > limits_.result_memory_bytes_max) {
      const bool on_the_wire = size_.bytes > limits_.result_bytes_max;
      return MakeFailure({.kind = FailureKind::kResultTooLarge},
                         absl::StrCat("the results have over ",
                                      on_the_wire ? limits_.result_bytes_max : limits_.result_memory_bytes_max,
                                      on_the_wire ? " bytes" : " bytes in memory", "; LIMIT makes them shorter"));
    }
    row.push_back(ColumnValue(statement, column));
  }
  result->rows.push_back(std::move(row));
  return absl::OkStatus();
}

void ResultReader::ReadColumns(sqlite3_stmt* statement, Result* result) {
  for (int column = 0; column < sqlite3_column_count(statement); ++column) {
    result->columns.push_back(
        {OrEmpty(sqlite3_column_name(statement, column)), OrEmpty(sqlite3_column_decltype(statement, column))});
  }
}

}  // namespace holdfast::storage::sql
