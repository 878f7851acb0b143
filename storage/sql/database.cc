#include "storage/sql/database.h"

#include "storage/object/object_storage.h"

namespace holdfast::storage::sql {
namespace {

// The memory that an open connection may keep between turns beside its pages. Beyond it SQLite frees what it can.
constexpr size_t kKeptMemory = 2 << 20;

}  // namespace

Workers::End Database::EndOf(const Session& session) {
  return session.statement == nullptr ? Workers::End::kNo : session.statement->end();
}

Database& DatabaseOf(ObjectStorage& storage) {
  std::unique_ptr<OpenDatabase>& open = storage.database();
  if (open == nullptr) open = std::make_unique<Database>(&storage, storage.sql_environment());
  return static_cast<Database&>(*open);
}

Database::Database(ObjectStorage* storage, const Environment* environment)
    : storage_(storage), environment_(environment), session_(std::make_shared<Session>(environment)) {}

Database::~Database() { session_->abandoned = true; }

View Database::MemoryView() { return storage_->MemoryView(); }

void Database::ReadFromDisk(const KeyRange& range, absl::AnyInvocable<void(View&)> read,
                            absl::AnyInvocable<void()> done) {
  if (environment_->fair_workers == nullptr) {
    storage_->ReadOn(environment_->workers, range, std::move(read), std::move(done));
    return;
  }
  Workers* const workers = environment_->fair_workers;
  auto [statement, refusal] = workers->Admit(storage_->ns());
  if (statement == nullptr) {
    session_->refusal = refusal;
    View view = MemoryView();
    read(view);
    session_->refusal = Workers::End::kNo;
    workers->Post(std::move(done));
    return;
  }
  session_->statement = statement;
  StatementBackground background(workers, std::move(statement));
  storage_->ReadOn(&background, range, std::move(read), std::move(done));
}

void Database::Resume(std::coroutine_handle<> handler) { storage_->Resume(handler); }

absl::Status Database::Transact(Session* session, View* view, absl::FunctionRef<absl::Status(Connection&)> body) {
  const bool on_worker = view->tier() != ReadTier::kMemory;
  if (absl::Status ended = WhyEnded(session->refusal); !ended.ok()) return ended;
  if (on_worker) {
    if (absl::Status ended = WhyEnded(EndOf(*session)); !ended.ok()) return ended;
  }
  Observer* const observer = session->environment->observer;
  if (observer == nullptr) return TransactOnce(session, view, on_worker, body);
  const absl::Time began = session->environment->steady();
  absl::Status status = TransactOnce(session, view, on_worker, body);
  // A transaction that needs a worker is told of when that has run it.
  if (on_worker || !IsNeedsWorker(status)) {
    observer->SqlEnded({.on_worker = on_worker,
                        .waited = session->statement == nullptr || !on_worker ? absl::ZeroDuration()
                                                                              : began - session->statement->admitted(),
                        .time = session->environment->steady() - began});
  }
  return status;
}

absl::Status Database::TransactOnce(Session* session, View* view, bool on_worker,
                                    absl::FunctionRef<absl::Status(Connection&)> body) {
  session->pages.set_view(view);
  absl::Status status = TryTransact(session, on_worker ? Where::kWorker : Where::kExecutor, body);
  if (!status.ok()) {
    if (session->connection != nullptr) {
      session->connection->Rollback();
      if (!session->connection->usable()) session->connection = nullptr;
    }
    session->pages.DropTurn();
    if (IsNeedsWorker(status)) view->GoToDisk();
  }
  session->pages.set_view(nullptr);
  // The memory of a sort or a large result is not kept.
  if (session->connection != nullptr &&
      session->connection->memory_bytes() > session->environment->limits.cache_bytes + kKeptMemory) {
    session->connection->ReleaseMemory();
  }
  session->bytes = session->connection == nullptr ? 0 : session->connection->memory_bytes();
  if (!status.ok() && on_worker) {
    if (absl::Status ended = WhyEnded(EndOf(*session)); !ended.ok()) return ended;
  }
  return status;
}

absl::Status Database::TryTransact(Session* session, Where where, absl::FunctionRef<absl::Status(Connection&)> body) {
  if (session->connection == nullptr) {
    auto opened = Connection::Open(
        &session->pages,
        {.limits = session->environment->limits,
         .now = [session] { return session->environment->now(); },
         .steady = [session] { return session->environment->steady(); },
         .stop = [session] { return session->abandoned.load() || EndOf(*session) != Workers::End::kNo; },
         .yield =
             [session] { return session->statement == nullptr ? absl::ZeroDuration() : session->statement->Yield(); },
         .heap_total = session->environment->heap_total,
         .temp_space = session->environment->temp_space,
         .where = where,
         .long_statements = &session->long_statements});
    if (!opened.ok()) return opened.status();
    session->connection = *std::move(opened);
  }
  if (absl::Status status = session->connection->Begin(where); !status.ok()) return status;
  if (absl::Status status = body(*session->connection); !status.ok()) return status;
  return session->connection->Commit();
}

void Database::JoinTurn() {
  View view = MemoryView();
  session_->pages.JoinTurn(&view, &storage_->writes(), &storage_->usage());
}

}  // namespace holdfast::storage::sql
