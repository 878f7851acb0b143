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
// Memory: that of SQLite is counted and bounded (heap.h). limits.cache_bytes of pages and kCachedStatementsMax prepared
// statements of kCachedStatementsBytesMax stay between turns.
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
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
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
  void ForgetResults() { results_ = {}; }
  // Switches the enforcement of foreign keys for the statements that follow in this transaction. SQLite can do so only
  // between two of its own transactions: this commits one, which checks what is deferred, and begins another. To the
  // page source they are one, so Rollback() undoes both. Always NeedsWorker() on the executor.
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
  size_t cached_statements() const { return cached_.size(); }
  static constexpr size_t kCachedStatementsMax = 16;
  static constexpr size_t kCachedStatementsBytesMax = 64 << 10;
  // Longer ones are prepared each time.
  static constexpr size_t kCachedStatementBytesMax = 4096;

  // Commit() gives pages back where so many are free, and one in kFreePagesShare of all.
  static constexpr uint32_t kFreePagesMin = 32;
  static constexpr uint32_t kFreePagesShare = 8;
  // So many at once.
  static constexpr uint32_t kGivenBackOnExecutor = 16;
  static constexpr uint32_t kGivenBackOnWorker = 256;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;
  struct Close {
    void operator()(sqlite3* db) const;
  };
  struct Prepared {
    absl::string_view text;  // that it was prepared from
    absl::string_view tail;  // what follows; empty if that is no statement
    Statement statement;
    bool alters = false;               // as the authorizer tells
    bool is_pragma = false;            // so too
    bool authorized_as_short = false;  // so too
    bool changes_schema = false;       // so too
    // Once it is known, of the schema that was then.
    std::optional<bool> is_short;
    std::optional<int> value_bytes_max;
    uint64_t schema_changes = 0;
    size_t bytes = 0;  // of memory; 0: not known
  };
  struct Cached {
    std::string sql;
    Prepared prepared;
  };

  // Of the results of a transaction.
  struct ResultSize {
    size_t bytes = 0;  // in a reply
    size_t memory_bytes = 0;
  };

  Connection(PageSource* pages, ConnectionOptions options);

  absl::Status OpenDatabase(bool check_constraints);
  void BeginBudget(Where where);
  // What every call begins with.
  absl::Status Check(absl::string_view sql);
  // Of the first statement in `sql`.
  absl::StatusOr<Prepared> Prepare(absl::string_view sql);
  // From the cache, if it is there; it is not in it while it is used.
  absl::StatusOr<Prepared> Take(absl::string_view sql);
  void Keep(Prepared prepared);
  void DropOldestStatement();
  // Whether it may run where the transaction does.
  absl::Status MayRun(Prepared* prepared, absl::Span<const Value> params);
  // What the statement consists of; `whole` or until it is known to be long.
  absl::StatusOr<Program> Examine(const Prepared& prepared, bool whole);
  absl::Status MayRunShort(Prepared* prepared, absl::Span<const Value> params);
  absl::Status MayRunLong(Prepared* prepared);
  absl::Status Bind(sqlite3_stmt* statement, absl::Span<const Value> params);
  absl::Status RunStatements(absl::string_view sql, absl::Span<const Value> params, Result* result);
  // Until its first row if `has_row` is not null.
  absl::Status RunStatement(Prepared* prepared, absl::Span<const Value> params, Result* result, bool* has_row);
  absl::Status Step(sqlite3_stmt* statement, Result* result, bool* has_row);
  absl::Status ReadRow(sqlite3_stmt* statement, Result* result);
  absl::Status CheckNames();
  absl::Status GiveFreePagesBack();
  // Our own statements.
  absl::Status Run(const Statement& statement);
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
  ResultSize results_;
  bool foreign_keys_ = true;      // are enforced
  bool turn_has_writes_ = false;  // of transactions of SQLite that SetForeignKeys() has committed
  // Grows with each statement that may have changed the schema, or statistics of it.
  uint64_t schema_changes_ = 0;
  Statement begin_;
  Statement commit_;
  Statement rollback_;
  // Most recently used first.
  std::list<Cached> cached_;
  size_t cached_bytes_ = 0;
  absl::flat_hash_map<absl::string_view, std::list<Cached>::iterator> by_text_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_CONNECTION_H_
