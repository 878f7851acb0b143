#include "storage/sql/durable_database.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/storage/v1/storage.pb.h"
#include "storage/sql/page_source.h"
#include "storage/sql/pages.h"
#include "storage/sql/workers.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage::sql {
namespace {

// The pages that a cursor sees, read only.
class DurablePages : public PageSource {
 public:
  DurablePages(Store* store, const Location& location)
      : cursor_(store->NewCursor(location, DatabaseRange(), ReadTier::kDisk)) {}

  absl::StatusOr<uint32_t> PageCount() override {
    if (absl::Status status = Load(); !status.ok()) return status;
    return page_count_;
  }
  absl::Status ReadPage(uint32_t number, char* page) override {
    if (absl::Status status = Load(); !status.ok()) return status;
    const auto stored = Get(PageKey(generation_, number));
    if (!stored.ok()) return stored.status();
    return ImageOf(*stored, number, page);
  }
  absl::Status WritePage(uint32_t, absl::string_view) override { return Refused(); }
  absl::Status Truncate(uint32_t) override { return Refused(); }

 private:
  static absl::Status Refused() { return absl::InternalError("SQL that may only read has written"); }

  absl::Status Load() {
    if (loaded_) return absl::OkStatus();
    const auto record = Get(kSqlDatabaseKey);
    if (!record.ok()) return record.status();
    const auto database = ParseDatabaseRecord(*record);
    if (!database.ok()) return database.status();
    page_count_ = database->page_count();
    generation_ = database->generation();
    loaded_ = true;
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<std::string>> Get(absl::string_view key) {
    cursor_->Seek(key);
    if (cursor_->state() == ReadResult::kError) return cursor_->error();
    if (cursor_->state() != ReadResult::kFound || cursor_->key() != key) return std::nullopt;
    return std::string(cursor_->value());
  }

  const std::unique_ptr<Cursor> cursor_;
  bool loaded_ = false;
  uint32_t page_count_ = 0;
  uint32_t generation_ = 0;
};

struct Reading {
  const Environment* environment;
  Store* store;
  Location location;
  std::shared_ptr<Workers::Statement> statement;  // null where there are no fair workers
  absl::AnyInvocable<absl::Status(Connection&)> body;
  absl::AnyInvocable<void(const absl::Status&)> done;
  absl::Status status;

  Workers::End end() const { return statement == nullptr ? Workers::End::kNo : statement->end(); }
};

absl::Status Read(Reading* reading) {
  const Environment& environment = *reading->environment;
  DurablePages pages(reading->store, reading->location);
  auto connection = Connection::Open(
      &pages,
      {.limits = environment.limits,
       .now = [&environment] { return environment.now(); },
       .stop = [reading] { return reading->end() != Workers::End::kNo; },
       .yield =
           [reading] { return reading->statement == nullptr ? absl::ZeroDuration() : reading->statement->Yield(); },
       .heap_total = environment.heap_total,
       .temp_space = environment.temp_space,
       .where = Where::kWorker});
  if (!connection.ok()) return connection.status();
  if (absl::Status status = (*connection)->Begin(Where::kWorker); !status.ok()) return status;
  absl::Status status = reading->body(**connection);
  (*connection)->Rollback();
  return status;
}

}  // namespace

void ReadDurable(const Environment* environment, Store* store, const Location& location, absl::string_view ns,
                 absl::AnyInvocable<absl::Status(Connection&)> body,
                 absl::AnyInvocable<void(const absl::Status&)> done) {
  auto reading = std::make_shared<Reading>(
      Reading{environment, store, location, nullptr, std::move(body), std::move(done), absl::OkStatus()});
  const auto work = [reading] {
    reading->status = WhyEnded(reading->end());
    if (reading->status.ok()) reading->status = Read(reading.get());
    if (absl::Status ended = WhyEnded(reading->end()); !reading->status.ok() && !ended.ok()) reading->status = ended;
  };
  const auto tell = [reading] { reading->done(reading->status); };
  if (environment->fair_workers == nullptr) {
    environment->workers->Run(work, tell);
    return;
  }
  auto [statement, refusal] = environment->fair_workers->Admit(ns);
  if (statement == nullptr) {
    reading->status = WhyEnded(refusal);
    environment->fair_workers->Post(tell);
    return;
  }
  reading->statement = statement;
  environment->fair_workers->Start(std::move(statement), work, tell);
}

}  // namespace holdfast::storage::sql
