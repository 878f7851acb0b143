#include "service/cluster/cluster_agent.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "storage/base/check.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

using storage::kShardCount;
using storage::ShardId;
using storage::postgres::MemberState;

// Rows of writers whose owner was taken over stay for so long, so that a process that was paused finds out what has
// happened to it.
constexpr absl::Duration kKeepOwnerless = absl::Hours(1);
// Between two looks that requests have asked for.
constexpr absl::Duration kLookIntervalMin = absl::Milliseconds(10);
// A recovery gives shards to nodes that may die meanwhile, so it may take some tries.
constexpr int kRecoveryTries = 20;
constexpr size_t kRecoveryRowCacheBytes = 16 << 20;
// Between two looks whether a node that gives shards away is to end after all.
constexpr absl::Duration kReleaseStep = absl::Milliseconds(100);

size_t Index(ShardId shard) { return static_cast<size_t>(shard); }

// Counts shards down as their hosts release them; outlives both sides.
class Released {
 public:
  explicit Released(size_t shards) : left_(shards) {}
  void One() {
    MutexLock lock(&mutex_);
    if (--left_ == 0) all_.WakeAll();
  }
  // Returns whether all are released by then.
  bool WaitFor(absl::Duration time) {
    const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(time);
    MutexLock lock(&mutex_);
    while (left_ > 0 && all_.WaitUntil(&mutex_, until)) {
    }
    return left_ == 0;
  }

 private:
  Mutex mutex_;
  CondVar all_;
  size_t left_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

ClusterAgent::ClusterAgent(AgentServices services, AgentOptions options)
    : services_(services), options_(std::move(options)) {}

ClusterAgent::~ClusterAgent() { Stop(); }

absl::Status ClusterAgent::Start() {
  services_.rows->ReadOwnShards();
  thread_ = std::thread([this] { Work(); });
  MutexLock lock(&mutex_);
  while (!ready_ && failure_.ok()) changed_.Wait(&mutex_);
  return failure_;
}

void ClusterAgent::LookSoon() {
  MutexLock lock(&mutex_);
  look_now_ = true;
  changed_.WakeAll();
}

void ClusterAgent::Leave(absl::Time until) {
  const auto steady_until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(until - actors::SteadyNow());
  MutexLock lock(&mutex_);
  leaving_ = true;
  changed_.WakeAll();
  while (!left_ && failure_.ok() && changed_.WaitUntil(&mutex_, steady_until)) {
  }
}

void ClusterAgent::Stop() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.WakeAll();
  }
  thread_.join();
}

ClusterLoad ClusterAgent::load() const {
  return {.nodes = nodes_,
          .shards = shards_,
          .lease_age = services_.rows->LeaseAge(),
          .shards_gained = gained_,
          .shards_given = given_,
          .recoveries = recoveries_,
          .forwarded = services_.placement == nullptr ? 0 : services_.placement->forwarded(),
          .commits_resolved = services_.rows->ResolvedCommits()};
}

bool ClusterAgent::ending() {
  MutexLock lock(&mutex_);
  return ending_ || !failure_.ok();
}

void ClusterAgent::Work() {
  pthread_setname_np(pthread_self(), "cluster");
  while (true) {
    const absl::StatusOr<bool> more = Step();
    const auto now = std::chrono::steady_clock::now();
    const auto next = now + absl::ToChronoNanoseconds(options_.look_interval);
    const auto soonest = now + absl::ToChronoNanoseconds(std::min(kLookIntervalMin, options_.look_interval));
    MutexLock lock(&mutex_);
    if (!more.ok() && !absl::IsUnavailable(more.status())) {
      Log(LogLevel::kError, "cluster_agent_ended", {{"status", more.status().ToString()}});
      failure_ = more.status();
      changed_.WakeAll();
      lock.Unlock();
      services_.on_failure(more.status());
      return;
    }
    if (!more.ok() || !*more) {
      // Many requests that miss their shards ask for one look.
      while (!ending_ && changed_.WaitUntil(&mutex_, soonest)) {
      }
      while (!ending_ && !look_now_ && changed_.WaitUntil(&mutex_, next)) {
      }
    }
    look_now_ = false;
    if (ending_) return;
  }
}

bool ClusterAgent::IsSilent(const Member& member) const {
  return member.owner != services_.rows->membership().owner() && services_.rows->silence().IsSilent(member);
}

absl::StatusOr<storage::postgres::ClusterMap> ClusterAgent::Look() {
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

absl::StatusOr<bool> ClusterAgent::Step() {
  absl::StatusOr<ClusterMap> map = Look();
  if (!map.ok()) return map.status();
  const std::string& owner = services_.rows->membership().owner();
  const Member* const self = map->Find(owner);
  const auto is_silent = [this](const Member& member) { return IsSilent(member); };
  Gain(*map);
  if (services_.placement != nullptr) services_.placement->Update(*map, owner, is_silent);
  shards_ = map->ShardsOf(*self).size();
  const size_t nodes = std::max<size_t>(1, Takers(*map, is_silent).size());
  if (nodes_.exchange(nodes) != nodes) services_.on_nodes(nodes);
  bool leaving;
  {
    MutexLock lock(&mutex_);
    leaving = leaving_;
    if (ending_) return false;
  }
  for (const auto& [other, member] : map->members) {
    if (leaving || !IsSilent(member)) continue;
    if (absl::Status status = Recover(member); !status.ok()) {
      Log(LogLevel::kWarning, "node_not_recovered", {{"node", member.node}, {"status", status.ToString()}});
      continue;
    }
    return true;
  }
  if (leaving) {
    if (self->state != MemberState::kLeaving) {
      if (absl::Status status = services_.rows->membership().SetState(MemberState::kLeaving); !status.ok()) {
        return status;
      }
      return true;
    }
    const std::vector<ShardMove> moves = PlanLeaving(*map, *self, is_silent, options_.moves_max);
    if (!moves.empty()) {
      if (absl::Status status = Give(moves); !status.ok()) return status;
      return true;
    }
    MutexLock lock(&mutex_);
    left_ = true;
    changed_.WakeAll();
    return false;
  }
  const ShardPlan plan = PlanShards(*map, *self, is_silent, options_.moves_max);
  if (!plan.take.empty()) {
    if (absl::Status status = services_.rows->membership().MoveShards(plan.take); !status.ok()) return status;
    return true;
  }
  if (!plan.give.empty()) {
    if (absl::Status status = Give(plan.give); !status.ok()) return status;
    return true;
  }
  bool all_owned = true;
  for (uint32_t shard = 0; shard < kShardCount; ++shard) {
    const Member* const has = map->OwnerOf(ShardId(shard));
    if (has == nullptr || has->state == MemberState::kRecovery) all_owned = false;
  }
  if (all_owned) {
    MutexLock lock(&mutex_);
    ready_ = true;
    changed_.WakeAll();
  }
  if (absl::Status status = RemoveOldWriters(*map); !status.ok()) return status;
  return false;
}

void ClusterAgent::Gain(const ClusterMap& map) {
  const Member* const self = map.Find(services_.rows->membership().owner());
  std::vector<ShardId> gained;
  for (ShardId shard : map.ShardsOf(*self)) {
    if (!here_[Index(shard)]) gained.push_back(shard);
  }
  if (gained.empty()) return;
  if (absl::Status status = services_.run_clocks->Refresh(); !status.ok()) {
    Log(LogLevel::kWarning, "shards_not_gained", {{"status", status.ToString()}});
    return;
  }
  auto done = std::make_shared<Released>(gained.size());
  for (ShardId shard : gained) {
    services_.rows->Forget(shard);
    here_[Index(shard)] = true;
    const actors::Router::Host& host = services_.router->HostOf(shard);
    host.executor->Post([shards = host.shards, shard, done] {
      shards->Own(shard);
      done->One();
    });
  }
  while (!done->WaitFor(kReleaseStep) && !ending()) {
  }
  gained_ += gained.size();
  Log(LogLevel::kInfo, "shards_gained", {{"count", absl::StrCat(gained.size())}});
}

absl::Status ClusterAgent::Give(absl::Span<const ShardMove> moves) {
  // Most of what is to be folded is folded while requests go on.
  if (absl::Status status = services_.store->Fold(); !status.ok()) return status;
  const absl::Time began = actors::SteadyNow();
  auto released = std::make_shared<Released>(moves.size());
  for (const ShardMove& move : moves) {
    const actors::Router::Host& host = services_.router->HostOf(move.shard);
    host.executor->Post([shards = host.shards, shard = move.shard, turns_max = options_.turns_max, released] {
      shards->Release(shard, turns_max, [released] { released->One(); });
    });
  }
  while (!released->WaitFor(kReleaseStep)) {
    if (ending()) return absl::UnavailableError("the node ends");
  }
  if (absl::Status status = services_.store->Fold(); !status.ok()) return status;
  for (const ShardMove& move : moves) here_[Index(move.shard)] = false;
  if (absl::Status status = services_.rows->membership().MoveShards(moves); !status.ok()) return status;
  for (const ShardMove& move : moves) services_.rows->Forget(move.shard);
  given_ += moves.size();
  Log(LogLevel::kInfo, "shards_given",
      {{"count", absl::StrCat(moves.size())}, {"pause", absl::FormatDuration(actors::SteadyNow() - began)}});
  return absl::OkStatus();
}

absl::Status ClusterAgent::Recover(const Member& dead) {
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

absl::Status ClusterAgent::RemoveOldWriters(const ClusterMap& map) {
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
