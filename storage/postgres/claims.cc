#include "storage/postgres/claims.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "storage/base/log.h"

namespace holdfast::storage::postgres {
namespace {

const Statement kMakeRows = {"make_writers",
                             "INSERT INTO hf_writer SELECT n, 0, 0, 0, 0, NULL, '', '', 0"
                             " FROM generate_series(0::int8, $1::int8 - 1) n UNION ALL"
                             " SELECT $2::int8, 0, 0, 0, 0, NULL, '', '', 0 ON CONFLICT DO NOTHING"};
const Statement kSee = {
    "see_writers",
    "SELECT id, epoch, batch, beat, owner IS NOT NULL, node, address, lease_ms FROM hf_writer ORDER BY id"};
// Division by zero refuses all claims if one of the rows has changed.
const Statement kClaim = {"claim",
                          "WITH c AS (UPDATE hf_writer SET epoch = epoch + 1, beat = beat + 1, owner = $5::text,"
                          " node = $6::text, address = $7::text, lease_ms = $8::int8 WHERE id = $1::int8"
                          " AND epoch = $2::int8 AND batch = $3::int8 AND beat = $4::int8 RETURNING epoch, batch)"
                          " SELECT max(epoch), max(batch), 1 / count(*) FROM c"};
const Statement kRelease = {"release", "UPDATE hf_writer SET epoch = epoch + 1, owner = NULL WHERE owner = $1::text"};
// A row that a commit has locked is passed over: the commit renews the lease itself.
const Statement kBeat = {"beat",
                         "UPDATE hf_writer SET beat = beat + 1 WHERE id IN (SELECT id FROM hf_writer"
                         " WHERE id = ANY($1::int8[]) AND owner = $2::text FOR UPDATE SKIP LOCKED)"
                         " RETURNING id, batch"};
const Statement kOwned = {"owned",
                          "SELECT id, coalesce(owner, '') = $2::text, node, address FROM hf_writer"
                          " WHERE id = ANY($1::int8[])"};

// Between two looks at the rows of an owner that may be gone: only looking tells whether they change. Only the start
// waits here.
constexpr auto kLookStep = std::chrono::milliseconds(100);
constexpr auto kSetupTimeout = std::chrono::seconds(10);
constexpr int kBeatsPerLease = 3;

Deadline SetupDeadline() { return std::chrono::steady_clock::now() + kSetupTimeout; }

// A row of hf_writer.
struct Seen {
  int64_t epoch;
  int64_t batch;
  int64_t beat;
  bool owned;
  std::string node;
  std::string address;
  absl::Duration lease;

  bool SameAs(const Seen& other) const {
    return std::tie(epoch, batch, beat, owned) == std::tie(other.epoch, other.batch, other.beat, other.owned);
  }
};
using SeenRows = std::map<int64_t, Seen>;

absl::StatusOr<SeenRows> See(Connection* connection) {
  connection->Add(kSee);
  const TripResult result = connection->Run(SetupDeadline());
  if (!result.ok()) return result.status();
  SeenRows seen;
  const Rows& rows = result.rows.back();
  for (int i = 0; i < rows.count(); ++i) {
    seen[rows.Int(i, 0)] = {rows.Int(i, 1),
                            rows.Int(i, 2),
                            rows.Int(i, 3),
                            rows.Bool(i, 4),
                            std::string(rows.Bytes(i, 5)),
                            std::string(rows.Bytes(i, 6)),
                            absl::Milliseconds(rows.Int(i, 7))};
  }
  return seen;
}

absl::Status InUse(const Seen& seen) {
  return absl::FailedPreconditionError(absl::StrCat("PostgreSQL: the database is in use by the node \"", seen.node,
                                                    "\" at ", seen.address, ", which is alive"));
}

// Waits until the owners of all rows have been silent for their lease. Returns the rows as they were all the time: a
// claim must be of these, since a row that was read later may have an owner who has just come.
absl::StatusOr<SeenRows> WaitForSilence(const WriterOptions& options, Connection* connection) {
  absl::StatusOr<SeenRows> rows = See(connection);
  if (!rows.ok()) return rows;
  const absl::Duration began = options.boot_time();
  absl::Duration lease;
  for (const auto& [id, seen] : *rows) {
    if (!seen.owned) continue;
    if (lease == absl::ZeroDuration()) {
      Log(LogLevel::kInfo, "waiting_for_lease",
          {{"node", seen.node}, {"address", seen.address}, {"lease", absl::FormatDuration(seen.lease)}});
    }
    lease = std::max(lease, seen.lease);
  }
  while (lease > absl::ZeroDuration() && options.boot_time() - began <= lease) {
    std::this_thread::sleep_for(kLookStep);
    const absl::StatusOr<SeenRows> now = See(connection);
    if (!now.ok()) return now;
    for (const auto& [id, seen] : *now) {
      const auto before = rows->find(id);
      if (before != rows->end() && seen.SameAs(before->second)) continue;
      if (seen.owned) return InUse(seen);
      // Its owner has given it back.
      (*rows)[id] = seen;
    }
  }
  return rows;
}

}  // namespace

absl::StatusOr<Claimed> ClaimWriters(const WriterOptions& options, int executors) {
  auto connection = OpenSession(options.session, SessionKind::kWriter);
  if (!connection.ok()) return connection.status();
  (*connection)->Add(kMakeRows, Params().Int8(executors).Int8(kNodeWriter));
  if (const TripResult made = (*connection)->Run(SetupDeadline()); !made.ok()) return made.status();
  const absl::StatusOr<SeenRows> rows = WaitForSilence(options, connection->get());
  if (!rows.ok()) return rows.status();
  Claimed claimed;
  claimed.at = options.boot_time();
  for (const auto& [id, seen] : *rows) {
    (*connection)
        ->Add(kClaim, Params()
                          .Int8(id)
                          .Int8(seen.epoch)
                          .Int8(seen.batch)
                          .Int8(seen.beat)
                          .Bytes(options.owner)
                          .Bytes(options.node)
                          .Bytes(options.address)
                          .Int8(absl::ToInt64Milliseconds(options.lease)));
  }
  const TripResult result = (*connection)->Run(SetupDeadline());
  if (result.kind == TripResult::Kind::kError && result.sqlstate == "22012") {
    return absl::FailedPreconditionError("PostgreSQL: another process has just taken the database");
  }
  if (!result.ok()) return result.status();
  size_t next = 0;
  for (const auto& [id, seen] : *rows) {
    const Rows& row = result.rows[next++];
    if (id < executors || id == kNodeWriter) claimed.writers.push_back({id, row.Int(0, 0), row.Int(0, 1)});
  }
  return claimed;
}

void ReleaseWriters(const WriterOptions& options, absl::Span<const std::unique_ptr<Writer>> writers) {
  // A writer whose last commit may still happen is left to its lease.
  for (const auto& writer : writers) {
    if (!writer->failure().ok()) return;
  }
  auto connection = OpenSession(options.session, SessionKind::kWriter);
  if (!connection.ok()) return;
  (*connection)->Add(kRelease, Params().Bytes(options.owner));
  (void)(*connection)->Run(SetupDeadline());
}

Heartbeat::Heartbeat(const WriterOptions& options, absl::Span<const std::unique_ptr<Writer>> writers,
                     std::function<void(const absl::Status&)> on_lost)
    : options_(options), writers_(writers), on_lost_(std::move(on_lost)), thread_([this] { Work(); }) {}

Heartbeat::~Heartbeat() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  ending_changed_.WakeAll();
  thread_.join();
}

void Heartbeat::Work() {
  while (true) {
    const Deadline next = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.lease / kBeatsPerLease);
    {
      MutexLock lock(&mutex_);
      while (!ending_ && ending_changed_.WaitUntil(&mutex_, next)) {
      }
      if (ending_) return;
    }
    const absl::Status lost = Beat();
    if (lost.ok()) continue;
    Log(LogLevel::kError, "writer_lost", {{"status", lost.ToString()}});
    for (const auto& writer : writers_) writer->Fail(lost);
    if (on_lost_ != nullptr) on_lost_(lost);
    return;
  }
}

absl::Status Heartbeat::Beat() {
  absl::flat_hash_map<int64_t, Writer*> silent;
  absl::flat_hash_map<int64_t, int64_t> acknowledged;
  ArrayParam ids = ArrayParam::OfInt8();
  for (const auto& writer : writers_) {
    // A writer that commits all the time needs no beats.
    if (writer->lease_age() < options_.lease / kBeatsPerLease / 2) continue;
    silent[writer->id()] = writer.get();
    acknowledged[writer->id()] = writer->batch();
    ids.AddInt8(writer->id());
  }
  if (silent.empty()) return absl::OkStatus();
  if (connection_ == nullptr || !connection_->usable()) {
    auto opened = OpenSession(options_.session, SessionKind::kWriter);
    if (!opened.ok()) {
      Log(LogLevel::kWarning, "no_heartbeat", {{"status", opened.status().ToString()}});
      return absl::OkStatus();
    }
    connection_ = *std::move(opened);
  }
  const absl::Duration sent_at = options_.boot_time();
  ArrayParam again = ids;
  connection_->Add(kBeat, Params().Array(&ids).Bytes(options_.owner));
  connection_->Add(kOwned, Params().Array(&again).Bytes(options_.owner));
  const TripResult result =
      connection_->Run(std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.commit_timeout));
  if (!result.ok() || result.warned) {
    Log(LogLevel::kWarning, "no_heartbeat", {{"status", result.status().ToString()}});
    connection_ = nullptr;
    return absl::OkStatus();
  }
  const Rows& beaten = result.rows[0];
  for (int i = 0; i < beaten.count(); ++i) {
    const int64_t id = beaten.Int(i, 0);
    if (beaten.Int(i, 1) < acknowledged[id]) {
      return absl::DataLossError(absl::StrCat("PostgreSQL: the row of writer ", id, " has batch ", beaten.Int(i, 1),
                                              ", and ", acknowledged[id],
                                              " was acknowledged: the database has lost commits"));
    }
    silent[id]->Renew(sent_at);
  }
  const Rows& owned = result.rows[1];
  if (static_cast<size_t>(owned.count()) < silent.size()) {
    return absl::DataLossError("PostgreSQL: rows of writers are gone: the database has lost commits");
  }
  for (int i = 0; i < owned.count(); ++i) {
    if (owned.Bool(i, 1)) continue;
    return NotOwner(
        absl::StrCat("writer ", owned.Int(i, 0), " was taken over by ", owned.Bytes(i, 2), " at ", owned.Bytes(i, 3)));
  }
  return absl::OkStatus();
}

}  // namespace holdfast::storage::postgres
