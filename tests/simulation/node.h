// A whole node in one thread with a virtual clock: the executor, the background work and the shards of the real server,
// over any store. Everything happens only when a test asks for it: the test moves time, and a commit becomes durable
// when the test runs commits. A test of a race is thus a sequence of steps.

#ifndef HOLDFAST_TESTS_SIMULATION_NODE_H_
#define HOLDFAST_TESTS_SIMULATION_NODE_H_

#include <deque>
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
  using Executor::Executor;
  bool IsCurrent() const override { return true; }
  // Runs everything posted and every timer that is due, until there is no more. Returns whether there was anything.
  bool RunUntilIdle() {
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
  void EndRound() { RoundDone(); }
  bool stuck() const { return stuck_; }
  using Executor::NextTimer;
  absl::Duration behind() const override { return behind_; }
  // From now on requests wait for this long.
  void set_behind(absl::Duration behind) { behind_ = behind; }

 protected:
  void Wake() override {}

 private:
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

class Node {
 public:
  // `store` and `clock` must outlive the node: a second node on the same store is a restart, after a crash if the first
  // was destroyed with commits that had not run. Deliveries that are not done must be destroyed before the node.
  Node(storage::Store* store, VirtualClock* clock, std::vector<const actors::ObjectClass*> classes,
       const actors::HostOptions& options = {}, int families_max = 0, uint64_t seed = 1,
       storage::Observer* observer = nullptr)
      : clock_(clock),
        executor_(clock),
        reads_(EndOn(&executor_)),
        sql_(EndOn(&executor_)),
        commits_(EndOn(&executor_)),
        family_changes_(EndOn(&executor_)),
        random_(seed),
        classes_(std::move(classes)),
        families_(store, families_max),
        run_clocks_(store) {
    recovered_ = families_.Recover();
    if (recovered_.ok()) recovered_ = run_clocks_.Recover();
    actors::HostOptions host_options = options;
    if (!clock->steps()) host_options.alarms.wall_step = absl::InfiniteDuration();
    host_ = std::make_unique<actors::ShardHost>(
        actors::HostServices{&executor_, store, &families_, &run_clocks_, &reads_, &sql_, nullptr, &commits_,
                             &family_changes_, &random_, &classes_, &watchers_,
                             [this](const absl::Status& status) {
                               disk_failure_ = status;
                               ++disk_failures_;
                             },
                             /*sql_workers=*/nullptr, /*sql_heap_total=*/nullptr, observer},
        host_options);
    router_ = std::make_unique<actors::Router>(std::vector<actors::Router::Host>{{&executor_, host_.get()}});
    watchers_.AddListener([this](const actors::AlarmWatchers::Filter* added) {
      executor_.Post(
          [this, filter = added == nullptr ? std::nullopt : std::optional(*added)] { host_->OnAlarmClients(filter); });
    });
    executor_.set_on_round([this] { host_->OnRound(); });
    host_->Start();
  }

  // Runs everything that can run without time passing: turns, reads, families, commits.
  void Settle() {
    int steps = 0;
    do {
      executor_.RunUntilIdle();
      executor_.EndRound();
      if (host_->activation_count() <= kOftenCheckedMax) host_->CheckInvariants();
    } while ((reads_.RunOne() || sql_.RunOne() || family_changes_.RunOne() || commits_.RunOne()) && Counted(&steps));
    host_->CheckInvariants();
  }
  // Runs everything that Settle() runs but commits: nothing becomes durable.
  void SettleWithoutCommits() {
    int steps = 0;
    do {
      executor_.RunUntilIdle();
      host_->CheckInvariants();
    } while ((reads_.RunOne() || sql_.RunOne() || family_changes_.RunOne()) && Counted(&steps));
  }
  // Takes one of the smallest possible steps, which `choice` picks. Returns false if there is none.
  bool Step(uint64_t choice) {
    if (executor_.RunUntilIdle()) {
      host_->CheckInvariants();
      return true;
    }
    executor_.EndRound();
    std::vector<std::pair<ManualBackground*, bool>> possible;
    for (ManualBackground* background : {&reads_, &sql_, &family_changes_, &commits_}) {
      if (background->ended() > 0) possible.emplace_back(background, true);
      if (background->waiting() > 0) possible.emplace_back(background, false);
    }
    if (possible.empty()) return false;
    const auto& [background, done] = possible[choice % possible.size()];
    done ? background->RunDone() : background->RunWork();
    host_->CheckInvariants();
    return true;
  }
  // Advances time, timer by timer, and settles at each.
  void Advance(absl::Duration time) {
    const absl::Time until = clock_->Steady() + time;
    Settle();
    for (int steps = 0; executor_.NextTimer() <= until && Counted(&steps);) {
      if (executor_.NextTimer() > clock_->Steady()) clock_->SetSteady(executor_.NextTimer());
      Settle();
    }
    if (clock_->Steady() < until) clock_->SetSteady(until);
    Settle();
  }

  void Deliver(const storage::ObjectKey& key, const actors::ObjectClass& object_class, actors::Delivery* delivery) {
    router_->Deliver(key, &object_class, delivery);
  }
  void Deliver(std::vector<actors::Addressed> deliveries) { router_->Deliver(std::move(deliveries)); }

  actors::ShardHost& host() { return *host_; }
  storage::Families& families() { return families_; }
  actors::AlarmWatchers& watchers() { return watchers_; }
  ManualExecutor& executor() { return executor_; }
  ManualBackground& reads() { return reads_; }
  ManualBackground& sql() { return sql_; }
  ManualBackground& commits() { return commits_; }
  ManualBackground& family_changes() { return family_changes_; }
  const absl::Status& recovered() const { return recovered_; }
  const std::optional<absl::Status>& disk_failure() const { return disk_failure_; }
  int disk_failures() const { return disk_failures_; }
  // True if a loop did not end and was given up.
  bool stuck() const { return stuck_ || executor_.stuck(); }

 private:
  // With more objects than these, the invariants are checked only when everything is settled.
  static constexpr size_t kOftenCheckedMax = 32;

  bool Counted(int* steps) {
    if (++*steps < kStepsMax) return true;
    stuck_ = true;
    return false;
  }

  VirtualClock* const clock_;
  ManualExecutor executor_;
  ManualBackground reads_;
  ManualBackground sql_;
  ManualBackground commits_;
  ManualBackground family_changes_;
  actors::SeededRandom random_;
  const actors::ClassRegistry classes_;
  actors::AlarmWatchers watchers_;
  storage::Families families_;
  storage::RunClocks run_clocks_;
  absl::Status recovered_;
  std::optional<absl::Status> disk_failure_;
  int disk_failures_ = 0;
  bool stuck_ = false;
  std::unique_ptr<actors::ShardHost> host_;
  std::unique_ptr<actors::Router> router_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_NODE_H_
