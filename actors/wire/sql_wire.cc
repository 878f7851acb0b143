#include "actors/wire/sql_wire.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "proto/utf8.h"
#include "storage/sql/failure.h"

namespace holdfast::actors {
namespace {

namespace sql = storage::sql;

sql::Value ValueOf(const v1::SqlValue& wire) {
  switch (wire.kind_case()) {
    case v1::SqlValue::kInteger:
      return int64_t{wire.integer()};
    case v1::SqlValue::kReal:
      return wire.real();
    case v1::SqlValue::kText:
      return wire.text();
    case v1::SqlValue::kBlob:
      return sql::Blob{wire.blob()};
    case v1::SqlValue::KIND_NOT_SET:
      break;
  }
  return sql::Null{};
}

struct ValueWriter {
  v1::SqlValue* wire;

  void operator()(const sql::Null&) const {}
  void operator()(int64_t value) const { wire->set_integer(value); }
  void operator()(double value) const { wire->set_real(value); }
  // A proto string that is not UTF-8 makes the whole reply unreadable.
  void operator()(const std::string& value) const {
    if (IsUtf8(value)) {
      wire->set_text(value);
    } else {
      wire->set_blob(value);
    }
  }
  void operator()(const sql::Blob& value) const { wire->set_blob(value.bytes); }
};

// Returns "" in place of text that is not UTF-8: names of an imported database may be any bytes.
std::string Text(const std::string& text) { return IsUtf8(text) ? text : std::string(); }

}  // namespace

absl::StatusOr<SqlText> SqlTextOf(const v1::SqlStatement& statement, std::string field) {
  if (statement.sql().empty()) return InvalidField(absl::StrCat(field, ".sql"), "is empty");
  SqlText text{std::move(field), statement.sql(), {}};
  for (const v1::SqlValue& param : statement.params()) text.params.push_back(ValueOf(param));
  return text;
}

void FillSqlResult(const sql::Result& result, v1::SqlResult* wire) {
  for (const sql::Column& column : result.columns) {
    v1::SqlColumn* const to = wire->add_columns();
    to->set_name(Text(column.name));
    to->set_declared_type(Text(column.declared_type));
  }
  for (const sql::Row& row : result.rows) {
    v1::SqlRow* const to = wire->add_rows();
    for (const sql::Value& value : row) std::visit(ValueWriter{to->add_values()}, value);
  }
  wire->set_vm_steps(result.vm_steps);
  wire->set_rows_written(result.rows_written);
  wire->set_last_insert_rowid(result.last_insert_rowid);
}

absl::Status SqlFailed(const absl::Status& status, absl::string_view field) {
  const sql::Failure failure = sql::FailureOf(status);
  const std::string message =
      absl::StrCat(field.empty() ? "" : absl::StrCat(field, ": "), status.message(), "; nothing was done");
  switch (failure.kind) {
    case sql::FailureKind::kSqlError:
      return SqlError(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_SQL_ERROR, failure.sqlite_code, message);
    case sql::FailureKind::kConstraint:
      return SqlError(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SQL_CONSTRAINT, failure.sqlite_code,
                      message);
    case sql::FailureKind::kTimeLimit:
      return Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SQL_TIME_LIMIT, message);
    case sql::FailureKind::kResultTooLarge:
      return Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_RESPONSE_TOO_LARGE,
                   absl::StrCat(message, "; use LIMIT"));
    case sql::FailureKind::kTurnTooLarge:
      return QuotaExceeded("turn_bytes_max", message);
    case sql::FailureKind::kDatabaseFull:
      return QuotaExceeded("object_bytes_max", message);
    case sql::FailureKind::kMemory:
      return QuotaExceeded("SQL memory", message);
    case sql::FailureKind::kBusy:
      return Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED, message,
                       absl::Seconds(1));
    case sql::FailureKind::kStopping:
      return Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_DRAINING, message, absl::Seconds(1));
    case sql::FailureKind::kTempFull:
      return QuotaExceeded("sql.temp_bytes_max", message);
    case sql::FailureKind::kOther:
      break;
  }
  return status;
}

absl::StatusOr<sql::Result> RunSql(sql::Connection& connection, const SqlText& text) {
  auto result = connection.Execute(text.sql, text.params);
  if (!result.ok()) return SqlFailed(result.status(), text.field);
  return result;
}

}  // namespace holdfast::actors
