#include "service/cluster/cluster_steps.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/log.h"
#include "storage/fold/logged_store.h"

namespace holdfast::service {
namespace {

using storage::kShardCount;
using storage::ShardId;
using storage::postgres::MemberState;

// Rows of writers whose owner was taken over stay for so long, so that a process that was paused finds out what has
// happened to it.
constexpr absl::Duration kKeepOwnerless = absl::Hours(1);
// A recovery gives shards to nodes that may die meanwhile, so it may take some tries.
constexpr int kRecoveryTries = 20;
constexpr size_t kRecoveryRowCacheBytes = 16 << 20;

size_t Index(ShardId shard) { return static_cast<size_t>(shard); }

}  // namespace

void ShardCountdown::One() {
  MutexLock lock(&mutex_);
  if (--left_ == 0) all_.WakeAll();
}

bool ShardCountdown::done() {
  MutexLock lock(&mutex_);
  return left_ == 0;
}

bool ShardCountdown::WaitFor(absl::Duration time) {
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(time);
  MutexLock lock(&mutex_);
  while (left_ > 0 && all_.WaitUntil(&mutex_, until)) {
  }
  return left_ == 0;
}

ClusterSteps::ClusterSteps(StepServices services, AgentOptions options)
    : services_(std::move(services)), options_(std::move(options)), loads_(options_.load_interval) {}

ClusterLoad ClusterSteps::load() const {
  return {.nodes = nodes_,
          .shards = shards_,
          .lease_age = services_.rows->LeaseAge(),
          .shards_gained = gained_,
          .shards_given = given_,
          .recoveries = recoveries_,
          .commits_resolved = services_.rows->ResolvedCommits()};
}

bool ClusterSteps::IsSilent(const Member& member) const {
  return member.owner != services_.rows->membership().owner() && services_.rows->silence().IsSilent(member);
}

absl::StatusOr<ClusterMap> ClusterSteps::Look() {
  const auto& boot_time = options_.postgres.boot_time;
  const absl::Duration asked_at = boot_time();
  absl::StatusOr<ClusterMap> map = services_.rows->membership().Look();
  if (map.ok() != reached_) {
    reached_ = map.ok();
    Log(reached_ ? LogLevel::kInfo : LogLevel::kWarning, reached_ ? "cluster_map_read" : "no_cluster_map",
        {{"status", map.status().ToString()}});
  }
  if (!map.ok()) return map;
  // While this node can't write, nobody else may be able to.
  if (services_.rows->LeaseAge() > options_.postgres.lease / 2) {
    services_.rows->silence().Forget();
  } else {
    services_.rows->silence().Look(*map, asked_at, boot_time());
  }
  return map;
}

absl::StatusOr<ClusterSteps::Result> ClusterSteps::Step(bool leaving) {
  const Result more = {.more = true};
  absl::StatusOr<ClusterMap> map = Look();
  if (map.ok() && !Gained(*map).empty()) map = services_.rows->membership().LookForSure();
  if (!map.ok()) return map.status();
  const Member* const self = map->Find(services_.rows->membership().owner());
  const auto is_silent = [this](const Member& member) { return IsSilent(member); };
  const absl::Status gained = Gain(*map);
  services_.on_map(*map, is_silent);
  shards_ = map->ShardsOf(*self).size();
  const size_t nodes = std::max<size_t>(1, Takers(*map, is_silent).size());
  if (nodes_.exchange(nodes) != nodes) services_.on_nodes(nodes);
  if (services_.ending()) return Result{};
  for (const auto& [other, member] : map->members) {
    if (leaving || !IsSilent(member)) continue;
    if (absl::Status status = Recover(member); !status.ok()) {
      Log(LogLevel::kWarning, "node_not_recovered", {{"node", member.node}, {"status", status.ToString()}});
      continue;
    }
    return more;
  }
  // A shard that is not here yet can't be given away.
  if (!gained.ok()) return gained;
  if (leaving) {
    if (self->state != MemberState::kLeaving) {
      if (absl::Status status = services_.rows->membership().SetState(MemberState::kLeaving); !status.ok()) {
        return status;
      }
      return more;
    }
    const std::vector<ShardMove> moves = PlanLeaving(*map, *self, is_silent, options_.limits.moves_max);
    if (moves.empty()) return Result{.left = true};
    if (absl::Status status = Give(moves); !status.ok()) return status;
    return more;
  }
  const ShardPlan plan = PlanShards(*map, *self, is_silent, options_.limits);
  if (!plan.take.empty()) {
    if (absl::Status status = services_.rows->membership().MoveShards(plan.take); !status.ok()) return status;
    return more;
  }
  if (!plan.give.empty()) {
    if (absl::Status status = Give(plan.give); !status.ok()) return status;
    return more;
  }
  bool all_owned = true;
  for (const ShardId shard : map->part.Shards()) {
    const Member* const has = map->OwnerOf(shard);
    if (has == nullptr || has->state == MemberState::kRecovery) all_owned = false;
    // Nobody else is to answer for a shard that a server alone does not have.
    if (self->state == MemberState::kAlone && has != self) all_owned = false;
  }
  if (absl::Status status = TellLoads(*map, *self); !status.ok()) return status;
  if (absl::Status status = RemoveOldWriters(*map); !status.ok()) return status;
  return Result{.ready = all_owned};
}

std::vector<ShardId> ClusterSteps::Gained(const ClusterMap& map) const {
  std::vector<ShardId> gained;
  for (ShardId shard : map.ShardsOf(*map.Find(services_.rows->membership().owner()))) {
    if (!here_[Index(shard)]) gained.push_back(shard);
  }
  return gained;
}

absl::Status ClusterSteps::Gain(const ClusterMap& map) {
  const std::vector<ShardId> gained = Gained(map);
  if (gained.empty()) return absl::OkStatus();
  absl::Status ready = services_.run_clocks->Refresh();
  for (ShardId shard : gained) {
    if (ready.ok() && services_.on_gain != nullptr) ready = services_.on_gain(shard, map.shards[Index(shard)].epoch);
  }
  if (!ready.ok()) {
    Log(LogLevel::kWarning, "shards_not_gained", {{"status", ready.ToString()}});
    return absl::UnavailableError(ready.message());
  }
  auto done = std::make_shared<ShardCountdown>(gained.size());
  for (ShardId shard : gained) {
    services_.rows->Forget(shard);
    here_[Index(shard)] = true;
    loads_.Gained(shard);
    const actors::Router::Host& host = services_.router->HostOf(shard);
    host.executor->Post([shards = host.shards, shard, done] {
      shards->Own(shard);
      done->One();
    });
  }
  (void)services_.wait(done.get());
  gained_ += gained.size();
  Log(LogLevel::kInfo, "shards_gained", {{"count", absl::StrCat(gained.size())}});
  return absl::OkStatus();
}

absl::Status ClusterSteps::Give(absl::Span<const ShardMove> moves) {
  // Most of what is to be folded is folded while requests go on.
  if (absl::Status status = services_.fold(); !status.ok()) return status;
  const absl::Time began = actors::SteadyNow();
  auto released = std::make_shared<ShardCountdown>(moves.size());
  for (const ShardMove& move : moves) {
    const actors::Router::Host& host = services_.router->HostOf(move.shard);
    host.executor->Post([shards = host.shards, shard = move.shard, turns_max = options_.turns_max, released] {
      shards->Release(shard, turns_max, [released] { released->One(); });
    });
  }
  if (!services_.wait(released.get())) return absl::UnavailableError("the node ends");
  if (absl::Status status = services_.fold(); !status.ok()) return status;
  for (const ShardMove& move : moves) {
    here_[Index(move.shard)] = false;
    if (services_.on_lose != nullptr) services_.on_lose(move.shard);
  }
  if (absl::Status status = services_.rows->membership().MoveShards(moves); !status.ok()) return status;
  for (const ShardMove& move : moves) services_.rows->Forget(move.shard);
  given_ += moves.size();
  Log(LogLevel::kInfo, "shards_given",
      {{"count", absl::StrCat(moves.size())}, {"pause", absl::FormatDuration(actors::SteadyNow() - began)}});
  return absl::OkStatus();
}

absl::Status ClusterSteps::Recover(const Member& dead) {
  Log(LogLevel::kWarning, "node_silent", {{"node", dead.node}, {"lease", absl::FormatDuration(dead.lease)}});
  const absl::Time began = actors::SteadyNow();
  storage::PostgresOptions options = options_.postgres;
  options.owner = absl::StrCat(options.owner, "-recovers-", dead.rows.front().id);
  options.row_cache_bytes = kRecoveryRowCacheBytes;
  options.on_failure = nullptr;
  auto rows = storage::RecoverPostgresStore(options, dead);
  if (!rows.ok()) return rows.status();
  storage::PostgresStore* const recovered = rows->get();
  std::unique_ptr<storage::CommitLogs> logs = recovered->NewCommitLogs();
  storage::LoggedStoreOptions replay;
  replay.logs = 0;
  replay.fold_every = absl::InfiniteDuration();
  const auto store = storage::LoggedStore::Open(*std::move(rows), std::move(logs), std::move(replay));
  if (!store.ok()) {
    Log(LogLevel::kError, "log_not_replayed", {{"node", dead.node}, {"status", store.status().ToString()}});
    return store.status();
  }
  size_t shards = 0;
  for (int i = 0; i < kRecoveryTries; ++i) {
    const absl::StatusOr<ClusterMap> map = recovered->membership().Look();
    if (!map.ok()) return map.status();
    const std::vector<ShardMove> moves = PlanLeaving(
        *map, *map->Find(recovered->membership().owner()), [this](const Member& member) { return IsSilent(member); },
        kShardCount);
    if (moves.empty()) break;
    shards += moves.size();
    if (absl::Status status = recovered->membership().MoveShards(moves); !status.ok()) return status;
  }
  ++recoveries_;
  Log(LogLevel::kWarning, "node_recovered",
      {{"node", dead.node},
       {"shards", absl::StrCat(shards)},
       {"time", absl::FormatDuration(actors::SteadyNow() - began)}});
  return absl::OkStatus();
}

absl::Status ClusterSteps::TellLoads(const ClusterMap& map, const Member& self) {
  const absl::Duration now = options_.postgres.boot_time();
  if (self.state != MemberState::kNode || !loads_.due(now)) return absl::OkStatus();
  const auto loads = loads_.Count(
      now, map, self, [this](ShardId shard) { return services_.router->HostOf(shard).shards->turns_of(shard); });
  if (loads.empty() && (self.tells_loads || !loads_.whole())) return absl::OkStatus();
  return services_.rows->membership().TellLoads(loads);
}

absl::Status ClusterSteps::RemoveOldWriters(const ClusterMap& map) {
  const absl::Duration now = options_.postgres.boot_time();
  std::map<int64_t, absl::Duration> since;
  std::vector<int64_t> old;
  for (int64_t writer : map.ownerless) {
    const auto found = ownerless_since_.find(writer);
    since[writer] = found == ownerless_since_.end() ? now : found->second;
    if (now - since[writer] > kKeepOwnerless) old.push_back(writer);
  }
  ownerless_since_ = std::move(since);
  return old.empty() ? absl::OkStatus() : services_.rows->membership().RemoveWriters(old);
}

}  // namespace holdfast::service
