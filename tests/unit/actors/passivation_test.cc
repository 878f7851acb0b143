// Passivation: idle objects leave memory, busy ones do not, and nothing is lost.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

using State = Activation::State;

class PassivationTest : public ScriptedTest {
 protected:
  std::shared_ptr<Outcome> SendWait(const std::string& name, absl::Duration time) {
    return Send(name, [time](ScriptedObject& self) -> Task<absl::Status> {
      co_await self.Wait(time);
      co_return absl::OkStatus();
    });
  }
};

TEST_F(PassivationTest, AnIdleObjectLeavesMemoryAfterTheIdleTimeoutAndNotBefore) {
  Start();
  Put("a", "k", "v");
  node->Advance(options.idle_timeout - absl::Milliseconds(1));
  ASSERT_NE(Find("a"), nullptr);
  EXPECT_EQ(Find("a")->state(), State::kActive);
  EXPECT_GT(node->host().activation_bytes(), 0u);
  // Idle objects are looked for in steps of 100 ms.
  node->Advance(absl::Milliseconds(101));
  EXPECT_EQ(Find("a"), nullptr);
  EXPECT_EQ(node->host().activation_count(), 0u);
  EXPECT_EQ(node->host().activation_bytes(), 0u);
  EXPECT_EQ(Get("a", "k"), "v");
  EXPECT_EQ(board().instances, 2);
}

TEST_F(PassivationTest, EachUseBeginsTheIdleTimeAnew) {
  Start();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Instance("a"), 1);
    node->Advance(absl::Seconds(9));
  }
}

TEST_F(PassivationTest, OnlyTheIdleLeave) {
  Start();
  Put("idle", "k", "v");
  Put("used", "k", "v");
  for (int i = 0; i < 5; ++i) {
    node->Advance(absl::Seconds(5));
    Instance("used");
  }
  EXPECT_EQ(Find("idle"), nullptr);
  EXPECT_NE(Find("used"), nullptr);
}

TEST_F(PassivationTest, AnObjectWithATurnInItsMiddleStays) {
  options.turn_timeout = absl::Hours(1);
  Start();
  auto sent = SendWait("a", absl::Minutes(5));
  node->Advance(absl::Minutes(4));
  ASSERT_NE(Find("a"), nullptr);
  EXPECT_EQ(Find("a")->state(), State::kActive);
  node->Advance(absl::Minutes(1));
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(board().instances, 1);
  node->Advance(absl::Seconds(9));
  EXPECT_NE(Find("a"), nullptr) << "it was used until a moment ago";
  node->Advance(absl::Seconds(2));
  EXPECT_EQ(Find("a"), nullptr);
}

TEST_F(PassivationTest, AnObjectWhoseReadIsOnItsWayStays) {
  Start();
  Put("a", "k", "v");
  store.set_cold(true);
  auto reader = SendGet("a", "k");
  clock.Advance(absl::Seconds(20));
  node->executor().RunUntilIdle();
  EXPECT_EQ(Find("a")->state(), State::kActive);
  node->Settle();
  EXPECT_EQ(reader->response, "v");
}

TEST_F(PassivationTest, ALoadAfterwardsReadsThroughWritesThatAreNotDurable) {
  Start();
  Put("a", "k", "old");
  SendPut("a", "k", "new");
  node->executor().EndRound();
  SendPut("a", "l", "newer");
  // The disk is slow.
  clock.Advance(options.idle_timeout + absl::Seconds(1));
  node->SettleWithoutCommits();
  ASSERT_NE(Find("a"), nullptr) << "its writes are not durable";
  EXPECT_EQ(Find("a")->state(), State::kPassivating);
  EXPECT_EQ(node->host().activation_count(), 0u);
  auto k = SendGet("a", "k");
  auto l = SendGet("a", "l");
  node->SettleWithoutCommits();
  EXPECT_EQ(board().instances, 2);
  EXPECT_EQ(k->response, "new");
  EXPECT_EQ(l->response, "newer");
  EXPECT_FALSE(k->done());
  node->Settle();
  EXPECT_TRUE(k->ok() && l->ok());
}

TEST_F(PassivationTest, ItIsGoneFromMemoryOnceItsWritesAreDurable) {
  Start();
  auto sent = SendPut("a", "k", "v");
  clock.Advance(options.idle_timeout + absl::Seconds(1));
  node->SettleWithoutCommits();
  EXPECT_EQ(Find("a")->state(), State::kPassivating);
  node->Settle();
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(Find("a"), nullptr);
}

TEST_F(PassivationTest, OverTheMemoryBudgetTheLeastRecentlyUsedLeaveFirst) {
  board().memory_bytes = 100'000;
  options.activation_bytes_max = 350'000;
  Start();
  for (const char* name : {"a", "b", "c"}) Put(name, "k", "v");
  Instance("a");
  EXPECT_EQ(node->host().activation_count(), 3u);
  Put("d", "k", "v");
  EXPECT_EQ(Find("b"), nullptr) << "the one that was used least recently";
  for (const char* name : {"a", "c", "d"}) EXPECT_NE(Find(name), nullptr) << name;
  EXPECT_LE(node->host().activation_bytes(), options.activation_bytes_max);
  EXPECT_EQ(Get("b", "k"), "v");
  EXPECT_EQ(Find("c"), nullptr);
}

TEST_F(PassivationTest, TheBusyStayEvenOverTheMemoryBudget) {
  board().memory_bytes = 100'000;
  options.activation_bytes_max = 150'000;
  Start();
  std::vector<std::shared_ptr<Outcome>> sent;
  for (int i = 0; i < 5; ++i) sent.push_back(SendWait(absl::StrCat("busy", i), absl::Seconds(1)));
  node->Settle();
  EXPECT_EQ(node->host().activation_count(), 5u);
  node->Advance(absl::Seconds(1));
  for (const auto& outcome : sent) EXPECT_TRUE(outcome->ok());
  Instance("other");
  EXPECT_LE(node->host().activation_bytes(), options.activation_bytes_max);
}

TEST_F(PassivationTest, AnObjectLargerThanTheBudgetStillWorks) {
  board().memory_bytes = 1'000'000;
  options.activation_bytes_max = 1'000;
  Start();
  for (int i = 0; i < 3; ++i) {
    Put("a", "k", absl::StrCat(i));
    EXPECT_EQ(Get("a", "k"), absl::StrCat(i));
  }
}

TEST_F(PassivationTest, MemoryThatGrowsDuringATurnIsCounted) {
  Start();
  Instance("a");
  const size_t before = node->host().activation_bytes();
  board().memory_bytes = 5'000;
  Instance("a");
  EXPECT_EQ(node->host().activation_bytes(), before + 5'000);
  board().memory_bytes = 0;
  Instance("a");
  EXPECT_EQ(node->host().activation_bytes(), before);
}

TEST_F(PassivationTest, ManyObjectsComeAndGoAndAllIsKept) {
  for (uint64_t run : simulation::Seeds(5)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    board().memory_bytes = 1'000;
    options.activation_bytes_max = 10'000;
    options.idle_timeout = absl::Milliseconds(200);
    Start();
    std::map<std::string, int> expected;
    for (int i = 0; i < 500; ++i) {
      const std::string name = absl::StrCat("run", run, "object", dice.Below(30));
      auto sent = SendIncrement(name);
      const int number = ++expected[name];
      for (uint64_t steps = dice.Below(3); steps > 0; --steps) {
        if (!node->Step(dice.Below(100))) clock.Advance(absl::Milliseconds(20));
      }
      if (dice.OneIn(20)) {
        node->Advance(absl::Milliseconds(dice.Below(300)));
        EXPECT_EQ(sent->response, number);
      }
    }
    node->Settle();
    for (const auto& [name, number] : expected) EXPECT_EQ(Get(name, "n"), absl::StrCat(number));
    node->Advance(absl::Seconds(1));
    EXPECT_EQ(node->host().activation_count(), 0u);
    EXPECT_EQ(node->host().activation_bytes(), 0u);
  }
}

TEST_F(PassivationTest, StopEndsTheWatchOverTheIdle) {
  Start();
  Put("a", "k", "v");
  node->host().Stop();
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(Get("a", "k"), "v");
}

}  // namespace
}  // namespace holdfast::actors
