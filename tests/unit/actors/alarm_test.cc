// Alarms: when they fire, and their state within their own handler.

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

using ::testing::IsEmpty;
using ::testing::SizeIs;

// --- When the alarm fires

TEST_F(AlarmTest, FiresAtItsTimeAndNotBefore) {
  Start();
  const absl::Time time = clock.Now() + absl::Seconds(10);
  SetAlarm("a", time);
  node->Advance(absl::Seconds(10) - absl::Microseconds(1));
  EXPECT_THAT(fired, IsEmpty());
  node->Advance(absl::Microseconds(1));
  ASSERT_THAT(fired, SizeIs(1));
  EXPECT_EQ(fired[0].time, time);
  EXPECT_EQ(fired[0].scheduled_time, time);
  EXPECT_EQ(fired[0].retry_count, 0);
  node->Advance(absl::Hours(1));
  EXPECT_THAT(fired, SizeIs(1));
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  EXPECT_TRUE(recording.Dump()["alarms"].empty());
}

TEST_F(AlarmTest, InThePastFiresAtOnce) {
  Start();
  SetAlarm("a", clock.Now() - absl::Hours(1));
  EXPECT_THAT(fired, SizeIs(1));
  SetAlarm("b", clock.Now());
  EXPECT_THAT(fired, SizeIs(2));
}

TEST_F(AlarmTest, BeyondTheWindowThatIsInMemoryItFiresAtItsTime) {
  Start();
  const absl::Time time = clock.Now() + absl::Hours(24 * 30);
  SetAlarm("a", time);
  node->Advance(absl::Hours(24 * 30) - absl::Microseconds(1));
  EXPECT_THAT(fired, IsEmpty());
  node->Advance(absl::Microseconds(1));
  EXPECT_THAT(fired, SizeIs(1));
}

TEST_F(AlarmTest, IsReadBack) {
  Start();
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  const absl::Time time = clock.Now() + absl::Seconds(10);
  SetAlarm("a", time);
  EXPECT_EQ(AlarmOf("a"), time);
  Start();
  EXPECT_EQ(AlarmOf("a"), time);
}

TEST_F(AlarmTest, IsReadBackWithinTheTurnThatSetsIt) {
  Start();
  auto sent = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    const absl::Time time = self.Now() + absl::Seconds(10);
    self.storage().SetAlarm(time);
    EXPECT_EQ(self.storage().alarm(), time);
    self.storage().DeleteAlarm();
    EXPECT_EQ(self.storage().alarm(), std::nullopt);
    co_return absl::OkStatus();
  });
  EXPECT_TRUE(sent->ok());
}

TEST_F(AlarmTest, SettingReplacesIt) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(10));
  SetAlarm("a", clock.Now() + absl::Seconds(20));
  node->Advance(absl::Seconds(15));
  EXPECT_THAT(fired, IsEmpty());
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(fired, SizeIs(1));
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, SizeIs(1));
}

TEST_F(AlarmTest, SettingTheSameTimeAgainFiresOnce) {
  Start();
  for (int i = 0; i < 3; ++i) SetAlarm("a", clock.Now() + absl::Seconds(10));
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, SizeIs(1));
}

TEST_F(AlarmTest, DeletedDoesNotFire) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(10));
  EXPECT_TRUE(Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
                self.storage().DeleteAlarm();
                co_return absl::OkStatus();
              }).ok());
  node->Advance(absl::Minutes(1));
  Start();
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, IsEmpty());
  EXPECT_TRUE(recording.Dump()["alarms"].empty());
}

TEST_F(AlarmTest, DeletedInTheQueueBeforeItBeginsDoesNotFire) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().DeleteAlarm();
    co_await self.Wait(absl::Seconds(5));
    co_return absl::OkStatus();
  });
  node->Advance(absl::Seconds(10));
  EXPECT_THAT(fired, IsEmpty());
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
}

TEST_F(AlarmTest, MovedWhileItWaitsForItsTurnFiresAtTheNewTime) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  const absl::Time later = clock.Now() + absl::Seconds(30);
  Send("a", [later](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().SetAlarm(later);
    co_await self.Wait(absl::Seconds(5));
    co_return absl::OkStatus();
  });
  node->Advance(absl::Seconds(29));
  EXPECT_THAT(fired, IsEmpty());
  node->Advance(absl::Seconds(1));
  ASSERT_THAT(fired, SizeIs(1));
  EXPECT_EQ(fired[0].time, later);
}

TEST_F(AlarmTest, OfAnObjectThatIsNotInMemoryLoadsIt) {
  Start();
  SetAlarm("a", clock.Now() + absl::Minutes(5));
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(Find("a"), nullptr);
  node->Advance(absl::Minutes(4));
  EXPECT_THAT(fired, SizeIs(1));
  EXPECT_EQ(board().instances, 2);
}

TEST_F(AlarmTest, ThatWasFiredBeforeTheClockWentBackIsNotLost) {
  Start();
  const absl::Time time = clock.Now() + absl::Seconds(45);
  SetAlarm("a", time, storage::AlarmClock::kWall);
  node->Advance(absl::Seconds(30));
  ASSERT_EQ(Find("a"), nullptr);
  // The alarm is due, and the clock is set back before the object is loaded.
  store.set_cold(true);
  clock.Set(time);
  node->executor().RunUntilIdle();
  ASSERT_NE(Find("a"), nullptr);
  ASSERT_EQ(Find("a")->state(), Activation::State::kLoading);
  clock.StepWall(-absl::Seconds(10));
  node->Settle();
  EXPECT_THAT(fired, IsEmpty()) << "early";
  node->Advance(absl::Seconds(10));
  EXPECT_THAT(fired, SizeIs(1));
}

TEST_F(AlarmTest, ManyFireInOrderOfTime) {
  Start();
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) expected.push_back(absl::StrCat("object", i));
  for (int i : {7, 3, 19, 0, 12, 1, 2, 4, 5, 6, 8, 18, 17, 16, 15, 14, 13, 11, 10, 9}) {
    SetAlarm(absl::StrCat("object", i), clock.Now() + absl::Seconds(10 + i));
  }
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(FiredNames(), expected);
}

// --- Within the handler

TEST_F(AlarmTest, IsAbsentInItsOwnHandler) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  std::optional<absl::Time> seen = clock.Now();
  on_alarm = [&](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    seen = self.storage().alarm();
    co_return absl::OkStatus();
  };
  node->Advance(absl::Seconds(1));
  EXPECT_EQ(seen, std::nullopt);
}

TEST_F(AlarmTest, SetInTheHandlerFiresAgain) {
  Start();
  const absl::Time begin = clock.Now();
  SetAlarm("a", begin + absl::Seconds(1));
  on_alarm = [this](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    if (fired.size() < 3) self.storage().SetAlarm(self.Now() + absl::Seconds(1));
    co_return absl::OkStatus();
  };
  node->Advance(absl::Minutes(1));
  ASSERT_THAT(fired, SizeIs(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(fired[static_cast<size_t>(i)].time, begin + absl::Seconds(i + 1));
    EXPECT_EQ(fired[static_cast<size_t>(i)].retry_count, 0);
  }
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
}

TEST_F(AlarmTest, SetInTheHandlerToTheSameTimeFiresAgainToo) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [this](ScriptedObject& self, const AlarmRun& run) -> Task<absl::Status> {
    if (fired.size() < 3) self.storage().SetAlarm(run.scheduled_time);
    co_return absl::OkStatus();
  };
  node->Advance(absl::Minutes(1));
  ASSERT_THAT(fired, SizeIs(3));
  EXPECT_EQ(fired[2].retry_count, 0);
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  ExpectAlarmIndexConsistent(scripted, {"a"});
}

TEST_F(AlarmTest, ThatAlwaysSetsItselfForNowLetsOthersRun) {
  Start();
  SetAlarm("a", clock.Now());
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    if (self.name == "a") self.storage().SetAlarm(self.Now());
    co_return absl::OkStatus();
  };
  SetAlarm("b", clock.Now() + absl::Milliseconds(500));
  node->Advance(absl::Seconds(1));
  EXPECT_EQ(std::count(board().notes.begin(), board().notes.end(), "b"), 0);
  EXPECT_EQ(std::count_if(fired.begin(), fired.end(), [](const Fired& one) { return one.name == "b"; }), 1);
  EXPECT_LE(fired.size(), static_cast<size_t>(1.1 * options.alarms.per_second));
}

TEST_F(AlarmTest, SetByAnotherTurnWhileTheHandlerWaitsStays) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  const absl::Time next = clock.Now() + absl::Seconds(20);
  on_alarm = [this](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    if (fired.size() == 1) co_await self.Wait(absl::Seconds(5));
    co_return absl::OkStatus();
  };
  node->Advance(absl::Seconds(2));
  EXPECT_EQ(AlarmOf("a"), std::nullopt) << "absent for other turns too";
  SetAlarm("a", next);
  node->Advance(absl::Seconds(8));
  EXPECT_EQ(AlarmOf("a"), next);
  node->Advance(absl::Seconds(20));
  ASSERT_THAT(fired, SizeIs(2));
  EXPECT_EQ(fired[1].time, next);
  EXPECT_EQ(fired[1].retry_count, 0);
}

TEST_F(AlarmTest, SetByAnotherTurnForNowWhileTheHandlerWaitsFiresAfterIt) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [this](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    if (fired.size() == 1) co_await self.Wait(absl::Seconds(5));
    ScriptedObject::Note("handler ends");
    co_return absl::OkStatus();
  };
  node->Advance(absl::Seconds(2));
  SetAlarm("a", clock.Now());
  EXPECT_THAT(fired, SizeIs(1)) << "two of its alarms at once";
  node->Advance(absl::Seconds(10));
  EXPECT_THAT(fired, SizeIs(2));
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  EXPECT_TRUE(node->host().idle());
}

TEST_F(AlarmTest, AHandlerOfSeveralTurnsFiresOnceAndKeepsWhatItCommitted) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    for (int i = 0; i < 3; ++i) {
      (void)self.storage().Put(absl::StrCat(i), "v");
      co_await self.NextTurn();
    }
    co_return absl::OkStatus();
  };
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, SizeIs(1));
  EXPECT_EQ(Get("a", "2"), "v");
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
}

TEST_F(AlarmTest, AHandlerMayRunAsLongAsAlarmsMayInEachOfItsTurns) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    co_await self.Wait(absl::Minutes(10));
    (void)self.storage().Put("first", "v");
    co_await self.NextTurn();
    co_await self.Wait(absl::Minutes(10));
    co_return self.storage().Put("second", "v");
  };
  node->Advance(absl::Minutes(25));
  ASSERT_THAT(fired, SizeIs(1));
  EXPECT_EQ(Get("a", "second"), "v");
}

TEST_F(AlarmTest, WhatTheHandlerWritesAndTheEndOfTheAlarmAreOneCommit) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    co_return self.storage().Put("done", "yes");
  };
  const int commits = recording.commits;
  node->Advance(absl::Seconds(1));
  EXPECT_EQ(recording.commits, commits + 1);
}

TEST_F(AlarmTest, AHandlerMayDeleteItsWholeObject) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  Put("a", "k", "v");
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    co_return FromStorage((co_await self.storage().DeleteAll(false)).status());
  };
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, SizeIs(1));
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(AlarmTest, KeptThroughADeletionInItsOwnHandlerItEndsAllTheSame) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    co_return FromStorage((co_await self.storage().DeleteAll(true)).status());
  };
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(fired, SizeIs(1));
  EXPECT_EQ(recording.EntryCount(), 0u);
}

}  // namespace
}  // namespace holdfast::actors
