// The scheduler of alarms: the alarms that it has in memory, and the rate at which it delivers them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/alarm_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AlarmSchedulerTest : public AlarmTest {};

TEST_F(AlarmSchedulerTest, OverdueOnesFireAfterARestart) {
  Start();
  for (int i = 0; i < 20; ++i) SetAlarm(absl::StrCat("object", i), clock.Now() + absl::Minutes(5) + absl::Seconds(i));
  Crash();
  clock.Advance(absl::Hours(24));
  Start();
  node->Advance(absl::Seconds(1));
  ASSERT_THAT(fired, SizeIs(20));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(fired[static_cast<size_t>(i)].name, absl::StrCat("object", i));
}

TEST_F(AlarmSchedulerTest, OverdueOnesAreSpreadByTheBoundPerSecond) {
  options.alarms.per_second = 1000;
  Start();
  for (int i = 0; i < 500; ++i) {
    Send(absl::StrCat("object", i), [](ScriptedObject& self) -> Task<absl::Status> {
      self.storage().SetAlarm(self.Now() + absl::Hours(1));
      co_return absl::OkStatus();
    });
  }
  node->Settle();
  Crash();
  clock.Advance(absl::Hours(24));
  Start();
  node->Settle();
  EXPECT_LE(fired.size(), 10u) << "the share of a hundredth of a second";
  node->Advance(absl::Milliseconds(100));
  EXPECT_LE(fired.size(), 110u);
  EXPECT_GE(fired.size(), 90u);
  node->Advance(absl::Milliseconds(500));
  EXPECT_EQ(fired.size(), 500u);
}

TEST_F(AlarmSchedulerTest, ASmallBoundPerSecondHoldsToo) {
  options.alarms.per_second = 5;
  Start();
  for (int i = 0; i < 20; ++i) SetAlarm(absl::StrCat("object", i), clock.Now() + absl::Hours(1));
  Crash();
  clock.Advance(absl::Hours(24));
  Start();
  node->Advance(absl::Seconds(10));
  ASSERT_THAT(fired, SizeIs(20));
  for (size_t i = 0; i + 6 < fired.size(); ++i) {
    EXPECT_GE(fired[i + 6].time - fired[i].time, absl::Seconds(1)) << "seven within a second";
  }
}

TEST_F(AlarmSchedulerTest, WhileRequestsWaitTheyGoAtTheLowerRate) {
  options.alarms.per_second = 100'000;
  options.alarms.per_second_behind = 1000;
  Start();
  for (int i = 0; i < 500; ++i) {
    Send(absl::StrCat("object", i), [](ScriptedObject& self) -> Task<absl::Status> {
      self.storage().SetAlarm(self.Now() + absl::Hours(1));
      co_return absl::OkStatus();
    });
  }
  node->Settle();
  Crash();
  clock.Advance(absl::Hours(24));
  Start();
  node->executor().set_behind(options.alarms.behind_max + absl::Milliseconds(1));
  node->Settle();
  EXPECT_LE(fired.size(), 10u) << "the share of a hundredth of a second";
  node->Advance(absl::Milliseconds(100));
  EXPECT_LE(fired.size(), 110u);
  EXPECT_GE(fired.size(), 90u) << "starved";
  node->executor().set_behind(options.alarms.behind_max);
  node->Advance(absl::Milliseconds(10));
  EXPECT_EQ(fired.size(), 500u);
}

TEST_F(AlarmSchedulerTest, WhileRequestsWaitASmallBoundPerSecondHoldsAllTheSame) {
  options.alarms.per_second = 5;
  Start();
  for (int i = 0; i < 20; ++i) SetAlarm(absl::StrCat("object", i), clock.Now() + absl::Hours(1));
  Crash();
  clock.Advance(absl::Hours(24));
  Start();
  node->executor().set_behind(absl::Seconds(1));
  node->Advance(absl::Seconds(2));
  EXPECT_LE(fired.size(), 11u);
  EXPECT_GE(fired.size(), 9u);
}

TEST_F(AlarmSchedulerTest, NoMoreRunAtOnceThanTheBound) {
  options.alarms.running_max = 3;
  size_t running = 0;
  size_t most = 0;
  on_alarm = [&](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    most = std::max(most, ++running);
    co_await self.Wait(absl::Seconds(1));
    --running;
    co_return absl::OkStatus();
  };
  Start();
  for (int i = 0; i < 10; ++i) SetAlarm(absl::StrCat("object", i), clock.Now() + absl::Seconds(1));
  node->Advance(absl::Seconds(1) + absl::Milliseconds(500));
  EXPECT_EQ(running, 3u);
  node->Advance(absl::Seconds(10));
  EXPECT_THAT(fired, SizeIs(10));
  EXPECT_EQ(most, 3u);
}

TEST_F(AlarmSchedulerTest, MoreThanFitInMemoryAllFireInOrderOfTime) {
  for (size_t entries_max : {1u, 2u, 3u, 10u, 39u, 40u}) {
    SCOPED_TRACE(absl::StrCat("entries_max ", entries_max));
    fired.clear();
    options.alarms.entries_max = entries_max;
    Start();
    simulation::Dice dice(entries_max);
    std::vector<int> order;
    for (int i = 0; i < 40; ++i) order.push_back(i);
    for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[dice.Below(i + 1)]);
    const absl::Time begin = clock.Now();
    for (int i : order) SetAlarm(absl::StrCat("object", i), begin + absl::Seconds(3 * i + 5));
    // Half of the alarms come after a restart.
    node->Advance(absl::Seconds(60));
    Start();
    node->Advance(absl::Seconds(90));
    ASSERT_THAT(fired, SizeIs(40));
    for (int i = 0; i < 40; ++i) {
      EXPECT_EQ(fired[static_cast<size_t>(i)].name, absl::StrCat("object", i));
      EXPECT_EQ(fired[static_cast<size_t>(i)].time, begin + absl::Seconds(3 * i + 5));
    }
  }
}

TEST_F(AlarmSchedulerTest, MoreOverdueOnesThanFitInMemoryAllFire) {
  options.alarms.entries_max = 7;
  Start();
  for (int i = 0; i < 100; ++i) SetAlarm(absl::StrCat("object", i), clock.Now() + absl::Hours(1) + absl::Seconds(i));
  Crash();
  clock.Advance(absl::Hours(24));
  Start();
  node->Advance(absl::Seconds(10));
  ASSERT_THAT(fired, SizeIs(100));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(fired[static_cast<size_t>(i)].name, absl::StrCat("object", i));
}

TEST_F(AlarmSchedulerTest, ChangesWhileTheIndexIsBeingReadAreNotLost) {
  options.alarms.entries_max = 4;
  Start();
  for (int i = 0; i < 10; ++i) SetAlarm(absl::StrCat("object", i), clock.Now() + absl::Seconds(100 + i));
  const absl::Time begin = clock.Now();
  Start();
  ASSERT_EQ(node->reads().waiting(), 2u) << "the index, and then the request records";
  node->reads().RunWork();
  // One alarm is set earlier, one later, one is deleted, and one is new, all after the read and before its end is
  // known.
  const auto set = [this](const std::string& name, absl::Time time) {
    Send(name, [time](ScriptedObject& self) -> Task<absl::Status> {
      self.storage().SetAlarm(time);
      co_return absl::OkStatus();
    });
  };
  set("object5", begin + absl::Seconds(50));
  set("object0", begin + absl::Seconds(200));
  set("new", begin + absl::Seconds(60));
  Send("object1", [](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().DeleteAlarm();
    co_return absl::OkStatus();
  });
  node->Advance(absl::Seconds(300));
  EXPECT_THAT(FiredNames(), ElementsAre("object5", "new", "object2", "object3", "object4", "object6", "object7",
                                        "object8", "object9", "object0"));
}

// A clock that advances by itself, like a real one.
class TickingClock : public simulation::VirtualClock {
 public:
  absl::Time Wall() const override { return VirtualClock::Wall() + Tick(); }
  absl::Time Steady() const override { return VirtualClock::Steady() + Tick(); }

 private:
  absl::Duration Tick() const { return ticks_ += absl::Microseconds(1); }

  mutable absl::Duration ticks_;
};

TEST_F(AlarmSchedulerTest, AnIdleNodeDoesNotReadTheIndexAllTheTime) {
  TickingClock ticking;
  simulation::Node idle(&recording, &ticking, classes, options);
  idle.Settle();
  EXPECT_FALSE(idle.stuck());
  recording.cursors.clear();
  idle.Advance(absl::Minutes(10));
  EXPECT_FALSE(idle.stuck());
  EXPECT_LE(recording.cursors[storage::FamilyId::kAlarms], 25) << "once in half a window, of a minute";
}

TEST_F(AlarmSchedulerTest, AMemoryFullOfAlarmsDoesNotMakeItReadAllTheTime) {
  options.alarms.entries_max = 10;
  Start();
  for (int i = 0; i < 30; ++i) SetAlarm(absl::StrCat("object", i), clock.Now() + absl::Seconds(30));
  recording.cursors.clear();
  node->Advance(absl::Seconds(29));
  EXPECT_LE(recording.cursors[storage::FamilyId::kAlarms], 40);
  node->Advance(absl::Seconds(2));
  EXPECT_THAT(fired, SizeIs(30));
}

TEST_F(AlarmSchedulerTest, StopFiresNothingMore) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  SetAlarm("b", clock.Now() + absl::Hours(1));
  node->host().Stop();
  node->Advance(absl::Hours(2));
  EXPECT_THAT(fired, IsEmpty());
  EXPECT_TRUE(node->host().idle());
  Start();
  node->Settle();
  EXPECT_THAT(fired, SizeIs(2));
}

TEST_F(AlarmSchedulerTest, StopAlsoHoldsBackWhatWasFiredAndHasNotBegun) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  auto busy = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "v");
    co_await self.Wait(absl::Seconds(5));
    co_return absl::OkStatus();
  });
  node->Advance(absl::Seconds(2));
  node->host().Stop();
  node->Advance(absl::Seconds(10));
  EXPECT_TRUE(busy->ok());
  EXPECT_THAT(fired, IsEmpty());
  EXPECT_TRUE(node->host().idle());
  Start();
  node->Settle();
  EXPECT_THAT(fired, SizeIs(1));
}

TEST_F(AlarmSchedulerTest, ARunningHandlerEndsAfterStop) {
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(5));
    co_return self.storage().Put("ended", "yes");
  };
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  node->Advance(absl::Seconds(2));
  node->host().Stop();
  EXPECT_FALSE(node->host().idle());
  node->Advance(absl::Seconds(10));
  EXPECT_TRUE(node->host().idle());
  EXPECT_EQ(Get("a", "ended"), "yes");
}

TEST_F(AlarmSchedulerTest, OfAClassThatTheServerDoesNotKnowIsLeftAlone) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(10));
  ObjectClass other = MakeScriptedClass();
  other.name = "Other";
  classes = {&other};
  Start();
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, IsEmpty());
  EXPECT_TRUE(node->host().idle());
  Crash();
  classes = {&scripted};
  Start();
  node->Settle();
  EXPECT_THAT(fired, SizeIs(1));
}

}  // namespace
}  // namespace holdfast::actors
