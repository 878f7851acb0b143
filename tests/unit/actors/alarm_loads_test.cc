// The objects of alarms that are due together are read together, and that changes nothing else.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/alarm_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

class AlarmLoadsTest : public AlarmTest {
 protected:
  static constexpr int kMany = 20;
  static constexpr absl::Duration kDelay = absl::Seconds(5);

  static std::string Name(int i) { return absl::StrCat("object", i); }
  static std::vector<std::string> Names(int count) {
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) names.push_back(Name(i));
    return names;
  }
  // Begins a life of the node in which the alarms of so many objects, none of them in memory, are due after kDelay.
  void StartWithAlarms(int count) {
    Start();
    for (int i = 0; i < count; ++i) {
      Send(Name(i), [this](ScriptedObject& self) -> Task<absl::Status> {
        self.storage().SetAlarm(clock.Now() + kDelay);
        co_return self.storage().Put("k", "old");
      });
    }
    node->Settle();
    Start();
    node->Settle();
    recording.gets.clear();
    recording.cursors.clear();
  }
  // Makes the alarms due, and reads the objects, which nobody hears of yet.
  void ReadWhatIsDue() {
    clock.Advance(kDelay);
    node->executor().RunUntilIdle();
    ASSERT_THAT(fired, IsEmpty());
    ASSERT_EQ(node->reads().waiting(), 1u);
    ASSERT_TRUE(node->reads().RunWork());
    ASSERT_EQ(recording.cursors[storage::FamilyId::kPacked], kMany);
  }
  // Runs all but the end of the read.
  void SettleTheRest() {
    do {
      node->executor().RunUntilIdle();
      node->executor().EndRound();
    } while (node->commits().RunOne());
  }
};

TEST_F(AlarmLoadsTest, ManyThatAreDueTogetherAreReadTogether) {
  StartWithAlarms(kMany);
  node->Advance(kDelay);
  EXPECT_THAT(FiredNames(), UnorderedElementsAreArray(Names(kMany)));
  EXPECT_EQ(recording.cursors[storage::FamilyId::kPacked], kMany) << "one walk for each";
  EXPECT_EQ(recording.gets[storage::FamilyId::kPacked], 0);
}

TEST_F(AlarmLoadsTest, FewAreLoadedEachByItself) {
  const int few = static_cast<int>(options.alarms.together_min) - 1;
  StartWithAlarms(few);
  clock.Advance(kDelay);
  node->executor().RunUntilIdle();
  EXPECT_THAT(fired, SizeIs(few)) << "without a hand-over to another thread";
}

TEST_F(AlarmLoadsTest, ThoseInMemoryAreNotRead) {
  StartWithAlarms(kMany);
  for (int i = 0; i < kMany; ++i) Get(Name(i), "k");
  recording.cursors.clear();
  node->Advance(kDelay);
  EXPECT_THAT(fired, SizeIs(kMany));
  EXPECT_EQ(recording.cursors[storage::FamilyId::kPacked], 0);
}

TEST_F(AlarmLoadsTest, ObjectsWithFamiliesOfTheirOwnFireToo) {
  families_max = 5;
  StartWithAlarms(kMany);
  ASSERT_EQ(node->families().count(), 5);
  node->Advance(kDelay);
  EXPECT_THAT(FiredNames(), UnorderedElementsAreArray(Names(kMany)));
}

TEST_F(AlarmLoadsTest, OneThatIsSetForLaterMeanwhileFiresLater) {
  StartWithAlarms(kMany);
  ReadWhatIsDue();
  const absl::Time later = clock.Now() + absl::Hours(1);
  auto sent = Send(Name(3), [later](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().SetAlarm(later);
    co_return absl::OkStatus();
  });
  SettleTheRest();
  EXPECT_TRUE(sent->ok());
  node->Settle();
  EXPECT_THAT(fired, SizeIs(kMany - 1));
  EXPECT_THAT(FiredNames(), Not(Contains(Name(3))));
  node->Advance(absl::Hours(1));
  ASSERT_THAT(fired, SizeIs(kMany));
  EXPECT_EQ(fired.back().name, Name(3));
  EXPECT_EQ(fired.back().time, later);
}

TEST_F(AlarmLoadsTest, OneThatIsDeletedMeanwhileDoesNotFire) {
  StartWithAlarms(kMany);
  ReadWhatIsDue();
  auto alarm = Send(Name(3), [](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().DeleteAlarm();
    co_return absl::OkStatus();
  });
  auto all = SendDeleteAll(scripted, Name(4));
  SettleTheRest();
  EXPECT_TRUE(alarm->ok() && all->ok());
  node->Advance(kDelay);
  EXPECT_THAT(fired, SizeIs(kMany - 2));
  EXPECT_THAT(FiredNames(), Not(Contains(Name(3))));
  EXPECT_THAT(FiredNames(), Not(Contains(Name(4))));
  EXPECT_EQ(Get(Name(4), "k"), std::nullopt);
}

TEST_F(AlarmLoadsTest, OneThatWasWrittenAndHasLeftMemoryMeanwhileIsReadAnew) {
  std::vector<std::string> seen;
  on_alarm = [&seen](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    const auto value = co_await self.storage().Get("k");
    seen.push_back(value.ok() && *value ? **value : "nothing");
    co_return absl::OkStatus();
  };
  StartWithAlarms(kMany);
  ReadWhatIsDue();
  for (int i = 0; i < kMany; ++i) {
    SendPut(Name(i), "k", "new");
    SettleTheRest();
    node->host().PassivateSoon(Key(scripted, Name(i)));
    SettleTheRest();
    ASSERT_EQ(Find(Name(i)), nullptr);
  }
  node->Settle();
  EXPECT_THAT(seen, SizeIs(kMany));
  EXPECT_THAT(seen, Each("new"));
}

TEST_F(AlarmLoadsTest, OneThatIsInMemoryMeanwhileFiresWithWhatItHasWritten) {
  std::vector<std::string> seen;
  on_alarm = [&seen](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    const auto value = co_await self.storage().Get("k");
    seen.push_back(value.ok() && *value ? **value : "nothing");
    co_return absl::OkStatus();
  };
  StartWithAlarms(kMany);
  ReadWhatIsDue();
  for (int i = 0; i < kMany; ++i) SendPut(Name(i), "k", "new");
  node->executor().RunUntilIdle();  // in memory, and not durable
  node->Settle();
  EXPECT_THAT(seen, SizeIs(kMany));
  EXPECT_THAT(seen, Each("new"));
}

TEST_F(AlarmLoadsTest, OneThatComesIntoMemoryBeforeItsReadBeginsIsNotReadTwice) {
  std::vector<std::string> seen;
  on_alarm = [&seen](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(1));  // what was in flight becomes durable
    const auto value = co_await self.storage().Get("k");
    seen.push_back(value.ok() && *value ? **value : "nothing");
    co_return absl::OkStatus();
  };
  Start();
  for (int i = 0; i < 2 * kMany; ++i) {
    Send(Name(i), [this, i](ScriptedObject& self) -> Task<absl::Status> {
      self.storage().SetAlarm(clock.Now() + kDelay + (i < kMany ? absl::ZeroDuration() : absl::Seconds(1)));
      co_return self.storage().Put("k", "old");
    });
  }
  node->Settle();
  Start();
  node->Settle();
  recording.cursors.clear();
  ReadWhatIsDue();
  // The others are due while the first are being read.
  clock.Advance(absl::Seconds(1));
  node->executor().RunUntilIdle();
  for (int i = kMany; i < 2 * kMany; ++i) SendPut(Name(i), "k", "new");
  node->executor().RunUntilIdle();
  node->executor().EndRound();
  ASSERT_TRUE(node->reads().RunDone());
  while (node->reads().RunOne()) {
  }
  node->Advance(absl::Seconds(2));
  ASSERT_THAT(seen, SizeIs(2 * kMany));
  EXPECT_EQ(std::count(seen.begin(), seen.end(), "new"), kMany);
}

TEST_F(AlarmLoadsTest, WhatTheAlarmWroteIsReadAfterIt) {
  options.alarms.together_min = 1;
  on_alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    co_return self.storage().Put("k", "by the alarm");
  };
  StartWithAlarms(kMany);
  node->Advance(kDelay);
  ASSERT_THAT(fired, SizeIs(kMany));
  for (int i = 0; i < kMany; ++i) EXPECT_EQ(Get(Name(i), "k"), "by the alarm");
}

TEST_F(AlarmLoadsTest, OneWithADamagedRecordHoldsBackNoOther) {
  StartWithAlarms(kMany);
  const storage::Location damaged = storage::PackedLocation(Key(scripted, Name(3)));
  storage::WriteSet garbled;
  garbled.Put(storage::kObjectHeaderKey, "\xff\xff\xff");
  const storage::KeyspaceWrites writes[] = {{&damaged, &garbled}};
  ASSERT_TRUE(store.CommitSync(writes).ok());
  node->Advance(kDelay);
  EXPECT_THAT(fired, SizeIs(kMany - 1));
  EXPECT_THAT(FiredNames(), Not(Contains(Name(3))));
}

TEST_F(AlarmLoadsTest, ACrashAtEachStepFiresThemAgain) {
  for (int steps = 0; steps < 12; ++steps) {
    SCOPED_TRACE(absl::StrCat(steps, " steps before the crash"));
    fired.clear();
    StartWithAlarms(kMany);
    clock.Advance(kDelay);
    for (int i = 0; i < steps; ++i) node->Step(0);
    Start();
    node->Advance(absl::Seconds(1));
    std::vector<std::string> names = FiredNames();
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    EXPECT_THAT(names, UnorderedElementsAreArray(Names(kMany)));
    EXPECT_THAT(recording.Dump()["alarms"], IsEmpty());
  }
}

TEST_F(AlarmLoadsTest, AStopHoldsBackThoseThatAreBeingRead) {
  StartWithAlarms(kMany);
  ReadWhatIsDue();
  EXPECT_FALSE(node->host().idle());
  node->host().Stop();
  node->Settle();
  EXPECT_THAT(fired, IsEmpty());
  EXPECT_TRUE(node->host().idle());
  Start();
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(fired, SizeIs(kMany));
}

}  // namespace
}  // namespace holdfast::actors
