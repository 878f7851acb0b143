// Alarms that fail, and alarms through crashes: each runs at least once, and never early.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/alarm_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class AlarmRetryTest : public AlarmTest {};

// --- The handler fails

TEST_F(AlarmRetryTest, AFailureIsRetriedAfterGrowingTimesEachPlusUpToAQuarter) {
  for (uint64_t run : simulation::Seeds(20)) {
    SCOPED_TRACE(simulation::Replay(run));
    seed = run;
    fired.clear();
    const std::string name = absl::StrCat("object", run);
    AlwaysFail();
    Start();
    const absl::Time scheduled = clock.Now() + absl::Seconds(1);
    SetAlarm(name, scheduled);
    node->Advance(absl::Minutes(10));
    ASSERT_GE(fired.size(), 9u);
    const int64_t delays[] = {2, 4, 8, 16, 32, 64};
    for (size_t i = 0; i < fired.size(); ++i) {
      EXPECT_EQ(fired[i].retry_count, static_cast<int32_t>(i));
      EXPECT_EQ(fired[i].scheduled_time, scheduled);
      if (i == 0) continue;
      const absl::Duration delay = absl::Seconds(delays[std::min<size_t>(i - 1, 5)]);
      EXPECT_GE(fired[i].time - fired[i - 1].time, delay) << i;
      EXPECT_LE(fired[i].time - fired[i - 1].time, delay * 1.25) << i;
    }
    on_alarm = nullptr;
    node->Advance(absl::Minutes(2));
    EXPECT_EQ(AlarmOf(name), std::nullopt);
  }
}

TEST_F(AlarmRetryTest, TheTimesOfRetriesAreSpread) {
  AlwaysFail();
  Start();
  for (int i = 0; i < 20; ++i) SetAlarm(absl::StrCat("object", i), clock.Now() + absl::Seconds(1));
  node->Advance(absl::Seconds(3.6));
  ASSERT_THAT(fired, SizeIs(40));
  std::set<absl::Time> times;
  for (size_t i = 20; i < 40; ++i) times.insert(fired[i].time);
  EXPECT_GT(times.size(), 15u);
}

TEST_F(AlarmRetryTest, AFailureDropsTheWritesAndTheInstance) {
  Start();
  Put("a", "k", "old");
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [this](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    if (fired.size() > 1) co_return absl::OkStatus();
    (void)self.storage().Put("k", "new");
    co_return absl::InternalError("fails");
  };
  node->Advance(absl::Seconds(1));
  EXPECT_EQ(Get("a", "k"), "old");
  EXPECT_EQ(board().instances, 2);
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, SizeIs(2));
}

TEST_F(AlarmRetryTest, BetweenRetriesTheAlarmReadsAsItWasSet) {
  AlwaysFail();
  Start();
  const absl::Time scheduled = clock.Now() + absl::Seconds(1);
  SetAlarm("a", scheduled);
  node->Advance(absl::Seconds(2));
  ASSERT_THAT(fired, SizeIs(1));
  EXPECT_EQ(AlarmOf("a"), scheduled);
  Start();
  EXPECT_EQ(AlarmOf("a"), scheduled);
}

TEST_F(AlarmRetryTest, SettingItBetweenRetriesBeginsAnew) {
  FailOnce();
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  node->Advance(absl::Seconds(2));
  const absl::Time next = clock.Now() + absl::Seconds(30);
  SetAlarm("a", next);
  node->Advance(absl::Minutes(2));
  ASSERT_THAT(fired, SizeIs(2));
  EXPECT_EQ(fired[1].time, next);
  EXPECT_EQ(fired[1].retry_count, 0);
}

TEST_F(AlarmRetryTest, DeletingItBetweenRetriesEndsThem) {
  AlwaysFail();
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  node->Advance(absl::Seconds(2));
  EXPECT_TRUE(Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
                self.storage().DeleteAlarm();
                co_return absl::OkStatus();
              }).ok());
  node->Advance(absl::Minutes(5));
  EXPECT_THAT(fired, SizeIs(1));
}

TEST_F(AlarmRetryTest, SetInAHandlerThatThenFailsTheNewOneWins) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  const absl::Time next = clock.Now() + absl::Seconds(40);
  on_alarm = [this, next](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    if (fired.size() > 1) co_return absl::OkStatus();
    self.storage().SetAlarm(next);
    (void)self.storage().Put("k", "dropped");
    co_return absl::InternalError("fails");
  };
  node->Advance(absl::Seconds(39));
  EXPECT_THAT(fired, SizeIs(1));
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  node->Advance(absl::Minutes(2));
  ASSERT_THAT(fired, SizeIs(2));
  EXPECT_EQ(fired[1].time, next);
  EXPECT_EQ(fired[1].retry_count, 0);
}

TEST_F(AlarmRetryTest, SetToTheSameTimeInAHandlerThatThenFailsItFiresAtOnceAndAnew) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [this](ScriptedObject& self, const AlarmRun& run) -> Task<absl::Status> {
    if (fired.size() > 1) co_return absl::OkStatus();
    self.storage().SetAlarm(run.scheduled_time);
    co_return absl::InternalError("fails");
  };
  node->Advance(absl::Seconds(1));
  ASSERT_THAT(fired, SizeIs(2));
  EXPECT_EQ(fired[1].retry_count, 0);
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, SizeIs(2));
}

TEST_F(AlarmRetryTest, DeletedInAHandlerThatThenFailsItIsNotRetried) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    self.storage().DeleteAlarm();
    co_return absl::InternalError("fails");
  };
  node->Advance(absl::Minutes(5));
  EXPECT_THAT(fired, SizeIs(1));
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  EXPECT_TRUE(recording.Dump()["alarms"].empty());
}

TEST_F(AlarmRetryTest, SetByAnotherTurnWhileAFailingHandlerWaitsItWins) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  const absl::Time next = clock.Now() + absl::Seconds(60);
  on_alarm = [this](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    if (fired.size() > 1) co_return absl::OkStatus();
    co_await self.Wait(absl::Seconds(5));
    co_return absl::InternalError("fails");
  };
  node->Advance(absl::Seconds(2));
  SetAlarm("a", next);
  node->Advance(absl::Minutes(3));
  ASSERT_THAT(fired, SizeIs(2));
  EXPECT_EQ(fired[1].time, next);
}

TEST_F(AlarmRetryTest, IsDroppedAfterAsManyAttemptsAsTheClassSays) {
  scripted.alarm_attempts_max = 7;
  AlwaysFail();
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  node->Advance(absl::Hours(1));
  EXPECT_THAT(fired, SizeIs(7));
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  EXPECT_TRUE(recording.Dump()["alarms"].empty());
  // An alarm that is set afterwards has all its attempts again.
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  node->Advance(absl::Hours(1));
  EXPECT_THAT(fired, SizeIs(14));
}

TEST_F(AlarmRetryTest, WithoutABoundItIsRetriedForever) {
  AlwaysFail();
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  node->Advance(absl::Hours(3));
  EXPECT_GT(fired.size(), 3 * 3600 / 80u);
}

TEST_F(AlarmRetryTest, AHandlerThatTakesTooLongHasFailed) {
  options.alarm_timeout = absl::Minutes(15);
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [this](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    if (fired.size() > 1) co_return absl::OkStatus();
    (void)self.storage().Put("k", "dropped");
    co_await self.Wait(absl::Hours(1));
    co_return absl::OkStatus();
  };
  node->Advance(absl::Seconds(1) + absl::Minutes(15));
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_THAT(fired, SizeIs(1));
  node->Advance(absl::Seconds(3));
  ASSERT_THAT(fired, SizeIs(2));
  EXPECT_EQ(fired[1].retry_count, 1);
  EXPECT_TRUE(node->host().idle());
}

TEST_F(AlarmRetryTest, WhatAHandlerSaidOfTheAlarmIsDroppedWhereTheRuntimeGaveItUp) {
  options.turn_bytes_max = 1000;
  options.alarm_timeout = absl::Minutes(1);
  Start();
  // One handler takes too long and one writes too much; both delete the alarm first.
  SetAlarm("slow", clock.Now() + absl::Seconds(1));
  SetAlarm("large", clock.Now() + absl::Seconds(1));
  std::map<std::string, int> runs;
  on_alarm = [&runs](ScriptedObject& self, const AlarmRun& run) -> Task<absl::Status> {
    EXPECT_EQ(run.retry_count, runs[self.name]);
    if (++runs[self.name] > 1) co_return absl::OkStatus();
    self.storage().DeleteAlarm();
    if (self.name == "slow") co_await self.Wait(absl::Hours(1));
    co_return self.storage().Put("k", std::string(2000, 'x'));
  };
  node->Advance(absl::Minutes(5));
  EXPECT_EQ(runs["slow"], 2);
  EXPECT_EQ(runs["large"], 2);
  EXPECT_EQ(Get("large", "k"), std::nullopt);
  EXPECT_TRUE(node->host().idle());
}

TEST_F(AlarmRetryTest, AResetByAnotherTurnCountsNoAttemptAndItFiresAgain) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [this](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    if (fired.size() == 1) co_await self.Wait(absl::Minutes(5));
    co_return absl::OkStatus();
  };
  node->Advance(absl::Seconds(2));
  EXPECT_FALSE(Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
                 (void)self.storage().Put("k", "v");
                 co_return NotFound("fails");
               }).ok());
  node->Advance(absl::Seconds(5));
  ASSERT_THAT(fired, SizeIs(2));
  EXPECT_EQ(fired[1].retry_count, 0);
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
}

TEST_F(AlarmRetryTest, AFailedLoadIsNoAttemptAndIsTriedAgain) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(60));
  int loads = 0;
  board().load = [&loads](ScriptedObject&) -> Task<absl::Status> {
    if (++loads <= 10) co_return absl::InternalError("fails");
    co_return absl::OkStatus();
  };
  node->Advance(absl::Seconds(61));
  EXPECT_THAT(fired, IsEmpty());
  EXPECT_GE(loads, 1);
  node->Advance(absl::Seconds(20));
  ASSERT_THAT(fired, SizeIs(1));
  EXPECT_EQ(fired[0].retry_count, 0);
  EXPECT_EQ(loads, 11);
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
}

// --- One commit with the rest of the turn, and crashes

TEST_F(AlarmRetryTest, AlarmAndWriteAreOneCommitWhateverStepACrashComesAt) {
  for (int crash_after = 0; crash_after < 8; ++crash_after) {
    const std::string name = absl::StrCat("object", crash_after);
    Start();
    auto sent = Send(name, [](ScriptedObject& self) -> Task<absl::Status> {
      self.storage().SetAlarm(self.Now() + absl::Hours(1));
      co_return self.storage().Put("k", "v");
    });
    for (int step = 0; step < crash_after; ++step) node->Step(0);
    const bool answered = sent->ok();
    Start();
    EXPECT_EQ(Get(name, "k").has_value(), AlarmOf(name).has_value());
    if (answered) EXPECT_TRUE(AlarmOf(name));
  }
}

TEST_F(AlarmRetryTest, ACrashInTheMiddleOfTheHandlerFiresItAgain) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [this](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    (void)self.storage().Put("runs", absl::StrCat(fired.size()));
    if (fired.size() == 1) co_await self.Wait(absl::Minutes(1));
    co_return absl::OkStatus();
  };
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(fired, SizeIs(1));
  Start();
  node->Settle();
  ASSERT_THAT(fired, SizeIs(2));
  EXPECT_EQ(fired[1].retry_count, 0);
  EXPECT_EQ(Get("a", "runs"), "2");
}

TEST_F(AlarmRetryTest, ACrashBeforeTheHandlersCommitIsDurableFiresItAgainAndAfterItNot) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    co_return self.storage().Put("done", "yes");
  };
  clock.Advance(absl::Seconds(1));
  node->SettleWithoutCommits();
  EXPECT_THAT(fired, SizeIs(1));
  Start();
  node->Settle();
  EXPECT_THAT(fired, SizeIs(2));
  EXPECT_EQ(Get("a", "done"), "yes");
  Start();
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, SizeIs(2));
}

TEST_F(AlarmRetryTest, AttemptsAndTheTimeOfTheNextSurviveARestart) {
  scripted.alarm_attempts_max = 5;
  AlwaysFail();
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  while (fired.size() < 3) node->Advance(absl::Seconds(1));
  const absl::Time third = fired[2].time;
  Start();
  node->Advance(third + absl::Seconds(7.9) - clock.Now());
  EXPECT_THAT(fired, SizeIs(3)) << "early";
  node->Advance(absl::Seconds(2.2));
  ASSERT_THAT(fired, SizeIs(4));
  EXPECT_EQ(fired[3].retry_count, 3);
  Start();
  node->Advance(absl::Hours(1));
  EXPECT_THAT(fired, SizeIs(5));
}

TEST_F(AlarmRetryTest, RandomCrashesLoseNoAlarmAndFireNoneEarly) {
  for (uint64_t run : simulation::Seeds(40)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    fired.clear();
    families_max = static_cast<int>(dice.Below(3));
    options.alarms = {};
    options.alarms.entries_max = static_cast<size_t>(dice.Between(1, 4));
    options.alarms.window = absl::Seconds(dice.Between(1, 20));
    options.alarms.together_min = static_cast<size_t>(dice.Between(1, 3));
    seed = run;
    on_alarm = [&dice](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
      if (dice.OneIn(4)) co_return absl::InternalError("fails");
      if (dice.OneIn(4)) co_await self.Wait(absl::Milliseconds(dice.Below(2000)));
      co_return self.storage().Put("fired", absl::StrCat(absl::ToUnixMicros(self.Now())));
    };
    // The time that was set last and acknowledged, by name.
    std::map<std::string, absl::Time> set;
    std::vector<std::string> names;
    for (int i = 0; i < 8; ++i) names.push_back(absl::StrCat("run", run, "object", i));
    Start();
    for (int i = 0; i < 60; ++i) {
      const std::string& name = names[dice.Below(names.size())];
      if (!set.contains(name)) {
        const absl::Time time = clock.Now() + absl::Seconds(dice.Between(-5, 30));
        auto sent = Send(name, [time](ScriptedObject& self) -> Task<absl::Status> {
          self.storage().SetAlarm(time);
          co_return absl::OkStatus();
        });
        node->Settle();
        if (sent->ok()) set[name] = time;
      }
      if (dice.OneIn(3)) node->Advance(absl::Milliseconds(dice.Below(4000)));
      for (uint64_t steps = dice.Below(5); steps > 0; --steps) {
        if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(100));
      }
      if (dice.OneIn(8)) Start();
    }
    on_alarm = [](ScriptedObject&, const AlarmRun&) -> Task<absl::Status> { co_return absl::OkStatus(); };
    node->Advance(absl::Minutes(10));
    for (const auto& [name, time] : set) {
      const bool was_fired = std::any_of(fired.begin(), fired.end(), [&](const Fired& one) {
        return one.name == name && one.scheduled_time == absl::FromUnixMicros(absl::ToUnixMicros(time));
      });
      EXPECT_TRUE(was_fired) << name;
      EXPECT_EQ(AlarmOf(name), std::nullopt);
    }
    for (const Fired& one : fired) EXPECT_GE(one.time, one.scheduled_time) << "early";
    ExpectAlarmIndexConsistent(scripted, names);
    EXPECT_TRUE(recording.Dump()["alarms"].empty());
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace holdfast::actors
