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

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FairQueueTest : public ::testing::Test {
 protected:
  class RoundExecutor : public simulation::ManualExecutor {
   public:
    using Executor::RunInbox;
    using ManualExecutor::ManualExecutor;
  };

  // A request takes 100 us, so a round of 500 us delivers five.
  static constexpr absl::Duration kCost = absl::Microseconds(100);

  class Request : public Delivery {
   public:
    Request(const std::string& ns, const std::string& name) : key(ns, "Counter", name), name(name) {}
    Task<absl::Status> Run(Object&) override { co_return absl::OkStatus(); }
    void Done(const absl::Status&) override {}
    const storage::ObjectKey key;
    const std::string name;
  };

  void Send(const std::string& ns, const std::string& name) {
    requests_.push_back(std::make_unique<Request>(ns, name));
    queue_.Add({&requests_.back()->key, nullptr, requests_.back().get()});
  }
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
  std::vector<std::string> refused_;
  std::vector<std::unique_ptr<Request>> requests_;
  FairQueue queue_{&executor_,
                   {.waiting_max = 10, .round_max = 5 * kCost, .round_min = 0},
                   [this](const Addressed& addressed) {
                     delivered_.push_back(NameOf(addressed));
                     clock_.Advance(kCost);
                   },
                   [this](const Addressed& addressed) { refused_.push_back(NameOf(addressed)); }};
};

TEST_F(FairQueueTest, AnExecutorThatKeepsUpDeliversAtOnce) {
  for (int i = 0; i < 20; ++i) {
    Send("a", absl::StrCat(i));
    EXPECT_EQ(delivered_.size(), static_cast<size_t>(i % 5 + 1));
    if (i % 5 == 4) Round();
  }
  EXPECT_TRUE(queue_.idle());
  EXPECT_THAT(refused_, IsEmpty());
}

TEST_F(FairQueueTest, TheOthersOfARoundWaitInOrder) {
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

TEST_F(FairQueueTest, NamespacesTakeTurns) {
  SendMany("a", 13);
  Send("b", "b0");
  Send("b", "b1");
  delivered_.clear();
  EXPECT_THAT(Round(), ElementsAre("a5", "b0", "a6", "b1", "a7"));
  Send("c", "c0");
  EXPECT_THAT(Round(), ElementsAre("a8", "c0", "a9", "a10", "a11"));
}

TEST_F(FairQueueTest, TheNewestOfTheLongestIsRefused) {
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

// Whatever comes: nothing is lost, each namespace keeps its order, and while two have requests neither gets more than
// one turn ahead of the other.
TEST_F(FairQueueTest, AnyOrderOfArrivals) {
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
