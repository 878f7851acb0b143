#include "storage/postgres/claims.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "storage/base/log.h"

namespace holdfast::storage::postgres {
namespace {

// Members that join do so one after the other.
const Statement kLockJoin = {"lock_join", "SELECT pg_advisory_xact_lock(4853219045672)"};
const Statement kMark = {"mark_cluster",
                         "INSERT INTO hf_meta VALUES ('mark', $1::text) ON CONFLICT (key) DO UPDATE SET value = CASE"
                         " WHEN EXISTS (SELECT FROM hf_writer WHERE owner IS NOT NULL) THEN hf_meta.value"
                         " ELSE excluded.value END RETURNING value = $1::text"};
// The last of the new writers is the one without a lane.
const Statement kMakeRows = {
    "make_writers",
    "INSERT INTO hf_writer SELECT nextval('hf_writer_id'), CASE WHEN n = $1::int4 THEN -1 ELSE n END, 1, 0, 0, "
    "$2::text,"
    " $3::int2, $4::text, $5::text, $6::int8 FROM generate_series(0, $1::int4) n RETURNING lane, id"};
const Statement kClock = {"clock", "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8"};
const Statement kRemoveRows = {"remove_writers", "DELETE FROM hf_writer WHERE owner = $1::text"};
// Division by zero refuses the whole claim if one of the rows has changed.
const Statement kClaim = {"claim",
                          "WITH c AS (UPDATE hf_writer SET epoch = epoch + 1, beat = beat + 1, owner = $5::text,"
                          " state = $6::int2, address = '', lease_ms = $7::int8 WHERE id = $1::int8"
                          " AND epoch = $2::int8 AND batch = $3::int8 AND beat = $4::int8 AND owner = $8::text"
                          " RETURNING epoch, batch) SELECT max(epoch), max(batch), 1 / count(*) FROM c"};
// A row that a commit has locked is passed over: the commit renews the lease itself.
const Statement kBeat = {"beat",
                         "UPDATE hf_writer SET beat = beat + 1 WHERE id IN (SELECT id FROM hf_writer"
                         " WHERE id = ANY($1::int8[]) AND owner = $2::text FOR UPDATE SKIP LOCKED)"
                         " RETURNING id, batch, beat"};
const Statement kOwned = {"owned",
                          "SELECT id, coalesce(owner, '') = $2::text, node FROM hf_writer WHERE id = ANY($1::int8[])"};

// Between two looks at the rows of a member that may be gone: only looking tells whether they change. Only the start
// waits here.
constexpr auto kLookStep = std::chrono::milliseconds(100);
constexpr auto kSetupTimeout = std::chrono::seconds(10);
constexpr int kBeatsPerLease = 3;

Deadline SetupDeadline(const WriterOptions& options) { return options.session.driver->After(kSetupTimeout); }

absl::Status InUse(const Member& member) {
  return absl::FailedPreconditionError(absl::StrCat("PostgreSQL: the database is in use by the node \"", member.node,
                                                    "\" at ", member.address, ", which is alive"));
}

// Alarms are due by the clock of the node that has their object, so the nodes must agree on the time. The database's
// clock is the one that all of them can ask; nothing but this check depends on it.
absl::Status CheckClock(const WriterOptions& options, Connection* connection) {
  const absl::Time before = options.wall_clock();
  connection->Add(kClock);
  const TripResult result = connection->Run(SetupDeadline(options));
  if (!result.ok()) return result.status();
  const absl::Time after = options.wall_clock();
  const absl::Time database = absl::FromUnixMicros(result.rows.back().Int(0, 0));
  const absl::Duration ahead = before - database;
  const absl::Duration behind = database - after;
  if (std::max(ahead, behind) <= options.clock_apart_max) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("PostgreSQL: the clock of this machine is ",
                   absl::FormatDuration(absl::Trunc(std::max(ahead, behind), absl::Milliseconds(1))),
                   ahead > behind ? " ahead of" : " behind", " that of the database, and ",
                   absl::FormatDuration(options.clock_apart_max),
                   " are allowed (postgres.clock_apart_max_ms): alarms would come early or late; set the clocks"));
}

// Returns whether a member that is alive forbids the start of this one.
bool IsInTheWay(const WriterOptions& options, MemberState state, const Member& member) {
  if (member.state == MemberState::kRecovery) return state == MemberState::kAlone;
  return state == MemberState::kAlone || member.state == MemberState::kAlone || member.node == options.node;
}

// Waits until all members in the way are silent. Returns the map that shows it.
absl::StatusOr<ClusterMap> WaitForSilence(const WriterOptions& options, MemberState state, Connection* connection,
                                          SilenceWatch* watch) {
  bool told = false;
  std::map<std::string, Member> first;
  while (true) {
    const absl::Duration asked_at = options.boot_time();
    AddReadMap(connection);
    const TripResult result = connection->Run(SetupDeadline(options));
    if (!result.ok()) return result.status();
    ClusterMap map = TakeMap(result.rows, options.part);
    watch->Look(map, asked_at, options.boot_time());
    bool wait = false;
    for (const auto& [owner, member] : map.members) {
      if (!IsInTheWay(options, state, member) || watch->IsSilent(member)) continue;
      const auto before = first.find(owner);
      if (before != first.end() && before->second.rows != member.rows) return InUse(member);
      first[owner] = member;
      wait = true;
      if (told) continue;
      told = true;
      Log(LogLevel::kInfo, "waiting_for_lease",
          {{"node", member.node}, {"address", member.address}, {"lease", absl::FormatDuration(member.lease)}});
    }
    if (!wait) return map;
    options.session.driver->Sleep(kLookStep);
  }
}

}  // namespace

absl::Status AwaitSilence(const WriterOptions& options, MemberState state, SilenceWatch* watch) {
  auto connection = OpenSession(options.session, SessionKind::kWriter);
  if (!connection.ok()) return connection.status();
  return WaitForSilence(options, state, connection->get(), watch).status();
}

absl::StatusOr<Claimed> Join(const WriterOptions& options, int executors, MemberState state, SilenceWatch* watch) {
  auto connection = OpenSession(options.session, SessionKind::kWriter);
  if (!connection.ok()) return connection.status();
  if (absl::Status clock = CheckClock(options, connection->get()); !clock.ok()) return clock;
  const absl::StatusOr<ClusterMap> before = WaitForSilence(options, state, connection->get(), watch);
  if (!before.ok()) return before.status();
  Claimed claimed;
  claimed.at = options.boot_time();
  (*connection)->Add(kLockJoin);
  (*connection)->Add(kMark, Params().Bytes(options.cluster_mark));
  (*connection)
      ->Add(kMakeRows, Params()
                           .Int4(executors)
                           .Bytes(options.owner)
                           .Int2(static_cast<int16_t>(state))
                           .Bytes(options.node)
                           .Bytes(options.address)
                           .Int8(absl::ToInt64Milliseconds(options.lease)));
  AddReadMap(connection->get());
  const TripResult result = (*connection)->Run(SetupDeadline(options));
  if (!result.ok()) return result.status();
  const auto refused = [&](absl::string_view why) {
    (*connection)->Add(kRemoveRows, Params().Bytes(options.owner));
    (void)(*connection)->Run(SetupDeadline(options));
    return absl::FailedPreconditionError(absl::StrCat("PostgreSQL: ", why));
  };
  if (!result.rows[1].Bool(0, 0)) {
    return refused(
        "nodes with another secret (postgres.cluster.secret_file) are members of the cluster in this database; it "
        "can be changed once all have ended in order");
  }
  for (const auto& [owner, member] : TakeMap(result.rows, options.part).members) {
    if (owner == options.owner || before->Find(owner) != nullptr || !IsInTheWay(options, state, member)) continue;
    return refused(absl::StrCat("the node \"", member.node, "\" has just taken the database"));
  }
  const Rows& made = result.rows[2];
  for (int i = 0; i < made.count(); ++i) {
    const WriterState writer = {.id = made.Int(i, 1), .epoch = 1, .batch = 0};
    if (made.Int(i, 0) == kNoLane) {
      claimed.own = writer;
    } else {
      claimed.executors.push_back(writer);
    }
  }
  return claimed;
}

absl::StatusOr<Claimed> TakeOver(const WriterOptions& options, const Member& dead) {
  auto connection = OpenSession(options.session, SessionKind::kWriter);
  if (!connection.ok()) return connection.status();
  Claimed claimed;
  claimed.at = options.boot_time();
  for (const WriterRow& row : dead.rows) {
    (*connection)
        ->Add(kClaim, Params()
                          .Int8(row.id)
                          .Int8(row.epoch)
                          .Int8(row.batch)
                          .Int8(row.beat)
                          .Bytes(options.owner)
                          .Int2(static_cast<int16_t>(MemberState::kRecovery))
                          .Int8(absl::ToInt64Milliseconds(options.lease))
                          .Bytes(dead.owner));
  }
  const TripResult result = (*connection)->Run(SetupDeadline(options));
  if (result.kind == TripResult::Kind::kError && result.sqlstate == "22012") {
    return absl::AbortedError(absl::StrCat("PostgreSQL: the node ", dead.node, " is alive, or another node was first"));
  }
  if (!result.ok()) return result.status();
  bool has_own = false;
  for (size_t i = 0; i < dead.rows.size(); ++i) {
    const WriterState writer = {dead.rows[i].id, result.rows[i].Int(0, 0), result.rows[i].Int(0, 1)};
    if (dead.rows[i].lane == kNoLane) {
      claimed.own = writer;
      has_own = true;
    } else {
      claimed.executors.push_back(writer);
    }
  }
  if (!has_own) return absl::DataLossError(absl::StrCat("PostgreSQL: rows of the writers of ", dead.node, " are gone"));
  return claimed;
}

Heartbeat::Heartbeat(const WriterOptions& options, absl::Span<const std::unique_ptr<Writer>> writers,
                     std::function<void(const absl::Status&)> on_lost)
    : options_(options),
      writers_(writers),
      on_lost_(std::move(on_lost)),
      repeated_(options.session.driver->Repeat(options.lease / kBeatsPerLease, [this] { return Work(); })) {}

bool Heartbeat::Work() {
  const absl::Status lost = Beat();
  if (lost.ok()) return true;
  Log(LogLevel::kError, "writer_lost", {{"status", lost.ToString()}});
  for (const auto& writer : writers_) writer->Fail(lost);
  if (on_lost_ != nullptr) on_lost_(lost);
  return false;
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
    SessionOptions session = options_.session;
    session.first_host = first_host_;
    auto opened = OpenSession(session, SessionKind::kWriter);
    if (!opened.ok()) {
      ++first_host_;
      Log(LogLevel::kWarning, "no_heartbeat", {{"status", opened.status().ToString()}});
      return absl::OkStatus();
    }
    connection_ = *std::move(opened);
  }
  const absl::Duration sent_at = options_.boot_time();
  ArrayParam again = ids;
  ArrayParam beaten_ids = ids;
  connection_->Add(kBeat, Params().Array(&beaten_ids).Bytes(options_.owner));
  connection_->Add(kOwned, Params().Array(&again).Bytes(options_.owner));
  const TripResult result =
      connection_->Run(options_.session.driver->After(absl::ToChronoNanoseconds(options_.commit_timeout)));
  if (!result.ok() || result.warned) {
    Log(LogLevel::kWarning, "no_heartbeat", {{"status", result.status().ToString()}});
    connection_ = nullptr;
    ++first_host_;
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
    silent[id]->RenewByBeat(sent_at, beaten.Int(i, 2));
  }
  const Rows& owned = result.rows[1];
  bool lost = static_cast<size_t>(owned.count()) < silent.size();
  for (int i = 0; i < owned.count(); ++i) lost = lost || !owned.Bool(i, 1);
  return lost ? WhyLost(std::move(ids), silent.size()) : absl::OkStatus();
}

absl::Status Heartbeat::WhyLost(ArrayParam ids, size_t count) {
  AddSyncedWrite(connection_.get());
  connection_->Add(kOwned, Params().Array(&ids).Bytes(options_.owner));
  const TripResult result =
      connection_->Run(options_.session.driver->After(absl::ToChronoNanoseconds(options_.commit_timeout)));
  if (!result.ok() || result.warned || result.rows[0].count() == 0) {
    connection_ = nullptr;
    ++first_host_;
    return absl::OkStatus();
  }
  const Rows& owned = result.rows[1];
  if (static_cast<size_t>(owned.count()) < count) {
    return absl::DataLossError("PostgreSQL: rows of writers are gone: the database has lost commits");
  }
  for (int i = 0; i < owned.count(); ++i) {
    if (owned.Bool(i, 1)) continue;
    return NotOwner(absl::StrCat("writer ", owned.Int(i, 0), " of the node ", owned.Bytes(i, 2),
                                 " was taken over by another node"));
  }
  return absl::OkStatus();
}

}  // namespace holdfast::storage::postgres
