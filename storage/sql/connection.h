// SQLite on the database of one object, a transaction for each turn.
//
//   Begin()  Execute()...  Commit()    the pages are in the page source; its owner lets them join the turn
//   Begin()  Execute()...  Rollback()  the owner drops the pages of the turn
//
// Where it runs: on a worker the SQL may take long, up to limits.time_max for the transaction. On the object's executor
// nothing may. There a statement runs only if it is short (short_statements.h), and only until the budget of the
// transaction is spent; where it is not, or the page source needs the disk, the call answers NeedsWorker(), and so does
// everything until Rollback(). The whole transaction is then to be run again on a worker, by this connection if it is
// usable().
//
// SQLite's own rollback is not relied upon where something was written: if one of its writes fails, so do those that
// would undo the others. The pages of the turn are dropped instead, and the connection, whose cache has them, is given
// up: usable() is false, and every call fails with what has ended it. So it is after an error of the page source, after
// a statement that has ended the transaction by itself (OR ROLLBACK, and all errors that are not of the SQL), and after
// a failed Commit(). A transaction that has only read is rolled back, whatever its error. To open it again takes some
// 70 us.
//
// Foreign keys are enforced in every transaction from Begin() on. SetForeignKeys() switches that in the middle of one;
// Begin(), Commit() and Rollback() see to it that no connection goes on with them off.
//
// Scripts: the call is the transaction, so BEGIN and COMMIT are refused, but for a pair of them in one text of several
// statements, where they change nothing. Such a text may switch foreign keys, too (PRAGMA foreign_keys, outside the
// pair), until its end. So a dump of sqlite3's shell runs, and so does the rebuild of a table as SQLite documents it.
//
// Memory: that of SQLite is counted and bounded (heap.h). limits.cache_bytes of pages and the prepared statements of
// statement_cache.h stay between turns.
//
// Ownership: what the options point to and the page source outlive the connection. Threading: one thread at a time;
// which one may change between calls. It blocks for as long as the SQL runs.
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
  // What SQL takes for the time, and what limits.time_max is measured with. Required.
  absl::AnyInvocable<absl::Time()> now;
  // Asked now and then on a worker, if not null: whether the SQL is to end now, as if its time were over.
  absl::AnyInvocable<bool()> stop;
  // Called so too, if not null: may wait while others run, and says for how long, which does not count in the time.
  absl::AnyInvocable<absl::Duration()> yield;
  // Null: there is no bound on all connections together.
  HeapTotal* heap_total = nullptr;
  // Null: temporary files are memory.
  TempSpace* temp_space = nullptr;
  // Whether what is written must hold to the CHECK constraints of its table, and quick_check looks at them.
  bool check_constraints = true;
  // Where it is opened.
  Where where = Where::kWorker;
  // Null: what is found out about statements is forgotten with the connection.
  LongStatements* long_statements = nullptr;
};

class Connection {
 public:
  // Reads the schema; one of hundreds of tables takes milliseconds. It is bounded as a transaction is: NeedsWorker() on
  // the executor, kTimeLimit on a worker. Other errors: those of the page source; DATA_LOSS if it holds no database.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(PageSource* pages, ConnectionOptions options);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  // A transaction that is open leaves the page source as it is.
  ~Connection();

  absl::Status Begin(Where where);
  // Runs a statement in the transaction to its end. `params` are ?1, ?2, ... in order; exactly those that it has.
  // Several statements, none of which has parameters, run one after the other: the result is that of the last, with the
  // steps and the rows written of all.
  absl::StatusOr<Result> Execute(absl::string_view sql, absl::Span<const Value> params);
  // The results of a transaction are bounded together, since whoever runs it answers them together: this is for one
  // that has let go of them.
  void ForgetResults() { results_.set_size({}); }
  // Switches the enforcement of foreign keys for the statements that follow in this transaction. SQLite can do so only
  // between two of its own transactions: this commits one, which checks what is deferred, and begins another. To the
  // page source they are one, so Rollback() undoes both. NeedsWorker() on the executor. Before they are on again all
  // foreign keys of the database must hold: kConstraint names the first that does not, and ends the connection.
  absl::Status SetForeignKeys(bool enforced);
  // Whether a statement, which may only read, has a row. It runs until the first.
  absl::StatusOr<bool> Query(absl::string_view sql, absl::Span<const Value> params);
  // Gives pages that are free back first, some each time, where there are many. FAILED_PRECONDITION where a deferred
  // constraint does not hold. Foreign keys must be enforced again.
  absl::Status Commit();
  // Keeps the connection if the transaction has only read.
  void Rollback();

  bool usable() const { return ended_.ok(); }

  // Of SQLite, now: pages, statements and the schema.
  size_t memory_bytes() const { return heap_.bytes(); }
  // Gives back what memory it can. Not in a transaction.
  void ReleaseMemory();

  // For tests and numbers.
  size_t TakeMemoryPeak() { return heap_.TakePeak(); }
  size_t cached_statements() const { return cache_.size(); }

  // Commit() gives pages back where so many are free, and one in kFreePagesShare of all.
  static constexpr uint32_t kFreePagesMin = 32;
  static constexpr uint32_t kFreePagesShare = 8;
  // So many at once.
  static constexpr uint32_t kGivenBackOnExecutor = 16;
  static constexpr uint32_t kGivenBackOnWorker = 256;

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  // What BEGIN, COMMIT and PRAGMA foreign_keys in a text have come to so far.
  struct Script {
    bool open = false;   // after BEGIN, before COMMIT
    bool began = false;  // had a BEGIN
    bool switches_foreign_keys = false;
  };

  Connection(PageSource* pages, ConnectionOptions options);

  absl::Status OpenDatabase(bool check_constraints);
  void BeginBudget(Where where);
  // Says why no call is taken, or not this text.
  absl::Status Check(absl::string_view sql);
  // Makes a statement of the first in the text, from the cache or anew.
  absl::StatusOr<PreparedStatement> Take(absl::string_view sql);
  absl::StatusOr<PreparedStatement> Prepare(absl::string_view sql);
  // `statement` is null where the text has only comments and blanks; `tail` is where it ends.
  absl::Status PrepareFirst(absl::string_view sql, StatementPtr* statement, const char** tail);
  absl::Status TooLong() const;
  // Puts the statement back into the cache, or ends it.
  void KeepStatement(PreparedStatement prepared);
  // Whether it may run where the transaction does.
  absl::Status MayRun(PreparedStatement* prepared, absl::Span<const Value> params);
  absl::Status MayRunShort(PreparedStatement* prepared, absl::Span<const Value> params);
  absl::Status MayRunLong(PreparedStatement* prepared);
  // Looks at the opcodes of the statement: at all with `whole`, else until it is known to be long.
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
  // kConstraint, with the first row that refers to nothing.
  absl::Status CheckForeignKeys();
  static absl::Status Refused(absl::string_view why);
  absl::Status CheckNames();
  absl::Status GiveFreePagesBack();
  // Our own statements.
  absl::Status Run(const StatementPtr& statement);
  absl::StatusOr<int64_t> RunForNumber(const std::string& sql);
  absl::Status TookTooLong() const;
  // What SQLite's last call has failed with.
  absl::Status Error();
  // SQLITE_FULL: whether it is for want of a rowid, not of pages.
  bool AutoincrementIsUsedUp();
  // What it means for the transaction and the connection that a statement has ended so.
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
  absl::Status stuck_;   // what the transaction has ended with before Rollback()
  bool own_sql_ = true;  // what is prepared now is not the client's
  std::unique_ptr<sqlite3, Close> db_;
  ResultReader results_;
  bool foreign_keys_ = true;      // are enforced
  bool turn_has_writes_ = false;  // of transactions of SQLite that SetForeignKeys() has committed
  // Grows with each statement that may have changed the schema, or statistics of it.
  uint64_t schema_changes_ = 0;
  StatementPtr begin_;
  StatementPtr commit_;
  StatementPtr rollback_;
  StatementCache cache_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_CONNECTION_H_
