// The SQL database of one object, for its handlers: `co_await sql::DatabaseOf(storage()).Run<T>(body)`.
//
// `body` runs in a transaction of its own. If it returns OK its changes join the turn's other writes, and commit or are
// dropped with them; later reads and SQL of the turn see them. Otherwise it has changed nothing, and the turn may go
// on.
//
// The transaction first runs on the executor, over pages in memory, and only as long as every statement is a short one.
// If a page is not in memory, or a statement may take long, the transaction is undone and runs again on a worker, over
// the pages as they are at that moment; the object's input gate is held meanwhile. No query therefore holds up other
// objects.
//
// Threading: the object's executor. A worker uses a Session, which it keeps alive; a database that is destroyed tells
// the worker to end soon, and does not wait for it.

#ifndef HOLDFAST_STORAGE_SQL_DATABASE_H_
#define HOLDFAST_STORAGE_SQL_DATABASE_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/base/background.h"
#include "storage/base/observer.h"
#include "storage/object/keyspace.h"
#include "storage/object/object_storage.h"
#include "storage/object/operation.h"
#include "storage/sql/connection.h"
#include "storage/sql/pages.h"
#include "storage/sql/settings.h"
#include "storage/sql/short_statements.h"
#include "storage/sql/temp_space.h"
#include "storage/sql/workers.h"

namespace holdfast::storage::sql {

// The services and limits that the databases of an executor share; outlives them.
struct Environment {
  // Threads for the SQL that must not run on the executor. `fair_workers` share them fairly; if it is null the SQL runs
  // on `workers`, in the order in which it comes.
  Workers* fair_workers = nullptr;
  Background* workers = nullptr;
  // The wall clock, and one that never steps; any thread.
  std::function<absl::Time()> now;
  std::function<absl::Time()> steady;
  Limits limits;
  // Bytes of the pages that one transaction changes.
  size_t turn_bytes_max = 64 << 20;
  // The bound of SQLite's memory in all databases together; null: there is none.
  HeapTotal* heap_total = nullptr;
  // The place of the temporary files for sorts and intermediate results; null: they are in memory.
  TempSpace* temp_space = nullptr;
  Observer* observer = nullptr;  // may be null
};

class Database : public Reader, public OpenDatabase {
 public:
  // `storage` and `environment` must outlive this. The database is opened when SQL first runs.
  Database(ObjectStorage* storage, const Environment* environment);
  ~Database() override;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs SQL in a transaction that has begun. It may be called twice, the second time on another thread, so it owns the
  // data that it needs and changes nothing outside. It must return an error for which IsNeedsWorker() holds unchanged;
  // other errors it may change. If Commit() fails, the awaiting handler gets its error (connection.h).
  template <typename T>
  using Body = absl::AnyInvocable<absl::StatusOr<T>(Connection&)>;

  template <typename T>
  StorageOp<T> Run(Body<T> body);

  // OpenDatabase: what the connection holds.
  size_t MemoryBytes() const override { return session_->bytes; }

  // These implement Reader, for Run().
  View MemoryView() override;
  void ReadFromDisk(const KeyRange& range, absl::AnyInvocable<void(View&)> read,
                    absl::AnyInvocable<void()> done) override;
  void Resume(std::coroutine_handle<> handler) override;

 private:
  struct Session {
    explicit Session(const Environment* shared) : environment(shared), pages(shared->turn_bytes_max) {}

    const Environment* const environment;
    Pages pages;
    LongStatements long_statements;
    std::unique_ptr<Connection> connection;  // uses pages and long_statements, which outlive it
    std::atomic<size_t> bytes{0};            // memory of the connection
    std::atomic<bool> abandoned{false};      // the database is gone
    // The statement that runs on a worker now, or the reason why the workers refused it. Set on the executor before it
    // runs.
    std::shared_ptr<Workers::Statement> statement;
    Workers::End refusal = Workers::End::kNo;
  };

  // Returns why the running statement is to end; kNo if it may go on.
  static Workers::End EndOf(const Session& session);
  // Runs the transaction and ends it, on the executor or on a worker, as the view is for.
  static absl::Status Transact(Session* session, View* view, absl::FunctionRef<absl::Status(Connection&)> body);
  // The part of Transact() that the observer is told of.
  static absl::Status TransactOnce(Session* session, View* view, bool on_worker,
                                   absl::FunctionRef<absl::Status(Connection&)> body);
  static absl::Status TryTransact(Session* session, Where where, absl::FunctionRef<absl::Status(Connection&)> body);
  void JoinTurn();

  ObjectStorage* const storage_;
  const Environment* const environment_;
  const std::shared_ptr<Session> session_;
};

// The database of the object, which this opens if it is closed.
Database& DatabaseOf(ObjectStorage& storage);

template <typename T>
StorageOp<T> Database::Run(Body<T> body) {
  return {this, DatabaseRange(),
          [session = session_, body = std::move(body)](View& view) mutable {
            absl::StatusOr<T> result = absl::UnknownError("not run");
            absl::Status status = Transact(session.get(), &view, [&](Connection& connection) {
              result = body(connection);
              return result.status();
            });
            if (!status.ok()) result = std::move(status);
            return result;
          },
          [this](T&) {
            JoinTurn();
            return absl::OkStatus();
          }};
}

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_DATABASE_H_
