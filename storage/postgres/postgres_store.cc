#include "storage/postgres/postgres_store.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/check.h"
#include "storage/postgres/claims.h"
#include "storage/postgres/page_cursor.h"
#include "storage/postgres/reader.h"
#include "storage/postgres/row_cache.h"
#include "storage/postgres/row_key.h"
#include "storage/postgres/schema.h"
#include "storage/postgres/table_commit_logs.h"
#include "storage/store/stuck_cursor.h"

namespace holdfast::storage {
namespace postgres {
namespace {

// The first read of an object reads so much of its beginning: all of a small object.
constexpr Reader::PageLimits kReadAhead = {.rows_max = 32, .bytes_max = 32 << 10};

// Between two tries to reach the database at the start, which waits for nothing else.
constexpr auto kConnectStep = std::chrono::milliseconds(100);

// Batches up to the marks are in the rows, and may be there.
const Statement kUnfolded = {"unfolded",
                             "SELECT count(*) FROM hf_log l WHERE batch > coalesce((SELECT"
                             " ('x' || encode(substring(value FOR 8), 'hex'))::bit(64)::int8 & 9223372036854775807"
                             " FROM hf_entry WHERE family = 0 AND shard = -1 AND key ="
                             " 'log'::bytea || int4send(l.writer::int4)), 0)"};

absl::Status CheckLogIsEmpty(const SessionOptions& session) {
  auto connection = OpenSession(session, SessionKind::kReader);
  if (!connection.ok()) return connection.status();
  (*connection)->Add(kUnfolded);
  const TripResult result =
      (*connection)->Run(std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(session.read_timeout));
  if (!result.ok()) return result.status();
  if (result.rows.back().Int(0, 0) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "PostgreSQL: the log of an earlier server is not folded; start once with commit logs, and end it in order");
}

absl::Status NoOwnFamilies() { return absl::UnimplementedError("objects in PostgreSQL have no families of their own"); }
absl::Status ReadOfDropped() { return absl::InternalError("read of a dropped family"); }

SessionOptions SessionOf(const PostgresOptions& options) {
  return {
      .conninfo = options.conninfo, .unsafe_settings = options.unsafe_settings, .read_timeout = options.read_timeout};
}

WriterOptions WriterOf(const PostgresOptions& options) {
  return {.session = SessionOf(options),
          .owner = options.owner,
          .node = options.node,
          .address = options.address,
          .lease = options.lease,
          .commit_timeout = options.commit_timeout,
          .outage_max = options.outage_max,
          .boot_time = options.boot_time,
          .on_step = options.on_step};
}

class StoreOverLibpq final : public PostgresStore {
 public:
  StoreOverLibpq(const PostgresOptions& options, const Claimed& claimed)
      : options_(options),
        reader_({.session = SessionOf(options),
                 .connections_max = options.read_connections_max,
                 .cursor_connections_max = options.cursor_connections_max,
                 // The folds, and so all rows that a read depends on, are commits of this writer.
                 .known = [this] { return writers_.back()->mark(); }}),
        cache_({.bytes_max = options.row_cache_bytes,
                .location_bytes_max = std::min(RowCache::Options().location_bytes_max, options.row_cache_bytes / 16)}) {
    for (const WriterState& writer : claimed.writers) {
      writers_.push_back(std::make_unique<Writer>(WriterOf(options), writer, claimed.at));
      lanes_.push_back(std::make_unique<Lane>(this, writers_.back().get()));
    }
    HOLDFAST_CHECK(claimed.writers.back().id == kNodeWriter, "the writers of a store");
    heartbeat_ = std::make_unique<Heartbeat>(WriterOf(options), writers_, options.on_failure);
  }
  ~StoreOverLibpq() override {
    heartbeat_ = nullptr;
    ReleaseWriters(WriterOf(options_), writers_);
  }

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override;
  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override;
  // Several threads may do so at once.
  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override {
    return lanes_.back()->CommitSync(writes);
  }
  Store* ForExecutor(int number) override { return lanes_[static_cast<size_t>(number)].get(); }
  bool DiskFull() override {
    return std::any_of(writers_.begin(), writers_.end(), [](const auto& writer) { return writer->disk_full(); });
  }
  StoreStats Stats() override {
    StoreStats stats;
    stats.block_cache_bytes = cache_.bytes();
    stats.block_cache_bytes_max = cache_.bytes_max();
    stats.block_cache_hits = cache_.hits();
    stats.block_cache_misses = cache_.misses();
    return stats;
  }
  absl::StatusOr<FamilyId> CreateFamily(absl::string_view) override { return NoOwnFamilies(); }
  absl::Status DropFamily(FamilyId) override { return NoOwnFamilies(); }
  std::vector<OwnFamily> ListOwnFamilies() override { return {}; }

  absl::Duration LeaseAge() const override {
    absl::Duration renewed = writers_.front()->renewed();
    for (const auto& writer : writers_) renewed = std::max(renewed, writer->renewed());
    return options_.boot_time() - renewed;
  }
  bool HoldsLease() override { return LeaseAge() < options_.lease; }
  int64_t ResolvedCommits() const override {
    int64_t resolved = 0;
    for (const auto& writer : writers_) resolved += writer->resolved();
    return resolved;
  }
  std::unique_ptr<CommitLogs> NewCommitLogs() override {
    std::vector<Writer*> writers;
    for (const auto& writer : writers_) {
      if (writer->id() != kNodeWriter) writers.push_back(writer.get());
    }
    return std::make_unique<TableCommitLogs>(std::move(writers), &reader_);
  }

 private:
  // The store of one executor: that of all, but for the writer through which it commits.
  class Lane final : public Store {
   public:
    Lane(StoreOverLibpq* whole, Writer* writer) : whole_(whole), writer_(writer) {}

    ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                   absl::Status* error) override {
      return whole_->Get(location, key, tier, value, error);
    }
    std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override {
      return whole_->NewCursor(location, std::move(range), tier);
    }
    absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override {
      whole_->cache_.BeginCommit(writes);
      absl::Status status = writer_->Commit(writes);
      whole_->cache_.EndCommit(writes, status.ok());
      return status;
    }
    bool HoldsLease() override { return whole_->HoldsLease(); }
    bool DiskFull() override { return whole_->DiskFull(); }
    StoreStats Stats() override { return whole_->Stats(); }
    absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override { return whole_->CreateFamily(name); }
    absl::Status DropFamily(FamilyId family) override { return whole_->DropFamily(family); }
    std::vector<OwnFamily> ListOwnFamilies() override { return {}; }

   private:
    StoreOverLibpq* const whole_;
    Writer* const writer_;
  };

  // Reads the beginning of an object of which the cache knows nothing yet, and so learns all of a small one.
  absl::Status ReadAhead(const Location& location, const RowSpace& space);

  const PostgresOptions options_;
  Reader reader_;
  RowCache cache_;
  std::vector<std::unique_ptr<Writer>> writers_;  // of the executors, and kNodeWriter
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::unique_ptr<Heartbeat> heartbeat_;
};

absl::Status StoreOverLibpq::ReadAhead(const Location& location, const RowSpace& space) {
  const RowCache::Ticket ticket = cache_.BeginRead(location);
  absl::StatusOr<RowPage> page = reader_.ReadPage(space, space.RowKeys(KeyRange::All()), kReadAhead);
  if (!page.ok()) return page.status();
  for (auto& [key, value] : page->rows) key.erase(0, space.prefix().size());
  const KeyRange range = page->complete ? KeyRange::All() : KeyRange{"", page->rows.back().first + '\0'};
  cache_.Add(location, ticket, range, page->rows);
  return absl::OkStatus();
}

ReadResult StoreOverLibpq::Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                               absl::Status* error) {
  if (location.family >= FamilyId::kFirstOwn) {
    *error = ReadOfDropped();
    return ReadResult::kError;
  }
  const bool cached = location.family == FamilyId::kPacked;
  if (cached) {
    const ReadResult found = cache_.Get(location, key, value);
    if (found != ReadResult::kNeedsDisk || tier == ReadTier::kMemory) return found;
  } else if (tier == ReadTier::kMemory) {
    return ReadResult::kNeedsDisk;
  }
  const RowSpace space(location);
  if (cached && !cache_.Knows(location, KeyRange::Single(""))) {
    *error = ReadAhead(location, space);
    if (!error->ok()) return ReadResult::kError;
    const ReadResult found = cache_.Get(location, key, value);
    if (found != ReadResult::kNeedsDisk) return found;
  }
  const RowCache::Ticket ticket = cache_.BeginRead(location);
  absl::StatusOr<std::optional<std::string>> read = reader_.Get(space, key);
  if (!read.ok()) {
    *error = read.status();
    return ReadResult::kError;
  }
  std::vector<std::pair<std::string, std::string>> entries;
  if (*read) entries.emplace_back(std::string(key), **read);
  cache_.Add(location, ticket, KeyRange::Single(key), entries);
  if (!*read) return ReadResult::kAbsent;
  *value = **std::move(read);
  return ReadResult::kFound;
}

std::unique_ptr<Cursor> StoreOverLibpq::NewCursor(const Location& location, KeyRange range, ReadTier tier) {
  if (location.family >= FamilyId::kFirstOwn) {
    return std::make_unique<StuckCursor>(ReadResult::kError, ReadOfDropped());
  }
  if (location.family == FamilyId::kPacked) {
    if (auto cursor = cache_.NewCursor(location, range)) return cursor;
  }
  if (tier == ReadTier::kMemory) return std::make_unique<StuckCursor>(StuckCursor::NeedsDisk());
  const RowCache::Ticket ticket = cache_.BeginRead(location);
  auto cursor = std::make_unique<PageCursor>(&reader_, location, range);
  if (const RowPage* const whole = cursor->whole(); whole != nullptr && ticket.valid) {
    std::vector<std::pair<std::string, std::string>> entries = whole->rows;
    for (auto& [key, value] : entries) key.erase(0, cursor->prefix_bytes());
    cache_.Add(location, ticket, range, entries);
  }
  return cursor;
}

}  // namespace
}  // namespace postgres

absl::StatusOr<std::unique_ptr<PostgresStore>> OpenPostgresStore(const PostgresOptions& options) {
  const postgres::SessionOptions session = postgres::SessionOf(options);
  // A database that is just starting, too, is worth waiting for.
  const auto give_up = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options.read_timeout);
  auto connection = postgres::OpenSession(session, postgres::SessionKind::kReader);
  while (absl::IsUnavailable(connection.status()) && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(postgres::kConnectStep);
    connection = postgres::OpenSession(session, postgres::SessionKind::kReader);
  }
  if (!connection.ok()) return connection.status();
  if (absl::Status status = postgres::CheckSchema(connection->get()); !status.ok()) return status;
  if (absl::Status status = postgres::CheckPooling(options.conninfo); !status.ok()) return status;
  const absl::StatusOr<postgres::Claimed> claimed =
      postgres::ClaimWriters(postgres::WriterOf(options), options.executors);
  if (!claimed.ok()) return claimed.status();
  // Nothing more comes to the logs of earlier processes.
  if (!options.with_log) {
    if (absl::Status status = postgres::CheckLogIsEmpty(session); !status.ok()) {
      postgres::ReleaseWriters(postgres::WriterOf(options), {});
      return status;
    }
  }
  return std::make_unique<postgres::StoreOverLibpq>(options, *claimed);
}

absl::Status CheckPostgresConninfo(const std::string& conninfo) { return postgres::CheckConninfo(conninfo); }

absl::Status InitPostgres(const PostgresOptions& options) {
  return postgres::InitCluster(postgres::SessionOf(options));
}

}  // namespace holdfast::storage
