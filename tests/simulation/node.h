// A whole node in one thread with a virtual clock: the executor, the background work and the shards of the real server,
// over any store. Nothing happens but what a test asks for: time moves when it is moved, a commit becomes durable when
// commits are run. A test of a race is then a sequence of steps.

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
#include "actors/clock.h"
#include "actors/delivery.h"
#include "actors/executor.h"
#include "actors/object.h"
#include "actors/router.h"
#include "actors/shard_host.h"
#include "storage/families.h"
#include "storage/store.h"

namespace holdfast::simulation {

class VirtualClock : public actors::Clock {
 public:
  absl::Time Now() const override { return now_; }
  void Set(absl::Time now) { now_ = now; }
  void Advance(absl::Duration time) { now_ += time; }

 private:
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

// Runs on the thread of the test, when it is told to.
class ManualExecutor : public actors::Executor {
 public:
  using Executor::Executor;
  bool IsCurrent() const override { return true; }
  // Everything posted and every timer that is due, until there is no more.
  void RunUntilIdle() {
    while (RunInbox() || RunTimers()) {
    }
  }
  // One round, as a real executor would: then a commit may begin.
  void EndRound() { RoundDone(); }
  using Executor::NextTimer;

 protected:
  void Wake() override {}
};

// Background work that waits until the test runs it.
class ManualBackground : public storage::Background {
 public:
  explicit ManualBackground(ManualExecutor* executor) : executor_(executor) {}
  void Run(absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done) override {
    jobs_.emplace_back(std::move(work), std::move(done));
  }
  // One piece of work, and its end on the executor. False if there is none.
  bool RunOne() {
    if (jobs_.empty()) return false;
    auto [work, done] = std::move(jobs_.front());
    jobs_.pop_front();
    work();
    executor_->Post(std::move(done));
    executor_->RunUntilIdle();
    return true;
  }
  size_t waiting() const { return jobs_.size(); }

 private:
  ManualExecutor* const executor_;
  std::deque<std::pair<absl::AnyInvocable<void()>, absl::AnyInvocable<void()>>> jobs_;
};

class Node {
 public:
  // `store` and `clock` must outlive the node: a second node on the same store is a restart, after a crash if the first
  // was destroyed with commits that had not run.
  Node(storage::Store* store, VirtualClock* clock, std::vector<const actors::ObjectClass*> classes,
       const actors::HostOptions& options = {}, int families_max = 0, uint64_t seed = 1)
      : clock_(clock),
        executor_(clock),
        reads_(&executor_),
        commits_(&executor_),
        family_changes_(&executor_),
        random_(seed),
        classes_(std::move(classes)),
        families_(store, families_max) {
    recovered_ = families_.Recover();
    host_ = std::make_unique<actors::ShardHost>(
        actors::HostServices{&executor_, store, &families_, &reads_, &commits_, &family_changes_, &random_, &classes_,
                             [this](const absl::Status& status) { disk_failure_ = status; }},
        options);
    router_ = std::make_unique<actors::Router>(std::vector<actors::Router::Host>{{&executor_, host_.get()}});
    executor_.set_on_round([this] { host_->OnRound(); });
    host_->Start();
  }

  // Everything that can be done now without time passing: turns, reads, families, commits.
  void Settle() {
    do {
      executor_.RunUntilIdle();
      executor_.EndRound();
    } while (reads_.RunOne() || family_changes_.RunOne() || commits_.RunOne());
  }
  // The same, but nothing becomes durable.
  void SettleWithoutCommits() {
    do {
      executor_.RunUntilIdle();
    } while (reads_.RunOne() || family_changes_.RunOne());
  }
  // Moves time on, timer by timer, settling at each.
  void Advance(absl::Duration time) {
    const absl::Time until = clock_->Now() + time;
    while (executor_.NextTimer() <= until) {
      if (executor_.NextTimer() > clock_->Now()) clock_->Set(executor_.NextTimer());
      Settle();
    }
    clock_->Set(until);
    Settle();
  }

  void Deliver(const storage::ObjectKey& key, const actors::ObjectClass& object_class, actors::Delivery* delivery) {
    router_->Deliver(key, &object_class, delivery);
  }

  actors::ShardHost& host() { return *host_; }
  storage::Families& families() { return families_; }
  ManualExecutor& executor() { return executor_; }
  ManualBackground& reads() { return reads_; }
  ManualBackground& commits() { return commits_; }
  ManualBackground& family_changes() { return family_changes_; }
  const absl::Status& recovered() const { return recovered_; }
  const std::optional<absl::Status>& disk_failure() const { return disk_failure_; }

 private:
  VirtualClock* const clock_;
  ManualExecutor executor_;
  ManualBackground reads_;
  ManualBackground commits_;
  ManualBackground family_changes_;
  actors::SeededRandom random_;
  const actors::ClassRegistry classes_;
  storage::Families families_;
  absl::Status recovered_;
  std::optional<absl::Status> disk_failure_;
  std::unique_ptr<actors::ShardHost> host_;
  std::unique_ptr<actors::Router> router_;
};

// A request of a test: keeps its reply and its outcome.
template <typename Class, typename Request, typename Response>
class Call : public actors::Delivery {
 public:
  using Handler = actors::Task<absl::Status> (Class::*)(const Request&, Response*);

  Call(Handler handler, Request request) : request_(std::move(request)), handler_(handler) {}
  actors::Task<absl::Status> Run(actors::Object& object) override {
    return (static_cast<Class&>(object).*handler_)(request_, &response_);
  }
  void Done(const absl::Status& status) override { outcome_ = status; }

  bool done() const { return outcome_.has_value(); }
  const absl::Status& status() const { return *outcome_; }
  const Response& response() const { return response_; }

 private:
  Request request_;
  Response response_;
  const Handler handler_;
  std::optional<absl::Status> outcome_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_NODE_H_
