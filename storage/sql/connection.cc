#include "storage/sql/connection.h"

#include <sqlite3.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/base/check.h"
#include "storage/sql/functions.h"

namespace holdfast::storage::sql {
namespace {

FailureKind KindOf(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_CONSTRAINT:
      return FailureKind::kConstraint;
    case SQLITE_ERROR:
    case SQLITE_AUTH:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
      return FailureKind::kSqlError;
    case SQLITE_FULL:
      return FailureKind::kDatabaseFull;
    case SQLITE_NOMEM:
      return FailureKind::kMemory;
    default:
      return FailureKind::kOther;
  }
}

}  // namespace

void Connection::Close::operator()(sqlite3* db) const { sqlite3_close(db); }

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(PageSource* pages, ConnectionOptions options) {
  const bool check_constraints = options.check_constraints;
  const Where where = options.where;
  std::unique_ptr<Connection> connection(new Connection(pages, std::move(options)));
  connection->BeginBudget(where);
  absl::Status status = connection->OpenDatabase(check_constraints);
  if (status.ok()) return connection;
  if (!connection->budget_.spent()) return status;
  return where == Where::kExecutor ? NeedsWorker() : connection->TookTooLong();
}

Connection::Connection(PageSource* pages, ConnectionOptions options)
    : limits_(options.limits),
      budget_(options.limits.time_max, std::move(options.now), std::move(options.steady), std::move(options.stop),
              std::move(options.yield)),
      heap_(options.limits.heap_bytes_max, &budget_, options.heap_total),
      files_(pages, &heap_, &budget_, options.temp_space, options.limits.temp_bytes_max),
      long_statements_(options.long_statements == nullptr ? &own_long_statements_ : options.long_statements),
      results_(limits_) {}

Connection::~Connection() {
  // Closing rolls back an open transaction, which would write.
  files_.GiveUp();
}

absl::Status Connection::OpenDatabase(bool check_constraints) {
  Files::Scope scope(&files_);
  sqlite3* db = nullptr;
  const int opened =
      sqlite3_open_v2("object", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, VfsName());
  db_.reset(db);
  if (opened != SQLITE_OK) return Error();
  // The steps of reading the schema count, too.
  sqlite3_progress_handler(
      db, Budget::kStepsBetweenCalls,
      [](void* self) { return static_cast<Connection*>(self)->budget_.Steps() ? 0 : 1; }, this);
  if (Configure(db, limits_) != SQLITE_OK || RegisterFunctions(db, &budget_) != SQLITE_OK) return Error();

  for (auto [statement, sql] : {std::pair{&begin_, "BEGIN"}, {&commit_, "COMMIT"}, {&rollback_, "ROLLBACK"}}) {
    auto prepared = Prepare(sql);
    if (!prepared.ok()) return prepared.status();
    *statement = std::move(prepared->statement);
  }
  if (!check_constraints &&
      sqlite3_exec(db, "PRAGMA ignore_check_constraints=ON", nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Error();
  }
  sqlite3_set_authorizer(
      db,
      [](void* self, int action, const char* first, const char* second, const char* database, const char*) {
        auto* connection = static_cast<Connection*>(self);
        if (connection->own_sql_) return SQLITE_OK;
        return connection->authorizer_.Check(action, first, second, database);
      },
      this);
  own_sql_ = false;
  return absl::OkStatus();
}

absl::Status Connection::TookTooLong() const {
  return MakeFailure({.kind = FailureKind::kTimeLimit, .sqlite_code = SQLITE_INTERRUPT},
                     absl::StrCat("the SQL was interrupted: it may take ", absl::FormatDuration(budget_.time_max())));
}

absl::Status Connection::Error() {
  if (absl::Status error = files_.error(); !error.ok()) {
    if (!absl::IsResourceExhausted(error) || FailureOf(error).kind != FailureKind::kOther) return error;
    return WithFailure(std::move(error), {.kind = FailureKind::kTurnTooLarge});
  }
  const TempFull temp_full = files_.TakeTempFull();
  const int code = db_ == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(db_.get());
  const std::string message = db_ == nullptr ? "out of memory" : sqlite3_errmsg(db_.get());
  if (!own_sql_ && budget_.is_short()) {
    if (budget_.spent() || temp_full != TempFull::kNo || code == SQLITE_TOOBIG || code == SQLITE_FULL ||
        (code & 0xff) == SQLITE_NOMEM) {
      return NeedsWorker();
    }
  } else if (!own_sql_ && budget_.spent()) {
    return TookTooLong();
  }
  if (temp_full == TempFull::kSpace) {
    return MakeFailure(
        {.kind = FailureKind::kBusy, .sqlite_code = code},
        "the temporary files of the server have no room (sql.temp_bytes_of_all_max, sql.temp_files_max)");
  }
  if (temp_full == TempFull::kConnection) {
    return MakeFailure({.kind = FailureKind::kTempFull, .sqlite_code = code},
                       "what is sorted, or held in between, is too large for its temporary files");
  }
  if (!own_sql_ && code == SQLITE_FULL && AutoincrementIsUsedUp()) {
    return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = code},
                       "an AUTOINCREMENT column has had its largest value, so there is none left");
  }
  const Failure failure = {.kind = KindOf(code), .sqlite_code = code};
  if (failure.kind == FailureKind::kMemory) {
    const bool too_deep = heap_.TakeTooDeep();
    const bool refused = heap_.TakeRefused();
    if (heap_.TakeOfAllRefused()) {
      return MakeFailure({.kind = FailureKind::kBusy, .sqlite_code = code},
                         "the SQL that is under way takes all the memory that it may (sql.heap_bytes_of_all_max)");
    }
    const Failure too_large = {.kind = FailureKind::kSqlError, .sqlite_code = code};
    if (too_deep) {
      return MakeFailure(too_large, "the views, triggers and foreign keys of the statement lead too deep");
    }
    // SQLite also reports a lack of memory if a program is too long.
    if (!refused) return MakeFailure(too_large, "the statement is too large: what it comes to has too many steps");
  }
  if (!authorizer_.refusal().empty()) {
    return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = code}, authorizer_.refusal());
  }
  if (failure.kind != FailureKind::kOther) return MakeFailure(failure, message);
  const bool damaged = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
  return WithFailure(damaged ? absl::DataLossError(message) : absl::InternalError(message), failure);
}

bool Connection::AutoincrementIsUsedUp() {
  const auto counts = RunForNumber("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'");
  if (!counts.ok() || *counts == 0) return false;
  const auto largest = RunForNumber("SELECT max(seq) FROM sqlite_sequence");
  return largest.ok() && *largest == std::numeric_limits<int64_t>::max();
}

void Connection::GiveUp(absl::Status why) {
  if (!usable()) return;
  ended_ = why.ok() ? absl::InternalError("the SQL transaction has ended") : std::move(why);
  files_.GiveUp();
}

void Connection::CheckTransaction(const absl::Status& status, bool only_read) {
  if (!files_.error().ok()) {
    if (only_read && IsNeedsWorker(files_.error())) {
      stuck_ = files_.error();
    } else {
      GiveUp(Error());
    }
  } else if (absl::IsDataLoss(status)) {
    GiveUp(status);
  } else if (sqlite3_get_autocommit(db_.get()) != 0) {
    // A transaction that has only read leaves nothing wrong behind.
    if (only_read && !status.ok()) {
      stuck_ = status;
    } else {
      GiveUp(status);
    }
  } else if (IsNeedsWorker(status) || FailureOf(status).kind == FailureKind::kTimeLimit) {
    stuck_ = status;
  }
}

absl::Status Connection::Step(sqlite3_stmt* statement, Result* result, bool* has_row) {
  while (true) {
    const int stepped = sqlite3_step(statement);
    if (stepped == SQLITE_DONE) break;
    if (stepped != SQLITE_ROW) return Error();
    if (has_row != nullptr) {
      *has_row = true;
      return absl::OkStatus();
    }
    absl::Status status = results_.ReadRow(statement, result);
    if (status.ok()) continue;
    // The statement may have written already, so the connection cannot go on.
    if (sqlite3_stmt_readonly(statement) == 0) GiveUp(status);
    return status;
  }
  ResultReader::ReadColumns(statement, result);
  return absl::OkStatus();
}

absl::Status Connection::RunStatement(PreparedStatement* prepared, absl::Span<const Value> params, Result* result,
                                      bool* has_row) {
  sqlite3_stmt* statement = prepared->statement.get();
  if ((has_row != nullptr || read_only_) && sqlite3_stmt_readonly(statement) == 0) {
    return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_READONLY},
                       read_only_ ? "the statement writes, and the request is read_only" : "the query writes");
  }
  if (prepared->control != Control::kNone) return Refused("a query is no BEGIN, COMMIT or PRAGMA foreign_keys");
  const int64_t written_before = sqlite3_total_changes64(db_.get());
  // Forgets what the authorizer has found when a statement was prepared.
  authorizer_.Begin();
  const int value_bytes_max = budget_.is_short() ? kShortValueBytes : *prepared->value_bytes_max;
  sqlite3_limit(db_.get(), SQLITE_LIMIT_LENGTH, value_bytes_max);
  absl::Status status = CheckParams(statement, params, limits_);
  if (status.ok() && BindParams(statement, params) != SQLITE_OK) status = Error();
  if (status.ok()) status = Step(statement, result, has_row);
  // ALTER TABLE runs a query of its own, and has the columns of that query.
  if (prepared->alters) result->columns.clear();
  sqlite3_limit(db_.get(), SQLITE_LIMIT_LENGTH, limits_.row_bytes_max);
  if (FailureOf(status).sqlite_code == SQLITE_TOOBIG && value_bytes_max < limits_.row_bytes_max) {
    status = MakeFailure(FailureOf(status), absl::StrCat(status.message(), "; in a statement that computes so much ",
                                                         "for each row, values may have ", value_bytes_max, " bytes"));
  }
  if (prepared->changes_schema) ++schema_changes_;
  const int steps = sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, /*resetFlg=*/1);
  result->vm_steps += steps;
  result->rows_written += sqlite3_total_changes64(db_.get()) - written_before;
  result->last_insert_rowid = sqlite3_last_insert_rowid(db_.get());
  if (budget_.TakeStatement(steps)) {
    if (!budget_.is_short()) long_statements_->Forget(prepared->text);
  } else if (budget_.is_short()) {
    long_statements_->Remember(prepared->text);
  }
  return status;
}

absl::Status Connection::Check(absl::string_view sql) {
  if (!usable()) return ended_;
  if (!stuck_.ok()) return stuck_;
  if (sqlite3_get_autocommit(db_.get()) != 0) return absl::InternalError("SQL outside a transaction");
  // SQLite would end the text at the NUL.
  if (absl::StrContains(sql, '\0')) {
    return MakeFailure({.kind = FailureKind::kSqlError}, "the statement has a NUL");
  }
  if (budget_.is_short() && sql.size() > kShortStatementBytes) stuck_ = NeedsWorker();
  return stuck_;
}

absl::StatusOr<Result> Connection::Execute(absl::string_view sql, absl::Span<const Value> params) {
  if (absl::Status status = Check(sql); !status.ok()) return status;
  Files::Scope scope(&files_);
  Result result;
  if (absl::Status status = RunStatements(sql, params, &result); !status.ok()) return status;
  return result;
}

absl::StatusOr<bool> Connection::Query(absl::string_view sql, absl::Span<const Value> params) {
  if (absl::Status status = Check(sql); !status.ok()) return status;
  Files::Scope scope(&files_);
  const bool was_writing = sqlite3_txn_state(db_.get(), "main") == SQLITE_TXN_WRITE;
  bool has_row = false;
  auto prepared = Take(sql);
  absl::Status status = prepared.status();
  if (status.ok()) {
    Result result;
    if (!prepared->tail.empty()) {
      status = MakeFailure({.kind = FailureKind::kSqlError}, "there is more than one statement");
    }
    if (status.ok()) status = MayRun(&*prepared, params);
    if (status.ok()) status = RunStatement(&*prepared, params, &result, &has_row);
    KeepStatement(*std::move(prepared));
  }
  CheckTransaction(status, !was_writing);
  if (!status.ok()) return status;
  return has_row;
}

absl::Status Connection::Run(const StatementPtr& statement) {
  if (!usable()) return ended_;
  Files::Scope scope(&files_);
  own_sql_ = true;
  budget_.set_paused(true);
  authorizer_.Begin();
  const int stepped = sqlite3_step(statement.get());
  absl::Status status = stepped == SQLITE_DONE ? absl::OkStatus() : Error();
  sqlite3_reset(statement.get());
  own_sql_ = false;
  budget_.set_paused(false);
  if (!status.ok()) GiveUp(status);
  return status;
}

absl::StatusOr<int64_t> Connection::RunForNumber(const std::string& sql) {
  Files::Scope scope(&files_);
  own_sql_ = true;
  budget_.set_paused(true);
  auto prepared = Prepare(sql);
  absl::StatusOr<int64_t> number = 0;
  if (prepared.ok()) {
    int stepped;
    while ((stepped = sqlite3_step(prepared->statement.get())) == SQLITE_ROW) {
      if (sqlite3_data_count(prepared->statement.get()) > 0)
        number = sqlite3_column_int64(prepared->statement.get(), 0);
    }
    if (stepped != SQLITE_DONE) number = Error();
  } else {
    number = prepared.status();
  }
  own_sql_ = false;
  budget_.set_paused(false);
  if (!number.ok()) GiveUp(number.status());
  return number;
}

absl::Status Connection::CheckNames() {
  auto found = RunForNumber(absl::StrCat("SELECT count(*) FROM sqlite_schema WHERE lower(substr(name, 1, ",
                                         kOwnPrefix.size(), ")) = '", kOwnPrefix, "'"));
  if (!found.ok()) return found.status();
  if (*found == 0) return absl::OkStatus();
  const absl::Status refused =
      MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_AUTH},
                  absl::StrCat("the new name is not allowed: those that begin with ", kOwnPrefix, " are reserved"));
  // The new name is in the schema already.
  GiveUp(refused);
  return refused;
}

absl::Status Connection::GiveFreePagesBack() {
  if (sqlite3_txn_state(db_.get(), "main") != SQLITE_TXN_WRITE) return absl::OkStatus();
  auto free = RunForNumber("PRAGMA freelist_count");
  if (!free.ok() || *free < int64_t{kFreePagesMin}) return free.status();
  auto all = RunForNumber("PRAGMA page_count");
  if (!all.ok() || *free < *all / int64_t{kFreePagesShare}) return all.status();
  const uint32_t pages = budget_.is_short() ? kGivenBackOnExecutor : kGivenBackOnWorker;
  return RunForNumber(absl::StrCat("PRAGMA incremental_vacuum(", pages, ")")).status();
}

void Connection::BeginBudget(Where where) {
  if (where == Where::kExecutor) {
    budget_.BeginShort(heap_.bytes());
  } else {
    budget_.BeginTimed();
  }
}

absl::Status Connection::Begin(Where where) {
  if (!usable()) return ended_;
  stuck_ = absl::OkStatus();
  turn_has_writes_ = false;
  read_only_ = false;
  ForgetResults();
  (void)files_.TakeTempFull();
  BeginBudget(where);
  return Run(begin_);
}

absl::Status Connection::Commit() {
  if (!usable()) return ended_;
  if (!stuck_.ok()) return stuck_;
  if (!foreign_keys_) {
    GiveUp(absl::InternalError("a transaction has ended with foreign keys off"));
    return ended_;
  }
  if (read_only_) {
    HOLDFAST_CHECK(sqlite3_txn_state(db_.get(), "main") != SQLITE_TXN_WRITE, "a transaction that may only read");
  } else if (absl::Status status = GiveFreePagesBack(); !status.ok()) {
    return status;
  }
  return Run(commit_);
}

void Connection::Rollback() {
  if (!usable()) return;
  stuck_ = absl::OkStatus();
  if (!foreign_keys_ || turn_has_writes_ || sqlite3_txn_state(db_.get(), "main") == SQLITE_TXN_WRITE) {
    GiveUp(absl::AbortedError("the turn that this SQL connection was for has failed"));
    return;
  }
  files_.ForgetError();
  if (sqlite3_get_autocommit(db_.get()) == 0) (void)Run(rollback_);
}

void Connection::ReleaseMemory() {
  Files::Scope scope(&files_);
  cache_.Clear();
  sqlite3_db_release_memory(db_.get());
}

}  // namespace holdfast::storage::sql
