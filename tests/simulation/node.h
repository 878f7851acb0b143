// A whole node in one thread with a virtual clock: the executors, the background work and the shards of the real
// server, over any store. Everything happens only when a test asks for it: the test moves time, and a commit becomes
// durable when the test runs commits. A test of a race is thus a sequence of steps.
//
// Most tests have one executor, which is current all the time. With several, an executor is current while it runs, and
// what comes from outside waits in its inbox.

#ifndef HOLDFAST_TESTS_SIMULATION_NODE_H_
#define HOLDFAST_TESTS_SIMULATION_NODE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/executor/clock.h"
#include "actors/executor/executor.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/router.h"
#include "actors/runtime/shard_host.h"
#include "storage/node/families.h"
#include "storage/node/run_clocks.h"
#include "storage/store/store.h"
#include "tests/simulation/manual_background.h"

namespace holdfast::simulation {

// Both clocks advance together, and show the same time until the wall clock is stepped.
class VirtualClock : public actors::Clock {
 public:
  absl::Time Wall() const override { return steady_ + stepped_; }
  absl::Time Steady() const override { return steady_; }
  // The wall clock's time.
  absl::Time Now() const { return Wall(); }
  void Set(absl::Time now) { steady_ = now - stepped_; }
  void Advance(absl::Duration time) { steady_ += time; }
  void SetSteady(absl::Time steady) { steady_ = steady; }
  void StepWall(absl::Duration by) { stepped_ += by; }
  // Nodes that are made after this call check now and then whether the wall clock was stepped, like the real server.
  void set_steps(bool steps) { steps_ = steps; }
  bool steps() const { return steps_; }

 private:
  absl::Time steady_ = absl::FromUnixSeconds(1'700'000'000);
  absl::Duration stepped_;
  bool steps_ = false;
};

// More steps than these without time passing count as a loop that never ends.
inline constexpr int kStepsMax = 200'000;

// An executor that runs on the thread of the test, when the test tells it to.
class ManualExecutor : public actors::Executor {
 public:
  // `running` names the one of several executors that runs, and null while the test does; null: there is no other.
  explicit ManualExecutor(const actors::Clock* clock, const ManualExecutor** running = nullptr)
      : Executor(clock), running_(running == nullptr ? &alone_ : running) {}
  bool IsCurrent() const override { return *running_ == this; }
  // Runs everything posted and every timer that is due, until there is no more. Returns whether there was anything.
  bool RunUntilIdle() {
    const Turn turn(this);
    bool ran = false;
    for (int rounds = 0; RunInbox() || RunTimers(); ++rounds) {
      ran = true;
      if (rounds == kStepsMax) {
        stuck_ = true;
        break;
      }
    }
    return ran;
  }
  // Ends a round, like a real executor: then a commit may begin.
  void EndRound() {
    const Turn turn(this);
    RoundDone();
  }
  bool stuck() const { return stuck_; }
  using Executor::NextTimer;
  absl::Duration behind() const override { return behind_; }
  // From now on requests wait for this long.
  void set_behind(absl::Duration behind) { behind_ = behind; }

 protected:
  void Wake() override {}

 private:
  // Makes an executor current.
  class Turn {
   public:
    explicit Turn(ManualExecutor* executor)
        : executor_(executor), before_(std::exchange(*executor->running_, executor)) {}
    ~Turn() { *executor_->running_ = before_; }

   private:
    ManualExecutor* const executor_;
    const ManualExecutor* const before_;
  };

  const ManualExecutor* alone_ = this;
  const ManualExecutor** const running_;
  absl::Duration behind_;
  bool stuck_ = false;
};

// Takes the end of background work to the executor, and runs what follows from it.
inline auto EndOn(ManualExecutor* executor) {
  return [executor](ManualBackground::End end) {
    executor->Post(std::move(end));
    executor->RunUntilIdle();
  };
}

// One executor of a node, with its shards and the background work that ends on it.
struct NodeLane {
  NodeLane(const VirtualClock* clock, const ManualExecutor** running, uint64_t seed)
      : executor(clock, running),
        reads(EndOn(&executor)),
        sql(EndOn(&executor)),
        commits(EndOn(&executor)),
        family_changes(EndOn(&executor)),
        random(seed) {}

  ManualExecutor executor;
  ManualBackground reads;
  ManualBackground sql;
  ManualBackground commits;
  ManualBackground family_changes;
  actors::SeededRandom random;
  std::unique_ptr<actors::ShardHost> host;
};

class Node {
 public:
  // With `cluster` the node is a member of one, and owns no shard yet. `store` and `clock` must outlive the node: a
  // second node on the same store is a restart, after a crash if the first was destroyed with commits that had not run.
  // Deliveries that are not done must be destroyed before the node.
  Node(storage::Store* store, VirtualClock* clock, std::vector<const actors::ObjectClass*> classes,
       const actors::HostOptions& options = {}, int families_max = 0, uint64_t seed = 1,
       storage::Observer* observer = nullptr, int executors = 1,
       std::optional<storage::ClusterRuns> cluster = std::nullopt)
      : clock_(clock), classes_(std::move(classes)), families_(store, families_max), run_clocks_(store, cluster) {
    recovered_ = families_.Recover();
    if (recovered_.ok()) recovered_ = run_clocks_.Recover();
    actors::HostOptions host_options = options;
    if (!clock->steps()) host_options.alarms.wall_step = absl::InfiniteDuration();
    std::vector<actors::Router::Host> hosts;
    for (int i = 0; i < executors; ++i) {
      lanes_.push_back(std::make_unique<NodeLane>(clock, executors == 1 ? nullptr : &running_, seed + i));
      NodeLane& lane = *lanes_.back();
      lane.host = std::make_unique<actors::ShardHost>(
          actors::HostServices{&lane.executor, store->ForExecutor(i), &families_, &run_clocks_, &lane.reads, &lane.sql,
                               nullptr, &lane.commits, &lane.family_changes, &lane.random, &classes_, &watchers_,
                               [this](const absl::Status& status) {
                                 disk_failure_ = status;
                                 ++disk_failures_;
                               },
                               /*sql_workers=*/nullptr, /*sql_heap_total=*/nullptr, observer},
          host_options);
      hosts.push_back({&lane.executor, lane.host.get()});
    }
    // A member of a cluster gains its shards later.
    router_ = std::make_unique<actors::Router>(std::move(hosts),
                                               [&cluster](storage::ShardId) { return !cluster.has_value(); });
    watchers_.AddListener([this](const actors::AlarmWatchers::Filter* added) {
      for (const auto& lane : lanes_) {
        lane->executor.Post(
            [host = lane->host.get(), filter = added == nullptr ? std::nullopt : std::optional(*added)] {
              host->OnAlarmClients(filter);
            });
      }
    });
    for (const auto& lane : lanes_) {
      lane->executor.set_on_round([host = lane->host.get()] { host->OnRound(); });
      lane->host->Start();
    }
  }
  ~Node() {
    router_ = nullptr;
    for (const auto& lane : lanes_) lane->host = nullptr;
  }

  // Runs everything that can run without time passing: turns, reads, families, commits.
  void Settle() {
    int steps = 0;
    do {
      for (const auto& lane : lanes_) {
        lane->executor.RunUntilIdle();
        lane->executor.EndRound();
        if (lane->host->activation_count() <= kOftenCheckedMax) lane->host->CheckInvariants();
      }
    } while (RunOne(/*commits=*/true) && Counted(&steps));
    CheckInvariants();
  }
  // Runs everything that Settle() runs but commits: nothing becomes durable.
  void SettleWithoutCommits() {
    int steps = 0;
    do {
      for (const auto& lane : lanes_) lane->executor.RunUntilIdle();
      CheckInvariants();
    } while (RunOne(/*commits=*/false) && Counted(&steps));
  }
  // Takes one of the smallest possible steps, which `choice` picks. Returns false if there is none.
  bool Step(uint64_t choice) {
    std::vector<std::pair<ManualBackground*, bool>> possible;
    for (const auto& lane : lanes_) {
      if (lane->executor.RunUntilIdle()) {
        lane->host->CheckInvariants();
        return true;
      }
      lane->executor.EndRound();
      for (ManualBackground* background : {&lane->reads, &lane->sql, &lane->family_changes, &lane->commits}) {
        if (background->ended() > 0) possible.emplace_back(background, true);
        if (background->waiting() > 0) possible.emplace_back(background, false);
      }
    }
    if (possible.empty()) return false;
    const auto& [background, done] = possible[choice % possible.size()];
    done ? background->RunDone() : background->RunWork();
    CheckInvariants();
    return true;
  }
  // Advances time, timer by timer, and settles at each.
  void Advance(absl::Duration time) {
    const absl::Time until = clock_->Steady() + time;
    Settle();
    for (int steps = 0; NextTimer() <= until && Counted(&steps);) {
      if (NextTimer() > clock_->Steady()) clock_->SetSteady(NextTimer());
      Settle();
    }
    if (clock_->Steady() < until) clock_->SetSteady(until);
    Settle();
  }

  void Deliver(const storage::ObjectKey& key, const actors::ObjectClass& object_class, actors::Delivery* delivery) {
    router_->Deliver(key, &object_class, delivery);
  }
  void Deliver(std::vector<actors::Addressed> deliveries) { router_->Deliver(std::move(deliveries)); }

  absl::Time NextTimer() const {
    absl::Time next = absl::InfiniteFuture();
    for (const auto& lane : lanes_) next = std::min(next, lane->executor.NextTimer());
    return next;
  }

  int lanes() const { return static_cast<int>(lanes_.size()); }
  NodeLane& lane(int number) { return *lanes_[static_cast<size_t>(number)]; }
  // These are of the first lane.
  actors::ShardHost& host() { return *lane(0).host; }
  ManualExecutor& executor() { return lane(0).executor; }
  ManualBackground& reads() { return lane(0).reads; }
  ManualBackground& sql() { return lane(0).sql; }
  ManualBackground& commits() { return lane(0).commits; }
  ManualBackground& family_changes() { return lane(0).family_changes; }

  // Returns the shards that have the object.
  actors::ShardHost& host_of(const storage::ObjectKey& key) { return *router_->HostOf(key).shards; }
  storage::Families& families() { return families_; }
  storage::RunClocks& run_clocks() { return run_clocks_; }
  const actors::Router& router() const { return *router_; }
  actors::AlarmWatchers& watchers() { return watchers_; }
  const absl::Status& recovered() const { return recovered_; }
  const std::optional<absl::Status>& disk_failure() const { return disk_failure_; }
  int disk_failures() const { return disk_failures_; }
  // True if a loop did not end and was given up.
  bool stuck() const {
    return stuck_ || std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->executor.stuck(); });
  }
  void CheckInvariants() const {
    for (const auto& lane : lanes_) lane->host->CheckInvariants();
  }

 private:
  // With more objects than these, the invariants are checked only when everything is settled.
  static constexpr size_t kOftenCheckedMax = 32;

  // Runs one piece of background work to its end. Returns false if there is none.
  bool RunOne(bool commits) {
    return std::any_of(lanes_.begin(), lanes_.end(), [&](const auto& lane) {
      return lane->reads.RunOne() || lane->sql.RunOne() || lane->family_changes.RunOne() ||
             (commits && lane->commits.RunOne());
    });
  }
  bool Counted(int* steps) {
    if (++*steps < kStepsMax) return true;
    stuck_ = true;
    return false;
  }

  VirtualClock* const clock_;
  const ManualExecutor* running_ = nullptr;
  std::vector<std::unique_ptr<NodeLane>> lanes_;  // their hosts end before all else of the node
  const actors::ClassRegistry classes_;
  actors::AlarmWatchers watchers_;
  storage::Families families_;
  storage::RunClocks run_clocks_;
  absl::Status recovered_;
  std::optional<absl::Status> disk_failure_;
  int disk_failures_ = 0;
  bool stuck_ = false;
  std::unique_ptr<actors::Router> router_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_NODE_H_
