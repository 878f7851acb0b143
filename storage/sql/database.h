// The SQL database of one object, for its handlers: `co_await storage().sql().Run<T>(body)`.
//
// `body` runs in a transaction of its own. If it returns OK what it changed joins the turn's other writes, and commits
// or is dropped with them; later reads and SQL of the turn see it. Otherwise it has changed nothing, and the turn may
// go on.
//
// First it runs on the executor, over pages in memory, and only as long as every statement is a short one. Where a page
// is not in memory, or a statement may take long, the transaction is undone and runs again on a thread of its own, over
// the pages as they are at that moment; the object's input gate is held meanwhile. So no query holds up other objects.
//
// Threading: the object's executor. What a worker uses is a Session, which it keeps alive; a database that goes away
// tells it to end soon, and nobody waits for it.

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
#include "storage/background.h"
#include "storage/keyspace.h"
#include "storage/read.h"
#include "storage/sql/connection.h"
#include "storage/sql/pages.h"
#include "storage/sql/settings.h"
#include "storage/sql/short_statements.h"
#include "storage/sql/temp_space.h"
#include "storage/sql/workers.h"

namespace holdfast::storage {
class ObjectStorage;
}  // namespace holdfast::storage

namespace holdfast::storage::sql {

// What the databases of an executor share; outlives them.
struct Environment {
  // For what must not run on the executor: shared fairly, or, where that is null, as it comes.
  Workers* fair_workers = nullptr;
  Background* workers = nullptr;
  // The wall clock; any thread.
  std::function<absl::Time()> now;
  Limits limits;
  // Of the pages that one transaction changes.
  size_t turn_bytes_max = 64 << 20;
  // Of SQLite's memory in all databases; null: it has no bound of its own.
  HeapTotal* heap_total = nullptr;
  // For sorts and results in between; null: they are memory.
  TempSpace* temp_space = nullptr;
};

class Database : public Reader {
 public:
  // Both must outlive this. Nothing is opened yet.
  Database(ObjectStorage* storage, const Environment* environment);
  ~Database() override;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs SQL in a transaction that has begun. Perhaps twice, the second time on another thread, so it holds what it
  // needs itself and changes nothing outside. An error that it gets for which IsNeedsWorker() holds it must return as
  // it is; other errors as it likes. The result of Commit() comes to who awaits as connection.h has it.
  template <typename T>
  using Body = absl::AnyInvocable<absl::StatusOr<T>(Connection&)>;

  template <typename T>
  Read<T> Run(Body<T> body);

  // An estimate of what the open connection holds.
  size_t MemoryBytes() const { return session_->bytes; }

  // Reader, for Run().
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
    std::unique_ptr<Connection> connection;  // over the two, which outlive it
    std::atomic<size_t> bytes{0};            // that the connection takes
    std::atomic<bool> abandoned{false};
    // What runs on a worker now, and why it was not even begun. Set on the executor before it runs.
    std::shared_ptr<Workers::Statement> statement;
    Workers::End refusal = Workers::End::kNo;
  };

  // Whether what runs is to end.
  static Workers::End EndOf(const Session& session);
  // On whatever thread the view is for.
  static absl::Status Transact(Session* session, View* view, absl::FunctionRef<absl::Status(Connection&)> body);
  static absl::Status TryTransact(Session* session, Where where, absl::FunctionRef<absl::Status(Connection&)> body);
  void JoinTurn();

  ObjectStorage* const storage_;
  const Environment* const environment_;
  const std::shared_ptr<Session> session_;
};

template <typename T>
Read<T> Database::Run(Body<T> body) {
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
