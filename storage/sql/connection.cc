#include "storage/sql/connection.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::storage::sql {
namespace {

constexpr int kStepsBetweenStops = 1000;

// For the bound of a result: what a value costs beyond its bytes.
constexpr size_t kValueOverheadBytes = 16;

absl::string_view ColumnBytes(sqlite3_stmt* statement, int column) {
  // Before the number of bytes: it converts.
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

std::string OrEmpty(const char* text) { return text == nullptr ? "" : text; }

struct Binder {
  sqlite3_stmt* statement;
  int index;

  int operator()(const Null&) const { return sqlite3_bind_null(statement, index); }
  int operator()(int64_t value) const { return sqlite3_bind_int64(statement, index, value); }
  int operator()(double value) const { return sqlite3_bind_double(statement, index, value); }
  // The values outlive the statement's run, so SQLite need not copy them.
  int operator()(const std::string& value) const {
    return sqlite3_bind_text64(statement, index, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  int operator()(const Blob& value) const {
    return sqlite3_bind_blob64(statement, index, value.bytes.data(), value.bytes.size(), SQLITE_STATIC);
  }
};

}  // namespace

void Connection::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

void Connection::Close::operator()(sqlite3* db) const { sqlite3_close(db); }

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(PageSource* pages, ConnectionOptions options) {
  std::unique_ptr<Connection> connection(new Connection(pages, std::move(options)));
  if (absl::Status status = connection->OpenDatabase(); !status.ok()) return status;
  return connection;
}

Connection::~Connection() {
  // Closing rolls back what is open, which would write.
  files_.GiveUp();
}

absl::Status Connection::OpenDatabase() {
  Files::Scope scope(&files_);
  sqlite3* db = nullptr;
  const int opened =
      sqlite3_open_v2("object", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, VfsName());
  db_.reset(db);
  if (opened != SQLITE_OK) return Error();
  if (Configure(db, limits_) != SQLITE_OK) return Error();

  for (auto [statement, sql] : {std::pair{&begin_, "BEGIN"}, {&commit_, "COMMIT"}, {&rollback_, "ROLLBACK"}}) {
    auto prepared = Prepare(sql);
    if (!prepared.ok()) return prepared.status();
    *statement = *std::move(prepared);
  }
  sqlite3_set_authorizer(
      db,
      [](void* self, int action, const char* first, const char* second, const char* database, const char*) {
        if (static_cast<Connection*>(self)->own_sql_) return SQLITE_OK;
        return Authorize(action, first, second, database);
      },
      this);
  if (stop_ != nullptr) {
    sqlite3_progress_handler(
        db, kStepsBetweenStops,
        [](void* self) {
          auto* connection = static_cast<Connection*>(self);
          return !connection->own_sql_ && connection->stop_() ? 1 : 0;
        },
        this);
  }
  own_sql_ = false;
  return absl::OkStatus();
}

absl::Status Connection::Error() {
  if (!files_.error().ok()) return files_.error();
  const std::string message = db_ == nullptr ? "out of memory" : sqlite3_errmsg(db_.get());
  switch (db_ == nullptr ? SQLITE_NOMEM : sqlite3_errcode(db_.get()) & 0xff) {
    case SQLITE_CONSTRAINT:
      return absl::FailedPreconditionError(message);
    case SQLITE_ERROR:
    case SQLITE_AUTH:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
      return absl::InvalidArgumentError(message);
    case SQLITE_FULL:
    case SQLITE_INTERRUPT:
    case SQLITE_NOMEM:
      return absl::ResourceExhaustedError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    default:
      return absl::InternalError(message);
  }
}

void Connection::GiveUp(absl::Status why) {
  if (!usable()) return;
  ended_ = why.ok() ? absl::InternalError("the SQL transaction has ended") : std::move(why);
  files_.GiveUp();
}

void Connection::CheckTransaction(const absl::Status& status) {
  if (!files_.error().ok()) {
    GiveUp(files_.error());
  } else if (absl::IsDataLoss(status) || sqlite3_get_autocommit(db_.get()) != 0) {
    GiveUp(status);
  }
}

absl::StatusOr<Connection::Statement> Connection::Prepare(absl::string_view sql) {
  // SQLite would end there.
  if (absl::StrContains(sql, '\0')) return absl::InvalidArgumentError("the statement has a NUL");
  Statement statement;
  // Whether all that follows the statement are comments and blanks only SQLite can tell.
  while (!sql.empty()) {
    sqlite3_stmt* prepared = nullptr;
    const char* tail = nullptr;
    const int result = sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()),
                                          SQLITE_PREPARE_PERSISTENT, &prepared, &tail);
    Statement next(prepared);
    if (statement != nullptr && (result != SQLITE_OK || next != nullptr)) {
      return absl::InvalidArgumentError("there is more than one statement");
    }
    if (result != SQLITE_OK) return Error();
    if (next != nullptr) statement = std::move(next);
    sql.remove_prefix(static_cast<size_t>(tail - sql.data()));
  }
  if (statement == nullptr) return absl::InvalidArgumentError("there is no statement");
  return statement;
}

absl::StatusOr<Connection::Statement> Connection::Take(absl::string_view sql) {
  auto found = by_text_.find(sql);
  if (found == by_text_.end()) return Prepare(sql);
  auto cached = found->second;
  Statement statement = std::move(cached->statement);
  by_text_.erase(found);
  cached_.erase(cached);
  return statement;
}

void Connection::Keep(absl::string_view sql, Statement statement) {
  sqlite3_reset(statement.get());
  sqlite3_clear_bindings(statement.get());
  if (sql.size() > kCachedStatementBytesMax) return;
  if (cached_.size() == kCachedStatementsMax) {
    by_text_.erase(cached_.back().sql);
    cached_.pop_back();
  }
  cached_.push_front({std::string(sql), std::move(statement)});
  by_text_.emplace(cached_.front().sql, cached_.begin());
}

absl::Status Connection::Bind(sqlite3_stmt* statement, absl::Span<const Value> params) {
  const int wanted = sqlite3_bind_parameter_count(statement);
  if (static_cast<size_t>(wanted) != params.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the statement has ", wanted, " parameters; ", params.size(), " are given"));
  }
  for (int i = 0; i < wanted; ++i) {
    if (std::visit(Binder{statement, i + 1}, params[static_cast<size_t>(i)]) != SQLITE_OK) return Error();
  }
  return absl::OkStatus();
}

absl::Status Connection::Step(sqlite3_stmt* statement, Result* result) {
  size_t bytes = 0;
  while (true) {
    const int stepped = sqlite3_step(statement);
    if (stepped == SQLITE_DONE) break;
    if (stepped != SQLITE_ROW) return Error();
    // PRAGMA incremental_vacuum has a row of nothing for each page.
    if (sqlite3_data_count(statement) == 0) continue;
    Row row;
    for (int column = 0; column < sqlite3_data_count(statement); ++column) {
      bytes += kValueOverheadBytes;
      // Not of numbers, which this would turn into text.
      const int type = sqlite3_column_type(statement, column);
      if (type == SQLITE_TEXT || type == SQLITE_BLOB) bytes += ColumnBytes(statement, column).size();
      if (bytes > limits_.result_bytes_max) {
        return absl::ResourceExhaustedError(absl::StrCat("the result has over ", limits_.result_bytes_max, " bytes"));
      }
      row.push_back(ColumnValue(statement, column));
    }
    result->rows.push_back(std::move(row));
  }
  // After the run: a schema that has changed makes SQLite prepare it again, with other columns.
  for (int column = 0; column < sqlite3_column_count(statement); ++column) {
    result->columns.push_back(
        {OrEmpty(sqlite3_column_name(statement, column)), OrEmpty(sqlite3_column_decltype(statement, column))});
  }
  return absl::OkStatus();
}

absl::StatusOr<Result> Connection::Execute(absl::string_view sql, absl::Span<const Value> params) {
  if (!usable()) return ended_;
  if (sqlite3_get_autocommit(db_.get()) != 0) return absl::InternalError("SQL outside a transaction");
  if (sql.size() > static_cast<size_t>(limits_.statement_bytes_max)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the statement has ", sql.size(), " bytes; at most ", limits_.statement_bytes_max));
  }
  Files::Scope scope(&files_);
  auto statement = Take(sql);
  if (!statement.ok()) {
    CheckTransaction(statement.status());
    return statement.status();
  }
  Result result;
  const int64_t written_before = sqlite3_total_changes64(db_.get());
  absl::Status status = Bind(statement->get(), params);
  if (status.ok()) status = Step(statement->get(), &result);
  result.vm_steps = sqlite3_stmt_status(statement->get(), SQLITE_STMTSTATUS_VM_STEP, /*resetFlg=*/1);
  result.rows_written = sqlite3_total_changes64(db_.get()) - written_before;
  result.last_insert_rowid = sqlite3_last_insert_rowid(db_.get());
  Keep(sql, *std::move(statement));
  CheckTransaction(status);
  if (!status.ok()) return status;
  if (!usable()) return ended_;
  return result;
}

absl::Status Connection::Run(const Statement& statement) {
  if (!usable()) return ended_;
  Files::Scope scope(&files_);
  own_sql_ = true;
  const int stepped = sqlite3_step(statement.get());
  absl::Status status = stepped == SQLITE_DONE ? absl::OkStatus() : Error();
  sqlite3_reset(statement.get());
  own_sql_ = false;
  if (!status.ok()) GiveUp(status);
  return status;
}

absl::Status Connection::Begin() { return Run(begin_); }

absl::Status Connection::Commit() { return Run(commit_); }

void Connection::Rollback() {
  if (!usable() || sqlite3_get_autocommit(db_.get()) != 0) return;
  if (sqlite3_txn_state(db_.get(), "main") == SQLITE_TXN_WRITE) {
    GiveUp(absl::AbortedError("the turn that this SQL connection was for has failed"));
  } else {
    (void)Run(rollback_);
  }
}

}  // namespace holdfast::storage::sql
