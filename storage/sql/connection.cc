#include "storage/sql/connection.h"

#include <sqlite3.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/sql/functions.h"

namespace holdfast::storage::sql {
namespace {

// What a value costs beyond its bytes in a reply.
constexpr size_t kValueOverheadBytes = 16;
// And in memory, beside a copy of its bytes: as a Value and as the message that is made of it. So a row, too.
constexpr size_t kValueMemoryBytes = 88;
constexpr size_t kRowMemoryBytes = 128;

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

size_t BytesOf(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text->size();
  if (const auto* blob = std::get_if<Blob>(&value)) return blob->bytes.size();
  return sizeof(int64_t);
}

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
      budget_(options.limits.time_max, std::move(options.now), std::move(options.stop), std::move(options.yield)),
      heap_(options.limits.heap_bytes_max, &budget_, options.heap_total),
      files_(pages, &heap_, &budget_, options.temp_space, options.limits.temp_bytes_max),
      long_statements_(options.long_statements == nullptr ? &own_long_statements_ : options.long_statements) {}

Connection::~Connection() {
  // Closing rolls back what is open, which would write.
  files_.GiveUp();
}

absl::Status Connection::OpenDatabase(bool check_constraints) {
  Files::Scope scope(&files_);
  sqlite3* db = nullptr;
  const int opened =
      sqlite3_open_v2("object", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, VfsName());
  db_.reset(db);
  if (opened != SQLITE_OK) return Error();
  // Its steps are those of reading the schema, too.
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
  const bool temp_full = files_.TakeTempFull();
  const int code = db_ == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(db_.get());
  const std::string message = db_ == nullptr ? "out of memory" : sqlite3_errmsg(db_.get());
  if (!own_sql_ && budget_.is_short()) {
    if (budget_.spent() || temp_full || code == SQLITE_TOOBIG || code == SQLITE_FULL || (code & 0xff) == SQLITE_NOMEM) {
      return NeedsWorker();
    }
  } else if (!own_sql_ && budget_.spent()) {
    return TookTooLong();
  }
  if (temp_full) {
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
    // SQLite says so too of a program that is too long.
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
    // What has only read leaves nothing that is wrong.
    if (only_read && !status.ok()) {
      stuck_ = status;
    } else {
      GiveUp(status);
    }
  } else if (IsNeedsWorker(status) || FailureOf(status).kind == FailureKind::kTimeLimit) {
    stuck_ = status;
  }
}

absl::StatusOr<Connection::Prepared> Connection::Prepare(absl::string_view sql) {
  Prepared prepared;
  prepared.text = sql;
  // Whether what follows the statement is more than comments and blanks only SQLite can tell.
  for (absl::string_view rest = sql; !rest.empty();) {
    authorizer_.Begin();
    sqlite3_stmt* next = nullptr;
    const char* tail = nullptr;
    const int result = sqlite3_prepare_v3(db_.get(), rest.data(), static_cast<int>(rest.size()),
                                          SQLITE_PREPARE_PERSISTENT, &next, &tail);
    const Statement owned(next);
    if (prepared.statement != nullptr && (result != SQLITE_OK || next != nullptr)) {
      // What is wrong with it may be right after this one has run.
      prepared.tail = rest;
      prepared.text = sql.substr(0, sql.size() - rest.size());
      break;
    }
    if (result != SQLITE_OK) return Error();
    if (next != nullptr) {
      prepared.statement = Statement(const_cast<Statement&>(owned).release());
      prepared.alters = authorizer_.alters();
      prepared.is_pragma = authorizer_.is_pragma();
      prepared.authorized_as_short = authorizer_.is_short();
      prepared.changes_schema = authorizer_.changes_schema();
    }
    rest.remove_prefix(static_cast<size_t>(tail - rest.data()));
  }
  if (prepared.statement == nullptr) {
    return MakeFailure({.kind = FailureKind::kSqlError}, "there is no statement");
  }
  return prepared;
}

absl::StatusOr<Connection::Prepared> Connection::Take(absl::string_view sql) {
  auto found = by_text_.find(sql);
  if (found == by_text_.end()) return Prepare(sql);
  auto cached = found->second;
  Prepared prepared = std::move(cached->prepared);
  prepared.text = sql;
  by_text_.erase(found);
  cached_.erase(cached);
  cached_bytes_ -= prepared.bytes;
  return prepared;
}

void Connection::DropOldestStatement() {
  by_text_.erase(cached_.back().sql);
  cached_bytes_ -= cached_.back().prepared.bytes;
  cached_.pop_back();
}

void Connection::Keep(Prepared prepared) {
  sqlite3_reset(prepared.statement.get());
  sqlite3_clear_bindings(prepared.statement.get());
  const absl::string_view sql = prepared.text;
  // PRAGMA defer_foreign_keys takes effect when it is prepared, so a transaction must prepare its own.
  if (prepared.is_pragma || sql.size() > kCachedStatementBytesMax || !usable() || by_text_.contains(sql)) return;
  if (prepared.bytes == 0) {
    prepared.bytes = static_cast<size_t>(
        std::max(1, sqlite3_stmt_status(prepared.statement.get(), SQLITE_STMTSTATUS_MEMUSED, /*resetFlg=*/0)));
  }
  if (prepared.bytes > kCachedStatementsBytesMax) return;
  while (!cached_.empty() &&
         (cached_.size() == kCachedStatementsMax || cached_bytes_ + prepared.bytes > kCachedStatementsBytesMax)) {
    DropOldestStatement();
  }
  cached_bytes_ += prepared.bytes;
  cached_.push_front({std::string(sql), std::move(prepared)});
  cached_.front().prepared.text = {};
  by_text_.emplace(cached_.front().sql, cached_.begin());
}

absl::StatusOr<Program> Connection::Examine(const Prepared& prepared, bool whole) {
  const absl::string_view sql = WithoutEmptyStatements(sqlite3_sql(prepared.statement.get()));
  auto explain = Prepare(absl::StrCat("EXPLAIN ", sql));
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

absl::Status Connection::MayRun(Prepared* prepared, absl::Span<const Value> params) {
  if (prepared->schema_changes != schema_changes_) {
    prepared->schema_changes = schema_changes_;
    prepared->is_short.reset();
    prepared->value_bytes_max.reset();
  }
  return budget_.is_short() ? MayRunShort(prepared, params) : MayRunLong(prepared);
}

absl::Status Connection::MayRunShort(Prepared* prepared, absl::Span<const Value> params) {
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

absl::Status Connection::MayRunLong(Prepared* prepared) {
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

absl::Status Connection::Bind(sqlite3_stmt* statement, absl::Span<const Value> params) {
  const int wanted = sqlite3_bind_parameter_count(statement);
  if (static_cast<size_t>(wanted) != params.size()) {
    return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_RANGE},
                       absl::StrCat("the statement has ", wanted, " parameters; ", params.size(), " are given"));
  }
  for (int i = 0; i < wanted; ++i) {
    const Value& value = params[static_cast<size_t>(i)];
    if (BytesOf(value) > static_cast<size_t>(limits_.value_bytes_max)) {
      return MakeFailure(
          {.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_TOOBIG},
          absl::StrCat("parameter ", i + 1, " is too big: it has over ", limits_.value_bytes_max, " bytes"));
    }
    if (std::visit(Binder{statement, i + 1}, value) != SQLITE_OK) return Error();
  }
  return absl::OkStatus();
}

absl::Status Connection::ReadRow(sqlite3_stmt* statement, Result* result) {
  Row row;
  const int columns = sqlite3_data_count(statement);
  row.reserve(static_cast<size_t>(columns));
  results_.memory_bytes += kRowMemoryBytes;
  for (int column = 0; column < columns; ++column) {
    // Not of numbers, which this would turn into text.
    const int type = sqlite3_column_type(statement, column);
    const size_t size = type == SQLITE_TEXT || type == SQLITE_BLOB ? ColumnBytes(statement, column).size() : 0;
    if (size > static_cast<size_t>(limits_.value_bytes_max)) {
      return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_TOOBIG},
                         absl::StrCat("column ", column + 1, " of the result is too big: it has over ",
                                      limits_.value_bytes_max, " bytes"));
    }
    results_.bytes += kValueOverheadBytes + size;
    results_.memory_bytes += kValueMemoryBytes + 2 * size;
    if (results_.bytes > limits_.result_bytes_max || results_.memory_bytes > limits_.result_memory_bytes_max) {
      const bool on_the_wire = results_.bytes > limits_.result_bytes_max;
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

absl::Status Connection::Step(sqlite3_stmt* statement, Result* result, bool* has_row) {
  while (true) {
    const int stepped = sqlite3_step(statement);
    if (stepped == SQLITE_DONE) break;
    if (stepped != SQLITE_ROW) return Error();
    if (has_row != nullptr) {
      *has_row = true;
      return absl::OkStatus();
    }
    absl::Status status = ReadRow(statement, result);
    if (status.ok()) continue;
    // What it has written is written.
    if (sqlite3_stmt_readonly(statement) == 0) GiveUp(status);
    return status;
  }
  // After the run: a schema that has changed makes SQLite prepare it again, with other columns.
  for (int column = 0; column < sqlite3_column_count(statement); ++column) {
    result->columns.push_back(
        {OrEmpty(sqlite3_column_name(statement, column)), OrEmpty(sqlite3_column_decltype(statement, column))});
  }
  return absl::OkStatus();
}

absl::Status Connection::RunStatement(Prepared* prepared, absl::Span<const Value> params, Result* result,
                                      bool* has_row) {
  sqlite3_stmt* statement = prepared->statement.get();
  if (has_row != nullptr && sqlite3_stmt_readonly(statement) == 0) {
    return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_READONLY}, "the query writes");
  }
  const int64_t written_before = sqlite3_total_changes64(db_.get());
  // Of what its preparation was told.
  authorizer_.Begin();
  const int value_bytes_max = budget_.is_short() ? kShortValueBytes : *prepared->value_bytes_max;
  sqlite3_limit(db_.get(), SQLITE_LIMIT_LENGTH, value_bytes_max);
  absl::Status status = Bind(statement, params);
  if (status.ok()) status = Step(statement, result, has_row);
  // ALTER TABLE has what a query of its own that it runs would have.
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

absl::Status Connection::RunStatements(absl::string_view sql, absl::Span<const Value> params, Result* result) {
  const ResultSize results_before = results_;
  while (true) {
    const bool was_writing = sqlite3_txn_state(db_.get(), "main") == SQLITE_TXN_WRITE;
    auto prepared = Take(sql);
    if (!prepared.ok()) {
      CheckTransaction(prepared.status(), !was_writing);
      return prepared.status();
    }
    const bool only_read = !was_writing && sqlite3_stmt_readonly(prepared->statement.get()) != 0;
    const absl::string_view tail = prepared->tail;
    absl::Status status = MayRun(&*prepared, params);
    if (status.ok() && !tail.empty() &&
        (!params.empty() || sqlite3_bind_parameter_count(prepared->statement.get()) > 0)) {
      status = MakeFailure({.kind = FailureKind::kSqlError}, "there is more than one statement, and parameters");
    }
    if (status.ok()) {
      result->columns.clear();
      result->rows.clear();
      results_ = results_before;
      status = RunStatement(&*prepared, params, result, nullptr);
    }
    if (status.ok() && prepared->alters) status = CheckNames();
    prepared->tail = {};
    Keep(*std::move(prepared));
    CheckTransaction(status, only_read);
    if (!status.ok()) results_ = results_before;
    if (!status.ok()) return status;
    if (!usable()) return ended_;
    if (tail.empty()) return absl::OkStatus();
    sql = tail;
  }
}

absl::Status Connection::Check(absl::string_view sql) {
  if (!usable()) return ended_;
  if (!stuck_.ok()) return stuck_;
  if (sqlite3_get_autocommit(db_.get()) != 0) return absl::InternalError("SQL outside a transaction");
  if (sql.size() > static_cast<size_t>(limits_.statement_bytes_max)) {
    return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_TOOBIG},
                       absl::StrCat("the statement has ", sql.size(), " bytes; at most ", limits_.statement_bytes_max));
  }
  // SQLite would end there.
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
    prepared->tail = {};
    Keep(*std::move(prepared));
  }
  CheckTransaction(status, !was_writing);
  if (!status.ok()) return status;
  return has_row;
}

absl::Status Connection::Run(const Statement& statement) {
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
  // It has its name already.
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
  ForgetResults();
  (void)files_.TakeTempFull();
  BeginBudget(where);
  return Run(begin_);
}

absl::Status Connection::SetForeignKeys(bool enforced) {
  if (!usable()) return ended_;
  if (!stuck_.ok()) return stuck_;
  if (budget_.is_short()) return stuck_ = NeedsWorker();
  if (enforced == foreign_keys_) return absl::OkStatus();
  turn_has_writes_ = turn_has_writes_ || sqlite3_txn_state(db_.get(), "main") == SQLITE_TXN_WRITE;
  if (absl::Status status = Run(commit_); !status.ok()) return status;
  if (sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_ENABLE_FKEY, enforced ? 1 : 0, nullptr) != SQLITE_OK) {
    const absl::Status status = Error();
    GiveUp(status);
    return status;
  }
  foreign_keys_ = enforced;
  // Statements are prepared anew, with or without what foreign keys make of them.
  ++schema_changes_;
  return Run(begin_);
}

absl::Status Connection::Commit() {
  if (!usable()) return ended_;
  if (!stuck_.ok()) return stuck_;
  if (!foreign_keys_) {
    GiveUp(absl::InternalError("a transaction has ended with foreign keys off"));
    return ended_;
  }
  if (absl::Status status = GiveFreePagesBack(); !status.ok()) return status;
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
  while (!cached_.empty()) DropOldestStatement();
  sqlite3_db_release_memory(db_.get());
}

}  // namespace holdfast::storage::sql
