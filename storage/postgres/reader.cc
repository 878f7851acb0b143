#include "storage/postgres/reader.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "storage/base/log.h"
#include "storage/store/store.h"

namespace holdfast::storage::postgres {
namespace {

// Between two tries while the server can't be reached: no event tells that it can be. The thread is one for reads.
constexpr auto kRetryStep = std::chrono::milliseconds(50);

const Statement kGet = {"get",
                        "SELECT value FROM hf_entry WHERE family = $1::int2 AND shard = $2::int2 AND key = $3::bytea"};

// Division by zero refuses the read.
constexpr absl::string_view kReplaced = "22012";
const Statement kKnown = {"known",
                          "SELECT 1 / count(*) FROM hf_writer WHERE id = $1::int8 AND epoch >= $2::int8"
                          " AND batch >= $3::int8 AND beat >= $4::int8"};
const Statement kKnownAndOwned = {"known_and_owned",
                                  "SELECT 1 / count(*), coalesce((SELECT writer = $6::int8 FROM hf_shard"
                                  " WHERE id = $5::int2), false) FROM hf_writer WHERE id = $1::int8"
                                  " AND epoch >= $2::int8 AND batch >= $3::int8 AND beat >= $4::int8"};

const Statement kBegin = {"begin_snapshot", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"};

// The rows of an object lie under its shard; those of a family are in an order over all shards, which is an index for
// families other than the packed one. A row counts while those before it have fewer bytes than the bound.
std::string PageText(const std::string& where, bool reverse, bool end) {
  const char* const order = reverse ? "ORDER BY key DESC" : "ORDER BY key";
  return absl::StrCat(
      "SELECT key, value FROM (SELECT key, value,"
      " sum(octet_length(value)) OVER (",
      order,
      " ROWS UNBOUNDED PRECEDING) - octet_length(value) AS before"
      " FROM (SELECT key, value FROM hf_entry WHERE ",
      where, " AND key >= $1::bytea", end ? " AND key < $2::bytea" : " AND $2::bytea IS NULL", " ", order,
      " LIMIT $3::int8) a) b WHERE before < $4::int8");
}

// The family is a parameter, so that the planner can't take the index without the shard, which is for families other
// than the packed one: that would walk over the objects of all shards.
const Statement& CatalogPageStatement() {
  static const auto* const kStatement = new Statement{
      "page_catalog_of_shard", PageText("family = $6::int2 AND shard = $5::int2", /*reverse=*/false, /*end=*/false)};
  return *kStatement;
}

const Statement& PageStatement(const RowSpace& space, bool reverse, bool end) {
  struct All {
    Statement object[2][2];
    Statement family[5][2][2];
  };
  static const All* const kAll = [] {
    auto* const all = new All;
    for (int reversed = 0; reversed < 2; ++reversed) {
      for (int ended = 0; ended < 2; ++ended) {
        all->object[reversed][ended] = {absl::StrCat("page_object_", reversed, ended),
                                        PageText("family = 3 AND shard = $5::int2", reversed != 0, ended != 0)};
        for (int family = 0; family < 5; ++family) {
          all->family[family][reversed][ended] = {
              absl::StrCat("page_", family, "_", reversed, ended),
              PageText(absl::StrCat("family = ", family), reversed != 0, ended != 0)};
        }
      }
    }
    return all;
  }();
  if (space.of_one_object()) return kAll->object[reverse][end];
  return kAll->family[space.family()][reverse][end];
}

}  // namespace

Reader::Lease::~Lease() {
  if (reader_ != nullptr) reader_->GiveBack(cursor_, std::move(connection_));
}

Deadline Reader::ReadDeadline() const {
  return options_.session.driver->After(absl::ToChronoNanoseconds(options_.session.read_timeout));
}

absl::StatusOr<Reader::Lease> Reader::Acquire(bool cursor, Deadline deadline) {
  std::unique_ptr<Connection> connection;
  {
    MutexLock lock(&mutex_);
    int& taken = cursor ? taken_by_cursors_ : taken_;
    const int most = cursor ? options_.cursor_connections_max : options_.connections_max;
    while (taken >= most) {
      if (!given_back_.WaitUntil(&mutex_, deadline) && taken >= most) {
        return absl::UnavailableError(absl::StrCat(
            "PostgreSQL: all ", most, cursor ? " connections of cursors" : " connections of reads", " are taken"));
      }
    }
    ++taken;
    while (connection == nullptr && !idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
      if (!connection->usable()) connection = nullptr;
    }
  }
  while (connection == nullptr) {
    SessionOptions session = options_.session;
    session.first_host = first_host_.load(std::memory_order_relaxed);
    auto opened = OpenSession(session, SessionKind::kReader);
    if (opened.ok()) {
      connection = *std::move(opened);
    } else if (options_.session.driver->Now() >= deadline) {
      GiveBack(cursor, nullptr);
      return opened.status();
    } else {
      options_.session.driver->Sleep(kRetryStep);
    }
  }
  return Lease(this, cursor, std::move(connection));
}

void Reader::GiveBack(bool cursor, std::unique_ptr<Connection> connection) {
  {
    MutexLock lock(&mutex_);
    --(cursor ? taken_by_cursors_ : taken_);
    const bool room = idle_.size() < static_cast<size_t>(options_.connections_max);
    if (room && connection != nullptr && connection->usable()) idle_.push_back(std::move(connection));
  }
  given_back_.WakeAll();
}

bool Reader::AddCheck(std::optional<int16_t> shard, Connection* connection) const {
  if (options_.known == nullptr) return false;
  std::optional<int64_t> owner;
  if (shard && options_.shard_writer != nullptr) owner = options_.shard_writer(*shard);
  const WriterMark mark = options_.known();
  Params params;
  params.Int8(mark.id).Int8(mark.epoch).Int8(mark.batch).Int8(mark.beat);
  if (owner) params.Int2(*shard).Int8(*owner);
  connection->Add(owner ? kKnownAndOwned : kKnown, params);
  return owner.has_value();
}

void Reader::Forget(Lease* lease) {
  replaced_.fetch_add(1, std::memory_order_relaxed);
  first_host_.fetch_add(1, std::memory_order_relaxed);
  lease->Drop();
  MutexLock lock(&mutex_);
  idle_.clear();
}

absl::StatusOr<std::pair<Reader::Lease, TripResult>> Reader::TryWith(bool cursor,
                                                                     absl::FunctionRef<void(Connection*)> add,
                                                                     std::optional<int16_t> shard) {
  const Deadline deadline = ReadDeadline();
  bool told = false;
  while (true) {
    absl::StatusOr<Lease> lease = Acquire(cursor, deadline);
    if (!lease.ok()) return lease.status();
    // The check is in the transaction of a cursor, so that the snapshot is of the moment at which it holds.
    if (cursor) (*lease)->Add(kBegin);
    const bool asks_for_shard = AddCheck(shard, lease->get());
    add(lease->get());
    TripResult result = (*lease)->Run(deadline);
    if (result.ok()) {
      const size_t check = cursor ? 1 : 0;
      if (!asks_for_shard || result.rows[check].Bool(0, 1)) return std::pair(*std::move(lease), std::move(result));
      return NotOwner(absl::StrCat("shard ", *shard, " has gone to another node"));
    }
    absl::Status status = result.status();
    if (options_.known != nullptr && result.kind == TripResult::Kind::kError && result.sqlstate == kReplaced) {
      Forget(&*lease);
      status = absl::UnavailableError("PostgreSQL: the server was replaced, and lacks what was committed");
      if (!std::exchange(told, true)) Log(LogLevel::kWarning, "server_replaced", {{"status", status.ToString()}});
    } else if (result.kind == TripResult::Kind::kError) {
      return status;
    }
    if (options_.session.driver->Now() >= deadline) return status;
    options_.session.driver->Sleep(kRetryStep);
  }
}

absl::StatusOr<TripResult> Reader::Try(absl::FunctionRef<void(Connection*)> add, std::optional<int16_t> shard) {
  auto tried = TryWith(/*cursor=*/false, add, shard);
  if (!tried.ok()) return tried.status();
  return std::move(tried->second);
}

absl::StatusOr<Reader::Lease> Reader::BeginSnapshot(const RowSpace& space) {
  auto tried = TryWith(/*cursor=*/true, [](Connection*) {}, ShardToCheck(space));
  if (!tried.ok()) return tried.status();
  return std::move(tried->first);
}

absl::StatusOr<std::optional<std::string>> Reader::Get(const RowSpace& space, absl::string_view key) {
  const absl::StatusOr<TripResult> result = Try(
      [&](Connection* connection) {
        connection->Add(kGet, Params().Int2(space.family()).Int2(space.ShardOf(key)).Bytes(space.RowKey(key)));
      },
      ShardToCheck(space));
  if (!result.ok()) return result.status();
  const Rows& rows = result->rows.back();
  if (rows.count() == 0) return std::nullopt;
  return std::string(rows.Bytes(0, 0));
}

void Reader::AddPage(const RowSpace& space, const KeyRange& rows, bool reverse, PageLimits limits,
                     Connection* connection) {
  Params params;
  params.Bytes(rows.start);
  rows.end.empty() ? params.Null() : params.Bytes(rows.end);
  params.Int8(limits.rows_max).Int8(limits.bytes_max);
  if (space.of_one_object()) params.Int2(space.ShardOf({}));
  connection->Add(PageStatement(space, reverse, !rows.end.empty()), params);
}

RowPage Reader::TakePage(const Rows& rows, PageLimits limits) {
  RowPage page;
  int64_t bytes = 0;
  page.rows.reserve(static_cast<size_t>(rows.count()));
  for (int i = 0; i < rows.count(); ++i) {
    page.rows.emplace_back(std::string(rows.Bytes(i, 0)), std::string(rows.Bytes(i, 1)));
    bytes += static_cast<int64_t>(page.rows.back().second.size());
  }
  page.complete = rows.count() < limits.rows_max && bytes < limits.bytes_max;
  return page;
}

absl::StatusOr<RowPage> Reader::ReadPage(const RowSpace& space, const KeyRange& rows, PageLimits limits) {
  const absl::StatusOr<TripResult> result =
      Try([&](Connection* connection) { AddPage(space, rows, /*reverse=*/false, limits, connection); },
          ShardToCheck(space));
  if (!result.ok()) return result.status();
  return TakePage(result->rows.back(), limits);
}

absl::StatusOr<RowPage> Reader::ReadCatalogPage(int16_t shard, absl::string_view from, PageLimits limits) {
  const absl::StatusOr<TripResult> result = Try(
      [&](Connection* connection) {
        Params params;
        params.Bytes(from).Null().Int8(limits.rows_max).Int8(limits.bytes_max).Int2(shard);
        params.Int2(static_cast<int16_t>(FamilyId::kCatalog));
        connection->Add(CatalogPageStatement(), params);
      },
      shard);
  if (!result.ok()) return result.status();
  return TakePage(result->rows.back(), limits);
}

}  // namespace holdfast::storage::postgres
