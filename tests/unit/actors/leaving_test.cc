// An object that stores nothing any more ceases to exist, in the turn of the alarm that emptied it or when it leaves
// memory, and never while something could be lost.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

constexpr absl::Duration kIdle = absl::Seconds(11);

// The parameter says whether the object has a family of its own.
class LeavingTest : public ScriptedTest, public ::testing::WithParamInterface<bool> {
 protected:
  LeavingTest() {
    families_max = GetParam() ? 4 : 0;
    board().alarm = [](ScriptedObject& self, const AlarmRun&) { return Erase(&self, "k"); };
  }

  static Task<absl::Status> Erase(ScriptedObject* self, std::string key) {
    const std::vector<std::string> keys = {key};
    co_return (co_await self->storage().Delete(keys)).status();
  }
  void Delete(const std::string& name, const std::string& key) {
    EXPECT_TRUE(Ask(name, [key](ScriptedObject& self) { return Erase(&self, key); }).ok());
  }
  // Makes an object with one entry, which its alarm will delete in a minute.
  void Fill(const std::string& name) {
    EXPECT_TRUE(Ask(name, [](ScriptedObject& self) -> Task<absl::Status> {
                  self.storage().SetAlarm(self.Now() + absl::Minutes(1));
                  co_return self.storage().Put("k", "v");
                }).ok());
    ASSERT_TRUE(CatalogOf(scripted, name));
  }
  absl::Time TimeOf(const std::string& name) {
    absl::Time time;
    EXPECT_TRUE(Ask(name, [&time](ScriptedObject& self) -> Task<absl::Status> {
                  time = self.Now();
                  co_return absl::OkStatus();
                }).ok());
    return time;
  }
  void ExpectGone(const std::string& name) {
    EXPECT_FALSE(CatalogOf(scripted, name));
    EXPECT_EQ(recording.EntryCount(), 0u);
    ExpectFamiliesConsistent();
    ExpectAlarmIndexConsistent(scripted, {name});
  }
};

INSTANTIATE_TEST_SUITE_P(Placement, LeavingTest, ::testing::Bool(),
                         [](const auto& own) { return own.param ? "OwnFamily" : "Packed"; });

TEST_P(LeavingTest, AnObjectThatItsAlarmHasEmptiedLeavesTheCatalogInTheSameCommit) {
  Start();
  Fill("a");
  node->Advance(absl::Seconds(59));
  const int commits = recording.commits;
  node->Advance(absl::Seconds(1));
  EXPECT_EQ(recording.commits, commits + 1);
  ExpectGone("a");
}

TEST_P(LeavingTest, AnObjectThatOnlyHadAnAlarmLeavesWithIt) {
  Start();
  SetAlarm("a", clock.Now() + absl::Minutes(1));
  EXPECT_TRUE(CatalogOf(scripted, "a"));
  node->Advance(absl::Minutes(1));
  ExpectGone("a");
}

TEST_P(LeavingTest, AnObjectThatARequestHasEmptiedLeavesTheCatalogWhenItLeavesMemory) {
  Start();
  for (const bool asked : {false, true}) {
    Put("a", "k", "v");
    Delete("a", "k");
    EXPECT_TRUE(CatalogOf(scripted, "a")) << "it may be filled again at once";
    if (asked) {
      node->host().PassivateSoon(Key(scripted, "a"));
      node->Settle();
    } else {
      node->Advance(kIdle);
    }
    EXPECT_EQ(Find("a"), nullptr);
    ExpectGone("a");
  }
}

TEST_P(LeavingTest, AnObjectThatIsFilledAgainBeforeStays) {
  Start();
  Put("a", "k", "v");
  const int64_t created = CatalogOf(scripted, "a")->create_time_us();
  for (int i = 0; i < 10; ++i) {
    Delete("a", "k");
    node->Advance(absl::Seconds(5));
    Put("a", "k", "v");
  }
  EXPECT_EQ(CatalogOf(scripted, "a")->create_time_us(), created);
  EXPECT_EQ(Instance("a"), 1);
}

TEST_P(LeavingTest, AnAlarmThatIsSetKeepsAnEmptyObject) {
  Start();
  board().alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    self.storage().SetAlarm(self.Now() + absl::Hours(1));
    co_return co_await Erase(&self, "k");
  };
  Fill("a");
  node->Advance(absl::Minutes(1) + kIdle);
  EXPECT_EQ(Find("a"), nullptr);
  EXPECT_TRUE(CatalogOf(scripted, "a"));
  EXPECT_TRUE(AlarmOf("a"));
  ExpectAlarmIndexConsistent(scripted, {"a"});
}

TEST_P(LeavingTest, WhatIsStoredAndWasNotCountedKeepsTheObject) {
  Start();
  const auto put_uncounted = [](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().writes().Put(storage::EntryKey("k"), "v");
    co_return absl::OkStatus();
  };
  EXPECT_TRUE(Ask("a", put_uncounted).ok());
  EXPECT_EQ(HeaderOf(scripted, "a")->usage().size_bytes(), 0);
  node->Advance(kIdle);
  EXPECT_EQ(Find("a"), nullptr);
  board().alarm = nullptr;
  SetAlarm("a", clock.Now());
  node->Advance(kIdle);
  EXPECT_EQ(Get("a", "k"), "v");
  EXPECT_TRUE(CatalogOf(scripted, "a"));
}

TEST_P(LeavingTest, ARequestThatComesWhileItLeavesMeetsANewObject) {
  Start();
  Fill("a");
  const absl::Time before = TimeOf("a");
  clock.Advance(absl::Minutes(1));
  node->SettleWithoutCommits();
  auto read = SendGet("a", "k");
  auto put = SendPut("a", "new", "v");
  node->SettleWithoutCommits();
  EXPECT_FALSE(read->done()) << "the deletion that it has seen is not durable";
  node->Settle();
  EXPECT_TRUE(read->ok());
  EXPECT_EQ(read->response, std::nullopt);
  EXPECT_TRUE(put->ok());
  EXPECT_GE(TimeOf("a"), before + absl::Minutes(1));
  EXPECT_EQ(Get("a", "new"), "v");
  ExpectFamiliesConsistent();
  Start();
  EXPECT_EQ(Get("a", "new"), "v");
  EXPECT_EQ(Get("a", "k"), std::nullopt);
}

TEST_P(LeavingTest, RequestsThatWaitWhenItLeavesMemoryAreServed) {
  Start();
  Put("a", "k", "v");
  Delete("a", "k");
  node->host().PassivateSoon(Key(scripted, "a"));
  auto first = SendIncrement("a");
  auto second = SendIncrement("a");
  node->Settle();
  EXPECT_EQ(first->response, 1);
  EXPECT_EQ(second->response, 2);
  Start();
  EXPECT_EQ(Get("a", "n"), "2");
}

TEST_P(LeavingTest, AHandlerThatIsUnderWayIsNotReset) {
  Start();
  Fill("a");
  auto waiting = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(25));
    ++self.member;
    co_return absl::OkStatus();
  });
  node->Advance(absl::Seconds(20));
  SetAlarm("a", clock.Now());
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(CatalogOf(scripted, "a")) << "it waits until the handler has ended";
  node->Advance(absl::Seconds(5));
  EXPECT_TRUE(waiting->ok());
  node->Advance(kIdle);
  ExpectGone("a");
}

TEST_P(LeavingTest, ItsClockDoesNotGoBackForItsLeaving) {
  Start();
  Fill("a");
  Fill("b");
  clock.StepWall(-absl::Hours(1));
  node->Advance(absl::Minutes(2));
  EXPECT_TRUE(CatalogOf(scripted, "a")) << "a new one would begin an hour before the time that this one has shown";
  const absl::Time time = TimeOf("a");
  EXPECT_GT(time, clock.Wall());
  node->Advance(kIdle);
  EXPECT_TRUE(CatalogOf(scripted, "a"));
  // When the wall clock has reached the object's clock, the object ceases to exist after its next use.
  node->Advance(absl::Hours(1));
  EXPECT_GE(TimeOf("a"), time);
  node->Advance(kIdle);
  EXPECT_FALSE(CatalogOf(scripted, "a"));
  EXPECT_TRUE(CatalogOf(scripted, "b")) << "which nobody has used since";
  EXPECT_GE(TimeOf("a"), time);
}

TEST_P(LeavingTest, RecordsOfRequestsOutliveIt) {
  Start();
  const auto put = [this] {
    return SendRecorded("a", "id", "put", [](ScriptedObject& self, std::string* reply) -> Task<absl::Status> {
      *reply = "done";
      co_return self.storage().Put("k", "v");
    });
  };
  put();
  node->Settle();
  Delete("a", "k");
  node->Advance(kIdle);
  EXPECT_FALSE(CatalogOf(scripted, "a"));
  auto again = put();
  node->Settle();
  EXPECT_EQ(again->response, "done");
  EXPECT_EQ(Get("a", "k"), std::nullopt) << "it has no second effect";
  EXPECT_FALSE(CatalogOf(scripted, "a"));
}

TEST_P(LeavingTest, ARemainderIsKeptAndDoesNotMakeTheObjectExist) {
  const auto put_remainder = [](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().writes().Put(storage::kRemainderKey, "7");
    co_return co_await Erase(&self, "k");
  };
  for (const bool by_alarm : {false, true}) {
    Start();
    Fill("a");
    if (by_alarm) {
      board().alarm = [&](ScriptedObject& self, const AlarmRun&) { return put_remainder(self); };
    } else {
      EXPECT_TRUE(Ask("a", put_remainder).ok());
    }
    node->Advance(absl::Minutes(1));
    EXPECT_FALSE(CatalogOf(scripted, "a"));
    ExpectFamiliesConsistent();
    ExpectAlarmIndexConsistent(scripted, {"a"});
    EXPECT_EQ(KeysOf(scripted, "a"), (std::map<std::string, std::string>{{storage::kRemainderKey, "7"}}));
    // The remainder is still there when the object comes and goes once more; DeleteAll removes it.
    Put("a", "k", "v");
    Delete("a", "k");
    node->Advance(kIdle);
    EXPECT_EQ(KeysOf(scripted, "a").size(), 1u);
    Start();
    SendDeleteAll(scripted, "a");
    node->Settle();
    ExpectGone("a");
  }
}

TEST_P(LeavingTest, AFullDiskDoesNotKeepIt) {
  Start();
  Put("a", "k", "v");
  Delete("a", "k");
  store.set_disk_full(true);
  node->Advance(kIdle);
  ExpectGone("a");
  store.set_disk_full(false);
}

TEST_P(LeavingTest, ACrashAtAnyStepLeavesItWholeOrGone) {
  bool ended = false;
  int crash_after = 0;
  for (; !ended; ++crash_after) {
    SCOPED_TRACE(absl::StrCat("crash after ", crash_after, " steps"));
    Start();
    Fill("a");
    clock.Advance(absl::Minutes(1));
    for (int step = 0; step < crash_after && !ended; ++step) ended = !node->Step(0);
    Start();
    const auto keys = KeysOf(scripted, "a");
    EXPECT_EQ(CatalogOf(scripted, "a").has_value(), keys.contains(storage::kObjectHeaderKey));
    EXPECT_EQ(keys.empty(), !keys.contains(storage::kObjectHeaderKey));
    // If the object still exists, its alarm comes again.
    node->Advance(absl::Seconds(1));
    ExpectGone("a");
    if (HasFailure()) return;
  }
  EXPECT_GT(crash_after, 2);
}

TEST_P(LeavingTest, ObjectsThatMoveAndComeAndGoLeaveNothingBehind) {
  families_max = GetParam() ? 1 : 0;
  options.idle_timeout = absl::Milliseconds(200);
  for (uint64_t run : simulation::Seeds(40)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    Start();
    for (int i = 0; i < 60; ++i) {
      const std::string name(1, static_cast<char>('a' + dice.Below(3)));
      switch (dice.Below(4)) {
        case 0:
          SendPut(name, "k", std::string(dice.OneIn(4) ? 300'000 : 10, 'v'));
          break;
        case 1:
          Send(name, [](ScriptedObject& self) { return Erase(&self, "k"); });
          break;
        case 2:
          Send(name, [](ScriptedObject& self) -> Task<absl::Status> {
            self.storage().SetAlarm(self.Now() + absl::Milliseconds(100));
            co_return absl::OkStatus();
          });
          break;
        default:
          node->host().PassivateSoon(Key(scripted, name));
      }
      store.set_cold(dice.OneIn(2));
      for (uint64_t steps = dice.Below(8); steps > 0; --steps) {
        if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(50));
      }
      if (dice.OneIn(20)) Start();
    }
    store.set_cold(false);
    node->Settle();
    ExpectFamiliesConsistent();
    for (const std::string name : {"a", "b", "c"}) Delete(name, "k");
    node->Advance(absl::Minutes(1));
    EXPECT_EQ(recording.EntryCount(), 0u);
    ExpectFamiliesConsistent();
    if (HasFailure()) return;
  }
}

TEST_P(LeavingTest, FamiliesOfManyThatLeaveTogetherGoOneByOne) {
  Start();
  for (const char* name : {"a", "b", "c", "d"}) Fill(name);
  const size_t families = recording.ListOwnFamilies().size();
  EXPECT_EQ(families, GetParam() ? 4u : 0u);
  node->Advance(absl::Minutes(1));
  EXPECT_TRUE(recording.Dump()["catalog"].empty());
  EXPECT_EQ(recording.ListOwnFamilies().size(), GetParam() ? 3u : 0u);
  node->Advance(absl::Milliseconds(200));
  EXPECT_EQ(recording.ListOwnFamilies().size(), GetParam() ? 1u : 0u);
  if (!GetParam()) return;
  // A stop does not wait for the last family.
  node->host().Stop();
  node->Settle();
  EXPECT_TRUE(node->host().idle());
  Start();
  EXPECT_EQ(recording.ListOwnFamilies().size(), 0u);
  ExpectFamiliesConsistent();
}

TEST_P(LeavingTest, ListingsHaveTheSizeThatTheAlarmHasLeft) {
  Start();
  Fill("a");
  Put("a", "other", std::string(3'000, 'v'));
  Put("a", "k", std::string(3'000, 'v'));
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(CatalogOf(scripted, "a")->size_bytes(), 3'005);
}

}  // namespace
}  // namespace holdfast::actors
