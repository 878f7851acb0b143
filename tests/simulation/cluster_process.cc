#include "tests/simulation/cluster_process.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "storage/base/check.h"

namespace holdfast::simulation {
namespace {

constexpr size_t kReadsMax = 2;
constexpr int kConnectionsMax = 64;
constexpr size_t kNeverFolds = size_t{1} << 40;
constexpr absl::Duration kTurnsMax = absl::Milliseconds(100);
constexpr absl::Duration kWaitStep = absl::Milliseconds(1);
constexpr int kIdleStepsMax = 5000;
// A thread begins its work so much later, at most.
constexpr int64_t kBeginUsMax = 200;
// How far the clocks of two machines are apart, and how unequally they run.
constexpr int64_t kWallMsMax = 2000;
constexpr int64_t kRatesPerMille = 4;

}  // namespace

// The rows of the process. A variant that is broken does less than it should.
class ClusterProcess::Rows final : public storage::PostgresStore {
 public:
  Rows(std::unique_ptr<storage::PostgresStore> rows, ClusterProcess* process)
      : rows_(std::move(rows)), process_(process) {}

  storage::ReadResult Get(const storage::Location& location, absl::string_view key, storage::ReadTier tier,
                          std::string* value, absl::Status* error) override {
    return rows_->Get(location, key, tier, value, error);
  }
  std::unique_ptr<storage::Cursor> NewCursor(const storage::Location& location, storage::KeyRange range,
                                             storage::ReadTier tier) override {
    return rows_->NewCursor(location, std::move(range), tier);
  }
  void Prefetch(const storage::Location& location, const storage::KeyRange& range) override {
    rows_->Prefetch(location, range);
  }
  absl::Status CommitSync(absl::Span<const storage::KeyspaceWrites> writes) override {
    return rows_->CommitSync(writes);
  }
  bool HoldsLease() override {
    const Link& link = process_->link_;
    if (process_->services_.broken == ClusterBroken::kReadsWithoutLease) return true;
    if (process_->services_.broken == ClusterBroken::kLeaseFromAnswer) {
      return process_->services_.network->BootTimeOf(link) - link.answered_at < process_->services_.lease;
    }
    return rows_->HoldsLease();
  }
  bool DiskFull() override { return rows_->DiskFull(); }
  storage::StoreStats Stats() override { return rows_->Stats(); }
  absl::StatusOr<storage::FamilyId> CreateFamily(absl::string_view name) override { return rows_->CreateFamily(name); }
  absl::Status DropFamily(storage::FamilyId family) override { return rows_->DropFamily(family); }
  std::vector<storage::OwnFamily> ListOwnFamilies() override { return rows_->ListOwnFamilies(); }
  absl::Duration LeaseAge() const override { return rows_->LeaseAge(); }
  int64_t ResolvedCommits() const override { return rows_->ResolvedCommits(); }
  std::unique_ptr<storage::CommitLogs> NewCommitLogs() override { return rows_->NewCommitLogs(); }
  uint32_t first_log() const override { return rows_->first_log(); }
  storage::postgres::Membership& membership() override { return rows_->membership(); }
  storage::postgres::SilenceWatch& silence() override { return rows_->silence(); }
  void ReadOwnShards() override { rows_->ReadOwnShards(); }
  absl::Status ReadCatalog(storage::ShardId shard,
                           absl::FunctionRef<void(absl::string_view key, absl::string_view value)> visit) override {
    return rows_->ReadCatalog(shard, visit);
  }
  void Forget(storage::ShardId shard) override {
    if (process_->services_.broken != ClusterBroken::kNotForgotten) rows_->Forget(shard);
  }

 private:
  const std::unique_ptr<storage::PostgresStore> rows_;
  ClusterProcess* const process_;
};

ClusterProcess::ClusterProcess(const ProcessServices& services, std::string node, int group,
                               std::function<void()> before_end)
    : services_(services), node_name_(std::move(node)), before_end_(std::move(before_end)) {
  Dice& dice = *services_.dice;
  link_.group = group;
  link_.boot_offset = absl::Seconds(dice.Between(0, 1000));
  link_.boot_rate = 1 + static_cast<double>(dice.Between(-kRatesPerMille, kRatesPerMille)) / 1000;
  driver_ = services_.network->DriverOf(&link_);
  clock_.StepWall(absl::Milliseconds(dice.Between(-kWallMsMax, kWallMsMax)));
  options_ = {.conninfo = "host=a,b",
              .node = node_name_,
              .address = node_name_,
              .owner = absl::StrCat(node_name_, group),
              .executors = services_.executors,
              .lease = services_.lease,
              .commit_timeout = services_.lease * 0.6,
              .read_timeout = services_.lease * 2,
              .outage_max = services_.lease * 8,
              .read_connections_max = kConnectionsMax,
              .cursor_connections_max = kConnectionsMax,
              .on_failure = [this](const absl::Status& status) { failure_.Update(status); },
              .joins = true,
              .look_gap_max = services_.look_interval * 3,
              .wall_clock = [this] { return clock_.Wall(); },
              .driver = driver_.get(),
              .boot_time = [this] { return services_.network->BootTimeOf(link_); }};
}

ClusterProcess::~ClusterProcess() { HOLDFAST_CHECK(ended_, "the process has not ended"); }

void ClusterProcess::Start() {
  services_.fibers->Start(link_.group, services_.fibers->now(), [this] { Live(); });
}

void ClusterProcess::Kill() { link_.dead = true; }

absl::Status ClusterProcess::failure() const {
  if (hosts_ != nullptr && hosts_->disk_failure().has_value()) return *hosts_->disk_failure();
  return failure_;
}

void ClusterProcess::LookSoon() {
  look_now_ = true;
  if (agent_ != nullptr) services_.fibers->Wake(agent_);
}

std::string ClusterProcess::ForwardTo(storage::ShardId shard) const {
  const service::Member* const owner = map_.OwnerOf(shard);
  if (owner == nullptr || owner->owner == options_.owner || owner->address.empty()) return "";
  return silent_.contains(owner->owner) ? "" : owner->owner;
}

// --- The agent

void ClusterProcess::Live() {
  clock_.SetSteady(services_.fibers->now());
  agent_ = services_.fibers->current();
  if (absl::Status status = Open(); status.ok()) {
    MakeSteps();
    serving_ = true;
    TakeSteps();
    if (!link_.dead) EndInOrder();
  } else {
    failure_.Update(status);
  }
  serving_ = false;
  while (std::any_of(work_.begin(), work_.end(), [](const Work& work) { return work.fibers > 0; })) {
    services_.fibers->SleepUntil(services_.fibers->now() + kWaitStep);
  }
  before_end_();
  steps_ = nullptr;
  work_.clear();
  hosts_ = nullptr;
  store_ = nullptr;
  rows_ = nullptr;
  agent_ = nullptr;
  ended_ = true;
}

absl::Status ClusterProcess::Open() {
  auto opened = storage::OpenPostgresStore(options_);
  if (!opened.ok()) return opened.status();
  auto rows = std::make_unique<Rows>(*std::move(opened), this);
  rows_ = rows.get();
  std::unique_ptr<storage::CommitLogs> logs = rows->NewCommitLogs();
  storage::LoggedStoreOptions logged;
  logged.logs = static_cast<uint32_t>(services_.executors);
  logged.first_log = rows->first_log();
  logged.fold_every = absl::InfiniteDuration();
  logged.fold_bytes = kNeverFolds;
  logged.unfolded_bytes_max = kNeverFolds;
  logged.on_failure = [this](const absl::Status& status) { failure_.Update(status); };
  logged.now = [this] { return clock_.Wall(); };
  auto store = storage::LoggedStore::Open(std::move(rows), std::move(logs), std::move(logged));
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  storage::ClusterRuns runs = {.first = rows_->first_log(),
                               .count = static_cast<storage::RunNumber>(services_.executors),
                               .unfinished = [this]() -> absl::StatusOr<absl::flat_hash_set<storage::RunNumber>> {
                                 const absl::StatusOr<std::vector<int64_t>> writers = rows_->membership().Unfinished();
                                 if (!writers.ok()) return writers.status();
                                 return absl::flat_hash_set<storage::RunNumber>(writers->begin(), writers->end());
                               }};
  auto hosts = std::make_unique<Node>(store_.get(), &clock_, services_.classes, services_.host_options,
                                      /*families_max=*/0, services_.dice->Below(UINT32_MAX), nullptr,
                                      services_.executors, std::move(runs));
  if (!hosts->recovered().ok()) return hosts->recovered();
  for (int i = 0; i < hosts->lanes(); ++i) {
    NodeLane& lane = hosts->lane(i);
    work_.push_back({.background = &lane.reads, .fibers_max = kReadsMax});
    work_.push_back({.background = &lane.sql, .fibers_max = 1});
    work_.push_back({.background = &lane.commits, .fibers_max = 1});
    work_.push_back({.background = &lane.family_changes, .fibers_max = 1});
  }
  hosts_ = std::move(hosts);
  rows_->ReadOwnShards();
  return absl::OkStatus();
}

void ClusterProcess::MakeSteps() {
  service::AgentOptions options;
  options.postgres = options_;
  options.look_interval = services_.look_interval;
  options.limits = {.moves_max = services_.moves_max, .load_min = 1};
  options.load_interval = services_.load_interval;
  options.turns_max = kTurnsMax;
  steps_ = std::make_unique<service::ClusterSteps>(
      service::StepServices{
          .rows = rows_,
          .router = &hosts_->router(),
          .run_clocks = &hosts_->run_clocks(),
          .fold =
              [this] { return services_.broken == ClusterBroken::kGiveBeforeFold ? absl::OkStatus() : store_->Fold(); },
          .wait = [this](service::ShardCountdown* countdown) { return WaitFor(countdown); },
          .ending = [this] { return link_.dead; },
          .on_map =
              [this](const service::ClusterMap& map, const std::function<bool(const service::Member&)>& is_silent) {
                map_ = map;
                silent_.clear();
                for (const auto& [owner, member] : map.members) {
                  if (is_silent(member)) silent_.insert(owner);
                }
              },
          .on_nodes = [](size_t) {}},
      options);
}

bool ClusterProcess::WaitFor(service::ShardCountdown* countdown) {
  if (services_.broken == ClusterBroken::kGiveBeforeCommit) {
    Wait(kWaitStep);
    return true;
  }
  while (!countdown->done()) {
    if (link_.dead || !failure().ok()) return false;
    Wait(kWaitStep);
  }
  return true;
}

void ClusterProcess::TakeSteps() {
  absl::Time next_fold = services_.fibers->now() + services_.fold_interval;
  while (!link_.dead && failure().ok()) {
    const absl::StatusOr<service::ClusterSteps::Result> result = steps_->Step(draining_);
    const service::ClusterLoad load = steps_->load();
    recoveries_ = load.recoveries;
    given_ = load.shards_given;
    if (!result.ok() && !absl::IsUnavailable(result.status())) failure_.Update(result.status());
    if (result.ok()) ready_ = ready_ || result->ready;
    if (result.ok() && result->left) return;
    if (services_.fibers->now() >= next_fold) {
      // Its failure is told by the store.
      (void)store_->Fold();
      next_fold = services_.fibers->now() + services_.fold_interval;
    }
    if (result.ok() && result->more) continue;
    const absl::Time next = services_.fibers->now() + services_.look_interval;
    while (!link_.dead && !look_now_ && services_.fibers->now() < next) services_.fibers->SleepUntil(next);
    look_now_ = false;
  }
  // A process that has failed ends as one that is killed does.
  while (!link_.dead) services_.fibers->SleepUntil(absl::InfiniteFuture());
}

void ClusterProcess::EndInOrder() {
  serving_ = false;
  WaitUntilIdle();
  for (int i = 0; i < hosts_->lanes(); ++i) hosts_->lane(i).host->Stop();
  WaitUntilIdle();
  for (int i = 0; i < hosts_->lanes(); ++i) hosts_->lane(i).host->SettleHeaders();
  WaitUntilIdle();
}

void ClusterProcess::WaitUntilIdle() {
  for (int i = 0; i < kIdleStepsMax && !link_.dead; ++i) {
    Wait(kWaitStep);
    bool idle = true;
    for (int lane = 0; lane < hosts_->lanes(); ++lane) idle = idle && hosts_->lane(lane).host->idle();
    if (idle) return;
  }
}

// --- The executors

void ClusterProcess::RunLanes() {
  if (hosts_ == nullptr || link_.dead) return;
  clock_.SetSteady(services_.fibers->now());
  for (int i = 0; i < hosts_->lanes(); ++i) {
    NodeLane& lane = hosts_->lane(i);
    lane.executor.RunUntilIdle();
    lane.executor.EndRound();
  }
  for (Work& work : work_) {
    while (work.background->ended() > 0) work.background->RunDone();
    while (work.fibers < work.fibers_max && work.background->waiting() > work.not_begun) {
      ++work.fibers;
      ++work.not_begun;
      const absl::Time at = services_.fibers->now() + absl::Microseconds(services_.dice->Between(0, kBeginUsMax));
      services_.fibers->Start(link_.group, at, [&work] {
        --work.not_begun;
        work.background->RunWork();
        --work.fibers;
      });
    }
  }
}

}  // namespace holdfast::simulation
