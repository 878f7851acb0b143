// SQLite on the database of one object, a transaction for each turn.
//
//   Begin()  Execute()...  Commit()    the pages are in the page source; its owner lets them join the turn
//   Begin()  Execute()...  Rollback()  the owner drops the pages of the turn
//
// SQLite's own rollback is not relied upon where something was written: if one of its writes fails, so do those that
// would undo the others. The pages of the turn are dropped instead, and the connection, whose cache has them, is given
// up: usable() is false, and every call fails with what has ended it. So it is after an error of the page source, after
// a statement that has ended the transaction by itself (OR ROLLBACK), and after a failed Commit(). To open it again
// takes some 70 us.
//
// Ownership: the page source outlives the connection. Threading: one thread at a time; which one may change between
// calls. It blocks for as long as the SQL runs.
//
// Errors of Execute(), each with SQLite's message:
//   INVALID_ARGUMENT     the statement is not SQL that is allowed here, or fails by what it computes
//   FAILED_PRECONDITION  a constraint does not hold
//   RESOURCE_EXHAUSTED   the database, the turn, temporary files, or the result are too large, or it was stopped
//   NeedsDisk(), DATA_LOSS, and others of the page source
// While usable() the statement has left nothing behind (but for OR FAIL), and the turn may go on.

#ifndef HOLDFAST_STORAGE_SQL_CONNECTION_H_
#define HOLDFAST_STORAGE_SQL_CONNECTION_H_

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/sql/page_source.h"
#include "storage/sql/settings.h"
#include "storage/sql/value.h"
#include "storage/sql/vfs.h"

struct sqlite3_stmt;

namespace holdfast::storage::sql {

struct ConnectionOptions {
  Limits limits;
  // What SQL takes for the time. Required.
  absl::AnyInvocable<absl::Time()> now;
  // Asked about every 1,000 steps of SQLite's virtual machine, if not null: whether the statement is to end now. A
  // single function is not interrupted, however long it takes.
  absl::AnyInvocable<bool()> stop;
};

class Connection {
 public:
  // Errors: those of the page source; DATA_LOSS if it holds no database.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(PageSource* pages, ConnectionOptions options);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  // A transaction that is open leaves the page source as it is.
  ~Connection();

  absl::Status Begin();
  // Runs one statement in the transaction to its end. `params` are ?1, ?2, ... in order; exactly those that it has.
  absl::StatusOr<Result> Execute(absl::string_view sql, absl::Span<const Value> params);
  // FAILED_PRECONDITION where a deferred constraint does not hold.
  absl::Status Commit();
  // Keeps the connection if the transaction has only read.
  void Rollback();

  bool usable() const { return ended_.ok(); }

  // For tests and numbers.
  size_t cached_statements() const { return cached_.size(); }
  static constexpr size_t kCachedStatementsMax = 32;
  // Longer ones are prepared each time.
  static constexpr size_t kCachedStatementBytesMax = 4096;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;
  struct Close {
    void operator()(sqlite3* db) const;
  };
  struct Cached {
    std::string sql;
    Statement statement;
  };

  Connection(PageSource* pages, ConnectionOptions options)
      : files_(pages, options.limits.temp_bytes_max, std::move(options.now)),
        limits_(options.limits),
        stop_(std::move(options.stop)) {}

  absl::Status OpenDatabase();
  absl::StatusOr<Statement> Prepare(absl::string_view sql);
  // From the cache, if it is there; it is not in it while it is used.
  absl::StatusOr<Statement> Take(absl::string_view sql);
  void Keep(absl::string_view sql, Statement statement);
  absl::Status Bind(sqlite3_stmt* statement, absl::Span<const Value> params);
  absl::Status Step(sqlite3_stmt* statement, Result* result);
  // BEGIN, COMMIT, ROLLBACK.
  absl::Status Run(const Statement& statement);
  // What SQLite's last call has failed with.
  absl::Status Error();
  // Gives the connection up if the last statement was the end of the transaction.
  void CheckTransaction(const absl::Status& status);
  void GiveUp(absl::Status why);

  Files files_;
  const Limits limits_;
  absl::AnyInvocable<bool()> stop_;
  absl::Status ended_;
  bool own_sql_ = true;  // what is prepared now is not the client's
  std::unique_ptr<sqlite3, Close> db_;
  Statement begin_;
  Statement commit_;
  Statement rollback_;
  // Most recently used first.
  std::list<Cached> cached_;
  absl::flat_hash_map<absl::string_view, std::list<Cached>::iterator> by_text_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_CONNECTION_H_
