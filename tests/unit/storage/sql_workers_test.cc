#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "storage/sql/fair_order.h"
#include "storage/sql/workers.h"

namespace holdfast::storage::sql {
namespace {

using End = Workers::End;

TEST(FairOrder, NamespacesTakeTurnsAndTheLeastUsedGoesFirst) {
  FairOrder<const char> order;
  const char items[5] = {'a', 'b', 'c', 'd', 'e'};
  order.Add(&items[0], "many", absl::Milliseconds(30));
  order.Add(&items[1], "many", absl::Milliseconds(10));
  order.Add(&items[2], "many", absl::Milliseconds(10));
  order.Add(&items[3], "few", absl::Milliseconds(500));
  std::string taken;
  while (!order.empty()) {
    taken.push_back(*order.Next());
    if (taken.size() == 2) order.Add(&items[4], "few", absl::ZeroDuration());
  }
  EXPECT_EQ(taken, "bdcea");
}

// Workers over a clock that the test sets, with an executor that runs posted tasks at once.
class SqlWorkers : public ::testing::Test {
 protected:
  void Make(WorkerLimits limits) {
    workers_ = std::make_unique<Workers>(
        limits, [](absl::AnyInvocable<void()> work) { work(); },
        [this] { return absl::UnixEpoch() + absl::Milliseconds(now_ms_.load()); });
  }
  // Starts a statement and returns when it runs; the statement runs until `go`.
  std::shared_ptr<Workers::Statement> Occupy(const std::string& ns, absl::Notification* go,
                                             absl::Notification* done = nullptr) {
    auto [statement, refusal] = workers_->Admit(ns);
    EXPECT_NE(statement, nullptr);
    auto begun = std::make_shared<absl::Notification>();
    workers_->Start(
        statement,
        [begun, go] {
          begun->Notify();
          go->WaitForNotification();
        },
        [done] {
          if (done != nullptr) done->Notify();
        });
    begun->WaitForNotification();
    return statement;
  }
  // Starts a statement behind those that run. When its turn comes, it puts its end() into `end`; then it is done.
  void StartBehind(const std::string& ns, End* end, absl::Notification* done) {
    auto statement = workers_->Admit(ns).statement;
    workers_->Start(
        statement, [statement, end] { *end = statement->end(); }, [done] { done->Notify(); });
  }
  // Runs a statement with nothing to do, and returns when it is done.
  void RunToEnd(std::shared_ptr<Workers::Statement> statement) {
    absl::Notification done;
    workers_->Start(
        std::move(statement), [] {}, [&done] { done.Notify(); });
    done.WaitForNotification();
  }

  std::atomic<int64_t> now_ms_ = 0;
  std::unique_ptr<Workers> workers_;
};

TEST_F(SqlWorkers, OverItsBoundsAStatementIsRefused) {
  Make({.running_max = 1, .statements_max = 3, .namespace_statements_max = 2});
  const auto a1 = workers_->Admit("a");
  const auto a2 = workers_->Admit("a");
  EXPECT_EQ(workers_->Admit("a").refusal, End::kBusy);
  const auto b1 = workers_->Admit("b");
  EXPECT_NE(b1.statement, nullptr);
  EXPECT_EQ(workers_->Admit("c").refusal, End::kBusy);
  // The admitted statements run, and make room for others.
  for (const auto& admitted : {a1, a2, b1}) RunToEnd(admitted.statement);
  EXPECT_NE(workers_->Admit("a").statement, nullptr);
  workers_ = nullptr;
}

TEST_F(SqlWorkers, OneThatHasRunForASliceGivesWay) {
  Make({.running_max = 1, .overtaking_max = 0});
  absl::Notification may_yield;
  absl::Notification second_ran;
  absl::Notification first_done;
  auto first = workers_->Admit("a").statement;
  absl::Notification first_begun;
  Workers::Statement* const running = first.get();
  workers_->Start(
      first,
      [&] {
        EXPECT_EQ(running->Yield(), absl::ZeroDuration());  // nobody waits
        first_begun.Notify();
        may_yield.WaitForNotification();
        while (!second_ran.HasBeenNotified()) (void)running->Yield();
      },
      [&] { first_done.Notify(); });
  first_begun.WaitForNotification();
  workers_->Start(
      workers_->Admit("a").statement, [&] { second_ran.Notify(); }, [] {});
  EXPECT_FALSE(second_ran.HasBeenNotified());
  now_ms_ = 11;
  may_yield.Notify();
  second_ran.WaitForNotification();
  first_done.WaitForNotification();
  EXPECT_EQ(running->end(), End::kNo);
  workers_ = nullptr;
}

TEST_F(SqlWorkers, OneThatIsHereTooLongIsToEnd) {
  Make({.running_max = 1, .overtaking_max = 0, .wall_max = absl::Milliseconds(100)});
  absl::Notification go;
  absl::Notification waited;
  const auto running = Occupy("a", &go);
  End end = End::kNo;
  StartBehind("a", &end, &waited);
  now_ms_ = 101;
  waited.WaitForNotification();
  EXPECT_EQ(end, End::kBusy);
  go.Notify();
  workers_ = nullptr;  // ends the threads, which use the test's members
}

TEST_F(SqlWorkers, WhereNobodyGivesWayOneMoreRuns) {
  Make({.running_max = 1, .overtake_after = absl::Milliseconds(50), .overtaking_max = 1});
  absl::Notification go;
  const auto running = Occupy("a", &go);
  now_ms_ = 60;
  RunToEnd(workers_->Admit("a").statement);
  go.Notify();
  workers_ = nullptr;
}

TEST_F(SqlWorkers, ADrainEndsWhatWaitsAndAnInterruptWhatRuns) {
  Make({.running_max = 1, .overtaking_max = 0});
  absl::Notification go;
  absl::Notification first_done;
  absl::Notification waiting_done;
  const auto running = Occupy("a", &go, &first_done);
  End end = End::kNo;
  StartBehind("a", &end, &waiting_done);
  workers_->Drain();
  waiting_done.WaitForNotification();
  EXPECT_EQ(end, End::kStopping);
  EXPECT_EQ(running->end(), End::kNo);
  EXPECT_EQ(workers_->Admit("b").refusal, End::kStopping);
  workers_->Interrupt();
  EXPECT_EQ(running->end(), End::kStopping);
  go.Notify();
  first_done.WaitForNotification();
  workers_ = nullptr;
}

}  // namespace
}  // namespace holdfast::storage::sql
