// Requests that wait before the mailboxes.

#include "actors/runtime/fair_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/node.h"

namespace holdfast::actors {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// The parameter is round_min: the requests that a round delivers whatever they take.
class FairQueueTest : public ::testing::TestWithParam<size_t> {
 protected:
  class RoundExecutor : public simulation::ManualExecutor {
   public:
    using Executor::RunInbox;
    using ManualExecutor::ManualExecutor;
  };

  // A request takes 100 us, so a round of 500 us delivers five.
  static constexpr absl::Duration kCost = absl::Microseconds(100);
  static constexpr absl::Duration kWaitMax = absl::Milliseconds(20);

  class Request : public Delivery {
   public:
    Request(const std::string& ns, const std::string& name) : key(ns, "Counter", name), name(name) {}
    Task<absl::Status> Run(Object&) override { co_return absl::OkStatus(); }
    void Done(const absl::Status&) override {}
    Addressed addressed() { return {&key, nullptr, this}; }
    const storage::ObjectKey key;
    const std::string name;
  };

  Request* Make(const std::string& ns, const std::string& name) {
    return requests_.emplace_back(std::make_unique<Request>(ns, name)).get();
  }
  void Send(Request* request) {
    const Addressed addressed = request->addressed();
    queue_.Add({&addressed, 1});
  }
  void Send(const std::string& ns, const std::string& name) { Send(Make(ns, name)); }
  void SendMany(const std::string& ns, int count) {
    for (int i = 0; i < count; ++i) Send(ns, absl::StrCat(ns, i));
  }
  // Ends the round, and runs the next one up to its events. Returns the requests that were delivered since the last
  // call.
  std::vector<std::string> Round() {
    queue_.RoundDone();
    executor_.RunInbox();
    return std::exchange(delivered_, {});
  }
  static std::string NameOf(const Addressed& addressed) { return static_cast<Request*>(addressed.delivery)->name; }

  simulation::VirtualClock clock_;
  RoundExecutor executor_{&clock_};
  std::vector<std::string> delivered_;
  std::vector<size_t> together_;  // the lengths of the spans in which they were delivered
  std::vector<std::string> refused_;
  std::vector<FairQueue::Refusal> why_refused_;
  std::vector<std::unique_ptr<Request>> requests_;
  FairQueue queue_{&executor_,
                   {.waiting_max = 10, .waiting_time_max = kWaitMax, .round_max = 5 * kCost, .round_min = GetParam()},
                   [this](absl::Span<const Addressed> requests) {
                     together_.push_back(requests.size());
                     for (const Addressed& request : requests) {
                       delivered_.push_back(NameOf(request));
                       clock_.Advance(kCost);
                     }
                   },
                   [this](const Addressed& request, FairQueue::Refusal why) {
                     refused_.push_back(NameOf(request));
                     why_refused_.push_back(why);
                   }};
};

using FairQueueOneByOne = FairQueueTest;
using FairQueueTogether = FairQueueTest;
INSTANTIATE_TEST_SUITE_P(Rounds, FairQueueTest, ::testing::Values(0, 1, 3, 8));
INSTANTIATE_TEST_SUITE_P(Rounds, FairQueueOneByOne, ::testing::Values(0));
INSTANTIATE_TEST_SUITE_P(Rounds, FairQueueTogether, ::testing::Values(4));

TEST_P(FairQueueOneByOne, AnExecutorThatKeepsUpDeliversAtOnce) {
  for (int i = 0; i < 20; ++i) {
    Send("a", absl::StrCat(i));
    EXPECT_EQ(delivered_.size(), static_cast<size_t>(i % 5 + 1));
    if (i % 5 == 4) Round();
  }
  EXPECT_TRUE(queue_.idle());
  EXPECT_THAT(refused_, IsEmpty());
}

TEST_P(FairQueueOneByOne, TheOthersOfARoundWaitInOrder) {
  SendMany("a", 12);
  EXPECT_EQ(delivered_.size(), 5u);
  EXPECT_EQ(queue_.waiting(), 7u);
  delivered_.clear();
  EXPECT_THAT(Round(), ElementsAre("a5", "a6", "a7", "a8", "a9"));
  // A new one of the namespace does not overtake those that wait.
  Send("a", "new");
  EXPECT_THAT(Round(), ElementsAre("a10", "a11", "new"));
  EXPECT_TRUE(queue_.idle());
}

TEST_P(FairQueueOneByOne, NamespacesTakeTurns) {
  SendMany("a", 13);
  Send("b", "b0");
  Send("b", "b1");
  delivered_.clear();
  EXPECT_THAT(Round(), ElementsAre("a5", "b0", "a6", "b1", "a7"));
  Send("c", "c0");
  EXPECT_THAT(Round(), ElementsAre("a8", "c0", "a9", "a10", "a11"));
}

TEST_P(FairQueueOneByOne, TheNewestOfTheLongestIsRefused) {
  SendMany("a", 13);  // eight wait
  Send("b", "b0");
  Send("b", "b1");
  EXPECT_THAT(refused_, IsEmpty());
  Send("b", "b2");
  EXPECT_THAT(refused_, ElementsAre("a12"));
  Send("a", "a13");
  EXPECT_THAT(refused_, ElementsAre("a12", "a13"));
  Send("c", "c0");
  EXPECT_THAT(refused_, ElementsAre("a12", "a13", "a11"));
  EXPECT_EQ(queue_.waiting(), 10u);
}

TEST_P(FairQueueOneByOne, WhoeverWaitsTooLongIsRefusedNewOnes) {
  SendMany("a", 15);
  clock_.Advance(kWaitMax - 6 * kCost);
  Send("b", "b0");  // the newest of the longest makes room
  EXPECT_THAT(why_refused_, ElementsAre(FairQueue::Refusal::kTooMany));
  clock_.Advance(5 * kCost);
  Send("a", "soon enough");
  EXPECT_THAT(why_refused_, ElementsAre(FairQueue::Refusal::kTooMany, FairQueue::Refusal::kTooMany));
  clock_.Advance(kCost);
  Send("a", "too late");
  EXPECT_EQ(refused_.back(), "too late");
  EXPECT_EQ(why_refused_.back(), FairQueue::Refusal::kTooLong);
  // Another namespace does not pay for it.
  Send("b", "b1");
  EXPECT_THAT(refused_, Not(Contains("b1")));
  while (!queue_.idle()) Round();
  Send("a", "after");
  EXPECT_THAT(refused_, Not(Contains("after")));
}

TEST_P(FairQueueOneByOne, ARequestWhoseDeadlinePassedIsNotDelivered) {
  SendMany("a", 5);
  Request* const late = Make("a", "late");
  late->deadline = clock_.Steady() + kCost;
  Request* const in_time = Make("a", "in time");
  in_time->deadline = clock_.Steady() + 10 * kCost;
  Send(late);
  Send(in_time);
  delivered_.clear();
  clock_.Advance(2 * kCost);
  EXPECT_THAT(Round(), ElementsAre("in time"));
  EXPECT_THAT(refused_, ElementsAre("late"));
  EXPECT_THAT(why_refused_, ElementsAre(FairQueue::Refusal::kDeadlinePassed));
  EXPECT_TRUE(queue_.idle());
}

// Those of a batch, and those that waited, enter their mailboxes together.
TEST_P(FairQueueTogether, ManyAreDeliveredInOneSpan) {
  std::vector<Addressed> batch;
  for (int i = 0; i < 14; ++i) batch.push_back(Make("a", absl::StrCat(i))->addressed());
  queue_.Add(batch);
  // The first four whatever they take, then four more, since the time of the round begins to count after the first.
  EXPECT_THAT(std::exchange(together_, {}), ElementsAre(4, 4, 4));
  EXPECT_EQ(queue_.waiting(), 2u);
  Send("b", "b0");
  delivered_.clear();
  EXPECT_THAT(Round(), ElementsAre("12", "b0", "13"));
  EXPECT_THAT(together_, ElementsAre(3));
}

// Whatever comes: nothing is lost, each namespace keeps its order, and while two have requests neither gets more than
// one turn ahead of the other.
TEST_P(FairQueueTest, AnyOrderOfArrivals) {
  std::mt19937 random(3);
  std::map<std::string, std::deque<std::string>> expected;
  size_t sent = 0;
  size_t done = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 3 != 0) {
      const std::string ns(1, static_cast<char>('a' + random() % 4));
      const std::string name = absl::StrCat(ns, sent++);
      expected[ns].push_back(name);
      Send(ns, name);
    } else {
      queue_.RoundDone();
      executor_.RunInbox();
    }
    for (const std::string& name : std::exchange(refused_, {})) {
      ASSERT_EQ(expected[name.substr(0, 1)].back(), name);
      expected[name.substr(0, 1)].pop_back();
      ++done;
    }
    for (const std::string& name : std::exchange(delivered_, {})) {
      ASSERT_EQ(expected[name.substr(0, 1)].front(), name);
      expected[name.substr(0, 1)].pop_front();
      ++done;
    }
    ASSERT_EQ(queue_.waiting(), sent - done);
    ASSERT_LE(queue_.waiting(), 10u);
  }
  while (!queue_.idle()) Round();
}

}  // namespace
}  // namespace holdfast::actors
