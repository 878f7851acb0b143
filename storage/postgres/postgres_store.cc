#include "storage/postgres/postgres_store.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/log.h"
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

// A page of a walk over the catalog of a shard.
constexpr Reader::PageLimits kCatalogPage = {.rows_max = 1024, .bytes_max = 1 << 20};

absl::Status NoOwnFamilies() { return absl::UnimplementedError("objects in PostgreSQL have no families of their own"); }
absl::Status ReadOfDropped() { return absl::InternalError("read of a dropped family"); }

WriterOptions WriterOf(const PostgresOptions& options) {
  return {.session = SessionOf(options),
          .owner = options.owner,
          .node = options.node,
          .address = options.address,
          .part = options.part,
          .cluster_mark = options.cluster_mark,
          .lease = options.lease,
          .commit_timeout = options.commit_timeout,
          .outage_max = options.outage_max,
          .boot_time = options.boot_time,
          .wall_clock = options.wall_clock,
          .clock_apart_max = options.clock_apart_max,
          .fence_off = options.fence_off,
          .on_step = options.on_step};
}

MemberState StateOf(const PostgresOptions& options) { return options.joins ? MemberState::kNode : MemberState::kAlone; }

class StoreOverLibpq final : public PostgresStore {
 public:
  // `recovers`: the writers are those of a member that was taken over.
  StoreOverLibpq(const PostgresOptions& options, const Claimed& claimed, SilenceWatch silence, bool recovers)
      : options_(options),
        reader_({.session = SessionOf(options),
                 .connections_max = options.read_connections_max,
                 .cursor_connections_max = options.cursor_connections_max,
                 // The folds, and so all rows that a read depends on, are commits of this writer.
                 .known = [this] { return writers_.back()->mark(); },
                 .shard_writer = [this](int16_t shard) { return ExpectedWriter(shard); }}),
        cache_({.bytes_max = options.row_cache_bytes,
                .location_bytes_max = std::min(RowCache::Options().location_bytes_max, options.row_cache_bytes / 16)}),
        silence_(std::move(silence)),
        recovers_(recovers) {
    for (const WriterState& writer : claimed.executors) {
      writers_.push_back(std::make_unique<Writer>(WriterOf(options), writer, claimed.at));
    }
    writers_.push_back(std::make_unique<Writer>(WriterOf(options), claimed.own, claimed.at));
    membership_ = std::make_unique<Membership>(WriterOf(options), PointersOf(writers_), writers_.back().get());
    heartbeat_ = std::make_unique<Heartbeat>(WriterOf(options), writers_, options.on_failure);
  }
  ~StoreOverLibpq() override {
    heartbeat_ = nullptr;
    // A writer whose last commit may still happen is left to its lease.
    for (const auto& writer : writers_) {
      if (!writer->failure().ok()) return;
    }
    if (const absl::Status left = membership_->Leave(); !left.ok()) {
      Log(LogLevel::kWarning, "cluster_not_left", {{"status", left.ToString()}});
    }
  }

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override;
  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override;
  // Several threads may do so at once.
  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override {
    cache_.BeginCommit(writes);
    absl::Status status = writers_.back()->Commit(writes);
    cache_.EndCommit(writes, status.ok());
    return status;
  }
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
    for (const auto& writer : absl::MakeSpan(writers_).first(writers_.size() - 1)) writers.push_back(writer.get());
    return std::make_unique<TableCommitLogs>(std::move(writers), &reader_, recovers_);
  }
  uint32_t first_log() const override { return static_cast<uint32_t>(writers_.front()->id()); }
  Membership& membership() override { return *membership_; }
  SilenceWatch& silence() override { return silence_; }
  void ReadOwnShards() override { reads_own_shards_ = true; }
  absl::Status ReadCatalog(ShardId shard,
                           absl::FunctionRef<void(absl::string_view key, absl::string_view value)> visit) override;
  void Forget(ShardId shard) override { cache_.Forget(shard); }

 private:
  // Returns the writer that a shard must have for its objects to be read.
  std::optional<int64_t> ExpectedWriter(int16_t shard) const {
    if (!reads_own_shards_.load(std::memory_order_relaxed)) return std::nullopt;
    const auto executors = static_cast<int32_t>(writers_.size() - 1);
    return writers_[static_cast<size_t>(options_.part.LaneOf(ShardId(static_cast<uint16_t>(shard)), executors))]->id();
  }
  static std::vector<const Writer*> PointersOf(absl::Span<const std::unique_ptr<Writer>> writers) {
    std::vector<const Writer*> pointers;
    pointers.reserve(writers.size());
    for (const auto& writer : writers) pointers.push_back(writer.get());
    return pointers;
  }

  // Reads the beginning of an object of which the cache knows nothing yet, and so learns all of a small one.
  absl::Status ReadAhead(const Location& location, const RowSpace& space);

  const PostgresOptions options_;
  Reader reader_;
  RowCache cache_;
  SilenceWatch silence_;
  const bool recovers_;
  std::atomic<bool> reads_own_shards_ = false;
  std::vector<std::unique_ptr<Writer>> writers_;  // of the executors; the last one is for all else
  std::unique_ptr<Membership> membership_;
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

absl::Status StoreOverLibpq::ReadCatalog(
    ShardId shard, absl::FunctionRef<void(absl::string_view key, absl::string_view value)> visit) {
  std::string from;
  while (true) {
    const absl::StatusOr<RowPage> page = reader_.ReadCatalogPage(static_cast<int16_t>(shard), from, kCatalogPage);
    if (!page.ok()) return page.status();
    for (const auto& [key, value] : page->rows) visit(key, value);
    if (page->complete) return absl::OkStatus();
    from = page->rows.back().first + '\0';
  }
}

}  // namespace

SessionOptions SessionOf(const PostgresOptions& options) {
  return {.conninfo = options.conninfo,
          .unsafe_settings = options.unsafe_settings,
          .read_timeout = options.read_timeout,
          .driver = options.driver};
}

}  // namespace postgres

absl::StatusOr<postgres::SilenceWatch> AwaitSilence(const PostgresOptions& options) {
  postgres::SilenceWatch silence(options.look_gap_max);
  absl::Status status = postgres::AwaitSilence(postgres::WriterOf(options), postgres::StateOf(options), &silence);
  if (!status.ok()) return status;
  return silence;
}

absl::StatusOr<std::unique_ptr<PostgresStore>> OpenPostgresStore(const PostgresOptions& options,
                                                                 std::optional<postgres::SilenceWatch> seen) {
  const postgres::SessionOptions session = postgres::SessionOf(options);
  auto connection = postgres::OpenFirstSession(session);
  if (!connection.ok()) return connection.status();
  const auto mark = postgres::CheckSchema(connection->get(), options.part,
                                          session.driver->After(absl::ToChronoNanoseconds(options.read_timeout)));
  if (!mark.ok()) return mark.status();
  if (absl::Status status = postgres::CheckPooling(session); !status.ok()) return status;
  postgres::SilenceWatch silence = std::move(seen).value_or(postgres::SilenceWatch(options.look_gap_max));
  const absl::StatusOr<postgres::Claimed> claimed =
      postgres::Join(postgres::WriterOf(options), options.executors, postgres::StateOf(options), &silence);
  if (!claimed.ok()) return claimed.status();
  return std::make_unique<postgres::StoreOverLibpq>(options, *claimed, std::move(silence), /*recovers=*/false);
}

absl::StatusOr<std::unique_ptr<PostgresStore>> RecoverPostgresStore(const PostgresOptions& options,
                                                                    const postgres::Member& dead) {
  const absl::StatusOr<postgres::Claimed> claimed = postgres::TakeOver(postgres::WriterOf(options), dead);
  if (!claimed.ok()) return claimed.status();
  return std::make_unique<postgres::StoreOverLibpq>(options, *claimed, postgres::SilenceWatch(options.look_gap_max),
                                                    /*recovers=*/true);
}

absl::Status CheckPostgresConninfo(const std::string& conninfo) { return postgres::CheckConninfo(conninfo); }

}  // namespace holdfast::storage
