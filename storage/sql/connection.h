// SQLite on the database of one object, a transaction for each turn.
//
//   Begin()  Execute()...  Commit()    the pages are in the page source; its owner lets them join the turn
//   Begin()  Execute()...  Rollback()  the owner drops the pages of the turn
//
// Time: on a worker the SQL of a transaction may take up to limits.time_max. On the object's executor nothing may take
// long: a statement runs there only if it is short (short_statements.h), and only until the budget of the transaction
// is spent. If it is long, or the page source needs the disk, the call returns NeedsWorker(), and so does every call
// until Rollback(). The whole transaction is then to be run again on a worker, by this connection if it is usable().
//
// SQLite's own rollback is not relied upon after a write: if one write fails, so do those that would undo the others.
// The pages of the turn are dropped instead, and the connection, whose cache has them, is given up: usable() is false,
// and every call fails with the error that has ended the connection. This happens after an error of the page source,
// after a statement that has ended the transaction by itself (OR ROLLBACK, and all errors that are not of the SQL), and
// after a failed Commit(). A transaction that has only read is rolled back, whatever its error. Opening a connection
// again takes some 70 us.
//
// Foreign keys are enforced in every transaction from Begin() on. SetForeignKeys() switches them in the middle of a
// transaction; Commit() and Rollback() give a connection up rather than let it go on with them off.
//
// Scripts: the call is the transaction, so BEGIN and COMMIT are refused, but for a pair of them in one text of several
// statements, where they change nothing. Such a text may switch foreign keys, too (PRAGMA foreign_keys, outside the
// pair), until its end. This lets a dump of sqlite3's shell run, and the rebuild of a table as SQLite documents it.
//
// Memory: SQLite's memory is counted and bounded (heap.h). limits.cache_bytes of pages and the prepared statements of
// statement_cache.h stay between turns.
//
// Ownership: the page source, and all that the options point to, outlive the connection. Threading: one thread at a
// time; which one may change between calls. A call blocks for as long as its SQL runs.
//
// Errors of Execute() and Query(), each with SQLite's message and code (failure.h):
//   INVALID_ARGUMENT     kSqlError: the statement is not SQL that is allowed here, or fails by what it computes
//   FAILED_PRECONDITION  kConstraint
//   RESOURCE_EXHAUSTED   all that is bounded: the database, the turn, temporary files, memory, the result, the time
//   NeedsWorker(), DATA_LOSS, and others of the page source
// While usable() the statement has left nothing behind (but for OR FAIL, and, of several in one text, those before it),
// and, but for NeedsWorker(), kTimeLimit and kMemory, the turn may go on.

#ifndef HOLDFAST_STORAGE_SQL_CONNECTION_H_
#define HOLDFAST_STORAGE_SQL_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/sql/authorizer.h"
#include "storage/sql/budget.h"
#include "storage/sql/failure.h"
#include "storage/sql/heap.h"
#include "storage/sql/page_source.h"
#include "storage/sql/program.h"
#include "storage/sql/settings.h"
#include "storage/sql/short_statements.h"
#include "storage/sql/statement_cache.h"
#include "storage/sql/statement_values.h"
#include "storage/sql/temp_space.h"
#include "storage/sql/value.h"
#include "storage/sql/vfs.h"

struct sqlite3_stmt;

namespace holdfast::storage::sql {

enum class Where { kExecutor, kWorker };

struct ConnectionOptions {
  Limits limits;
  // The clock of SQL's functions for the time. Required.
  absl::AnyInvocable<absl::Time()> now;
  // The clock of limits.time_max, which never steps. Null: `now`.
  absl::AnyInvocable<absl::Time()> steady = nullptr;
  // Returns whether the SQL is to end now, as if its time were over. Called now and then on a worker, if not null.
  absl::AnyInvocable<bool()> stop;
  // Waits, if others are to run, and returns for how long; this does not count in the time. Called like `stop`.
  absl::AnyInvocable<absl::Duration()> yield;
  // Null: there is no bound on all connections together.
  HeapTotal* heap_total = nullptr;
  // Null: temporary files are in memory.
  TempSpace* temp_space = nullptr;
  // Writes must satisfy CHECK constraints, and quick_check looks at them.
  bool check_constraints = true;
  // The thread on which Open() runs.
  Where where = Where::kWorker;
  // The statements that turned out to be long. Null: they are forgotten with the connection.
  LongStatements* long_statements = nullptr;
};

class Connection {
 public:
  // Opens the database and reads its schema, which takes milliseconds for hundreds of tables. It is bounded as a
  // transaction is: NeedsWorker() on the executor, kTimeLimit on a worker. Other errors: those of the page source;
  // DATA_LOSS if it holds no database.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(PageSource* pages, ConnectionOptions options);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  // Does not roll an open transaction back: the page source stays as it is.
  ~Connection();

  absl::Status Begin(Where where);
  // Runs a statement in the transaction to its end. `params` are ?1, ?2, ... in order, exactly as many as it has.
  // Several statements, none of which has parameters, run one after the other: the result is that of the last, with the
  // steps and the rows written of all.
  absl::StatusOr<Result> Execute(absl::string_view sql, absl::Span<const Value> params);
  // Stops counting the results so far. The results of a transaction are bounded together, since most callers keep them
  // for one reply; a caller that has dropped them calls this.
  void ForgetResults() { results_.set_size({}); }
  // Switches the enforcement of foreign keys for the statements that follow in this transaction. SQLite can do so only
  // between two of its own transactions, so this commits one, which checks deferred constraints, and begins another. To
  // the page source they are one, and Rollback() undoes both. NeedsWorker() on the executor. Before foreign keys are on
  // again all of them must hold in the whole database: kConstraint names the first that does not, and ends the
  // connection.
  absl::Status SetForeignKeys(bool enforced);
  // From now to the end of the transaction statements that write are refused: kSqlError with SQLITE_READONLY.
  void SetReadOnly() { read_only_ = true; }
  // Runs a statement, which may only read, to its first row. Returns whether there is one.
  absl::StatusOr<bool> Query(absl::string_view sql, absl::Span<const Value> params);
  // Commits the transaction. First it gives some free pages back, if there are many. FAILED_PRECONDITION if a deferred
  // constraint does not hold. Foreign keys must be enforced again by then.
  absl::Status Commit();
  // Ends the transaction. The connection stays usable() only if the transaction has only read.
  void Rollback();

  bool usable() const { return ended_.ok(); }

  // Bytes of memory that SQLite has now, for pages, statements and the schema.
  size_t memory_bytes() const { return heap_.bytes(); }
  // Frees the memory that SQLite can do without. Not in a transaction.
  void ReleaseMemory();

  // These two are for tests and measurements.
  size_t TakeMemoryPeak() { return heap_.TakePeak(); }
  size_t cached_statements() const { return cache_.size(); }

  // Commit() gives pages back if at least this many are free, and at least one in kFreePagesShare of all pages.
  static constexpr uint32_t kFreePagesMin = 32;
  static constexpr uint32_t kFreePagesShare = 8;
  // Pages that one Commit() gives back.
  static constexpr uint32_t kGivenBackOnExecutor = 16;
  static constexpr uint32_t kGivenBackOnWorker = 256;

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  // The state of a text that has BEGIN, COMMIT or PRAGMA foreign_keys.
  struct Script {
    bool open = false;   // after BEGIN, before COMMIT
    bool began = false;  // had a BEGIN
    bool switches_foreign_keys = false;
  };

  Connection(PageSource* pages, ConnectionOptions options);

  absl::Status OpenDatabase(bool check_constraints);
  void BeginBudget(Where where);
  // Returns an error if the connection takes no call now, or not this text.
  absl::Status Check(absl::string_view sql);
  // Returns the first statement of the text, from the cache or prepared anew.
  absl::StatusOr<PreparedStatement> Take(absl::string_view sql);
  absl::StatusOr<PreparedStatement> Prepare(absl::string_view sql);
  // Prepares the first statement of the text. `*statement` is null if the text has only comments and blanks; `*tail` is
  // the end of the statement.
  absl::Status PrepareFirst(absl::string_view sql, StatementPtr* statement, const char** tail);
  absl::Status TooLong() const;
  // Puts the statement back into the cache, or ends it.
  void KeepStatement(PreparedStatement prepared);
  // Returns an error if the statement may not run where the transaction does.
  absl::Status MayRun(PreparedStatement* prepared, absl::Span<const Value> params);
  absl::Status MayRunShort(PreparedStatement* prepared, absl::Span<const Value> params);
  absl::Status MayRunLong(PreparedStatement* prepared);
  // Looks at the opcodes of the statement: at all of them with `whole`, else until it is known to be long.
  absl::StatusOr<Program> Examine(const PreparedStatement& prepared, bool whole);
  // Runs all statements of a text.
  absl::Status RunStatements(absl::string_view sql, absl::Span<const Value> params, Result* result);
  absl::Status RunOneOf(PreparedStatement* prepared, absl::Span<const Value> params, Result* result);
  absl::Status RunControl(Control control, Script* script);
  // Checks the pairs of the text, and puts foreign keys back to what they were before it.
  absl::Status EndScript(const Script& script, bool foreign_keys);
  // Runs a statement to its end, or, if `has_row` is not null, to its first row.
  absl::Status RunStatement(PreparedStatement* prepared, absl::Span<const Value> params, Result* result, bool* has_row);
  absl::Status Step(sqlite3_stmt* statement, Result* result, bool* has_row);
  // Returns kConstraint, naming the first row that refers to nothing, if there is such a row.
  absl::Status CheckForeignKeys();
  static absl::Status Refused(absl::string_view why);
  absl::Status CheckNames();
  absl::Status GiveFreePagesBack();
  // These two run our own statements.
  absl::Status Run(const StatementPtr& statement);
  absl::StatusOr<int64_t> RunForNumber(const std::string& sql);
  absl::Status TookTooLong() const;
  // Returns the error of SQLite's last call, which has failed.
  absl::Status Error();
  // Returns whether SQLITE_FULL may mean that an AUTOINCREMENT column, not the database, is full.
  bool AutoincrementIsUsedUp();
  // Decides from the outcome of a statement whether the transaction, and the connection, can go on.
  void CheckTransaction(const absl::Status& status, bool only_read);
  void GiveUp(absl::Status why);

  const Limits limits_;
  Budget budget_;
  Heap heap_;
  Files files_;
  LongStatements own_long_statements_;
  LongStatements* const long_statements_;
  Authorizer authorizer_;
  absl::Status ended_;
  absl::Status stuck_;   // the error that every call gets until Rollback()
  bool own_sql_ = true;  // the SQL that runs now is ours, not the client's
  std::unique_ptr<sqlite3, Close> db_;
  ResultReader results_;
  bool foreign_keys_ = true;      // foreign keys are enforced
  bool read_only_ = false;        // the transaction may not write
  bool turn_has_writes_ = false;  // SetForeignKeys() has committed writes of this turn
  // Grows with each statement that may have changed the schema or its statistics.
  uint64_t schema_changes_ = 0;
  StatementPtr begin_;
  StatementPtr commit_;
  StatementPtr rollback_;
  StatementCache cache_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_CONNECTION_H_
