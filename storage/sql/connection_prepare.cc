// Prepares the statements of a text, and decides which of them may run where the transaction does.

#include <sqlite3.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/sql/connection.h"

namespace holdfast::storage::sql {
namespace {

// The first statement of a text is prepared from this many bytes of the text, and from kPreparedTimes as many if it is
// longer. SQLite copies the text that it is given, so a text of many statements costs no more than its statements do.
constexpr size_t kPreparedAtFirst = 4096;
constexpr size_t kPreparedTimes = 8;

constexpr absl::string_view kExplain = "EXPLAIN ";

std::string OrEmpty(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

absl::Status Connection::PrepareFirst(absl::string_view sql, StatementPtr* statement, const char** tail) {
  const size_t bytes_max = static_cast<size_t>(limits_.statement_bytes_max) + kExplain.size();
  std::string error_before;
  for (size_t bytes = std::min(kPreparedAtFirst, bytes_max / 2);; bytes *= kPreparedTimes) {
    const absl::string_view part = sql.substr(0, std::min(bytes, bytes_max));
    authorizer_.Begin();
    sqlite3_stmt* prepared = nullptr;
    const int result = sqlite3_prepare_v3(db_.get(), part.data(), static_cast<int>(part.size()),
                                          SQLITE_PREPARE_PERSISTENT, &prepared, tail);
    statement->reset(prepared);
    const bool all = part.size() == sql.size();
    if (result == SQLITE_OK && (all || *tail < part.data() + part.size())) return absl::OkStatus();
    // If the part was cut in the middle of the statement, preparing it gives one of these errors, or none.
    const int code = result & 0xff;
    if (all || (code != SQLITE_OK && code != SQLITE_ERROR && code != SQLITE_AUTH)) return Error();
    const std::string error = code == SQLITE_OK ? "" : sqlite3_errmsg(db_.get());
    if (part.size() == bytes_max) {
      // If a shorter part gave the same error, the error is not due to the missing rest.
      if (code != SQLITE_OK && error == error_before && error != "incomplete input") return Error();
      statement->reset();
      return TooLong();
    }
    error_before = error;
  }
}

absl::Status Connection::TooLong() const {
  return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_TOOBIG},
                     absl::StrCat("a statement may have at most ", limits_.statement_bytes_max, " bytes"));
}

absl::StatusOr<PreparedStatement> Connection::Prepare(absl::string_view sql) {
  PreparedStatement prepared;
  prepared.text = sql;
  // Only SQLite can tell whether more than comments and blanks follow the statement.
  for (absl::string_view rest = sql; !rest.empty();) {
    StatementPtr next;
    const char* tail = nullptr;
    absl::Status status = PrepareFirst(rest, &next, &tail);
    if (prepared.statement != nullptr && (!status.ok() || next != nullptr)) {
      // A statement that is wrong now may be right after this one has run.
      prepared.tail = rest;
      prepared.text = sql.substr(0, sql.size() - rest.size());
      break;
    }
    if (!status.ok()) return status;
    if (next != nullptr) {
      prepared.alters = authorizer_.alters();
      prepared.is_pragma = authorizer_.is_pragma();
      prepared.authorized_as_short = authorizer_.is_short();
      prepared.changes_schema = authorizer_.changes_schema();
      if (sqlite3_stmt_isexplain(next.get()) == 0) prepared.control = authorizer_.control();
      prepared.statement = std::move(next);
    }
    rest.remove_prefix(static_cast<size_t>(tail - rest.data()));
  }
  if (prepared.statement == nullptr) {
    return MakeFailure({.kind = FailureKind::kSqlError}, "there is no statement");
  }
  return prepared;
}

absl::StatusOr<PreparedStatement> Connection::Take(absl::string_view sql) {
  if (auto cached = cache_.Take(sql)) return *std::move(cached);
  auto prepared = Prepare(sql);
  if (prepared.ok() && prepared->text.size() > static_cast<size_t>(limits_.statement_bytes_max)) return TooLong();
  return prepared;
}

void Connection::KeepStatement(PreparedStatement prepared) {
  if (usable() && prepared.control == Control::kNone) cache_.Keep(std::move(prepared));
}

absl::StatusOr<Program> Connection::Examine(const PreparedStatement& prepared, bool whole) {
  const absl::string_view sql = WithoutEmptyStatements(sqlite3_sql(prepared.statement.get()));
  auto explain = Prepare(absl::StrCat(kExplain, sql));
  if (!explain.ok()) {
    if (FailureOf(explain.status()).kind == FailureKind::kSqlError) return Program::Unknown();
    return explain.status();
  }
  sqlite3_stmt* statement = explain->statement.get();
  enum Column { kAddress = 0, kOpcode = 1, kP4 = 5, kP5 = 6 };
  const auto text = [statement](Column column) {
    return OrEmpty(reinterpret_cast<const char*>(sqlite3_column_text(statement, column)));
  };
  Program program(limits_.like_pattern_bytes_max);
  for (int opcodes = 0; whole || program.is_short(); ++opcodes) {
    if (!whole && opcodes == kShortOpcodes) return Program::Unknown();
    const int stepped = sqlite3_step(statement);
    if (stepped == SQLITE_DONE) break;
    if (stepped != SQLITE_ROW) return Error();
    program.Add(sqlite3_column_int64(statement, kAddress), text(kOpcode), text(kP4),
                sqlite3_column_int64(statement, kP5));
  }
  if (!program.refused_function().empty()) {
    return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_AUTH},
                       absl::StrCat("the function ", program.refused_function(), " is not allowed"));
  }
  return program;
}

absl::Status Connection::MayRun(PreparedStatement* prepared, absl::Span<const Value> params) {
  if (prepared->schema_changes != schema_changes_) {
    prepared->schema_changes = schema_changes_;
    prepared->is_short.reset();
    prepared->value_bytes_max.reset();
  }
  return budget_.is_short() ? MayRunShort(prepared, params) : MayRunLong(prepared);
}

absl::Status Connection::MayRunShort(PreparedStatement* prepared, absl::Span<const Value> params) {
  size_t bytes = 0;
  for (const Value& value : params) bytes += BytesOf(value);
  if (bytes > kShortParamsBytes || long_statements_->Contains(prepared->text)) return NeedsWorker();
  if (!prepared->authorized_as_short || sqlite3_stmt_isexplain(prepared->statement.get()) != 0) return NeedsWorker();
  if (!prepared->is_short) {
    const auto program = Examine(*prepared, /*whole=*/false);
    if (!program.ok()) return program.status();
    prepared->is_short = program->is_short();
  }
  return *prepared->is_short && !budget_.spent() ? absl::OkStatus() : NeedsWorker();
}

absl::Status Connection::MayRunLong(PreparedStatement* prepared) {
  if (prepared->value_bytes_max) return absl::OkStatus();
  Program program;
  if (sqlite3_stmt_isexplain(prepared->statement.get()) == 0) {
    auto examined = Examine(*prepared, /*whole=*/true);
    if (!examined.ok()) return examined.status();
    program = *std::move(examined);
  }
  prepared->value_bytes_max = std::min(limits_.row_bytes_max, program.ValueBytesMax());
  return absl::OkStatus();
}

}  // namespace holdfast::storage::sql
