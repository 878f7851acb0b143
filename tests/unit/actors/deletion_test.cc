// DeleteAll and Cleanup: one commit leaves nothing, and the instance goes with it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

using ::testing::IsEmpty;

// The parameter says whether the object has a family of its own.
class DeletionTest : public ScriptedTest, public ::testing::WithParamInterface<bool> {
 protected:
  DeletionTest() { families_max = GetParam() ? 4 : 0; }

  void Fill(const std::string& name, int keys = 3) {
    EXPECT_TRUE(Ask(name, [keys](ScriptedObject& self) -> Task<absl::Status> {
                  for (int i = 0; i < keys; ++i) (void)self.storage().Put(absl::StrCat("key", i), "v");
                  co_return absl::OkStatus();
                }).ok());
    const auto catalog = CatalogOf(scripted, name);
    ASSERT_TRUE(catalog);
    EXPECT_EQ(catalog->family_generation() != 0, GetParam());
  }
  int CountKeys(const std::string& name) {
    size_t count = 0;
    EXPECT_TRUE(Ask(name, [&](ScriptedObject& self) -> Task<absl::Status> {
                  count = (*co_await self.storage().List({})).size();
                  co_return absl::OkStatus();
                }).ok());
    return static_cast<int>(count);
  }
};

INSTANTIATE_TEST_SUITE_P(Placement, DeletionTest, ::testing::Bool(),
                         [](const auto& own) { return own.param ? "OwnFamily" : "Packed"; });

TEST_P(DeletionTest, DeleteAllLeavesNothingInTheStore) {
  Start();
  Fill("a");
  SetAlarm("a", clock.Now() + absl::Hours(1));
  auto sent = SendDeleteAll(scripted, "a");
  node->Settle();
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(recording.EntryCount(), 0u);
  ExpectFamiliesConsistent();
}

TEST_P(DeletionTest, CleanupLeavesNothingInTheStore) {
  Start();
  Fill("a");
  SetAlarm("a", clock.Now() + absl::Hours(1));
  auto sent = SendCleanup(scripted, "a");
  node->Settle();
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(recording.EntryCount(), 0u);
  ExpectFamiliesConsistent();
}

TEST_P(DeletionTest, ItIsOneCommit) {
  Start();
  Fill("a");
  SetAlarm("a", clock.Now() + absl::Hours(1));
  const int commits = recording.commits;
  SendCleanup(scripted, "a");
  node->Settle();
  EXPECT_EQ(recording.commits, commits + 1);
}

TEST_P(DeletionTest, TheInstanceIsDiscardedAndTheObjectReadsAsNew) {
  Start();
  Fill("a");
  const int instance = Instance("a");
  SendDeleteAll(scripted, "a");
  node->Settle();
  EXPECT_EQ(Get("a", "key0"), std::nullopt);
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  EXPECT_EQ(Instance("a"), instance + 1);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_P(DeletionTest, TheObjectWorksAgainAfterwardsAndAcrossARestart) {
  Start();
  for (int round = 0; round < 3; ++round) {
    Fill("a");
    SetAlarm("a", clock.Now() + absl::Hours(1));
    SendDeleteAll(scripted, "a");
    node->Settle();
    Put("a", "new", absl::StrCat(round));
    Start();
    EXPECT_EQ(Get("a", "new"), absl::StrCat(round));
    EXPECT_EQ(Get("a", "key0"), std::nullopt);
    EXPECT_EQ(AlarmOf("a"), std::nullopt);
    EXPECT_EQ(CountKeys("a"), 1);
    ExpectFamiliesConsistent();
  }
}

TEST_P(DeletionTest, KeepAlarmKeepsTheAlarmAndNothingElse) {
  Start();
  Fill("a");
  const absl::Time alarm = clock.Now() + absl::Minutes(5);
  SetAlarm("a", alarm);
  SendDeleteAll(scripted, "a", /*keep_alarm=*/true);
  node->Settle();
  EXPECT_EQ(CountKeys("a"), 0);
  EXPECT_EQ(AlarmOf("a"), alarm);
  ExpectAlarmIndexConsistent(scripted, {"a"});
  Start();
  EXPECT_EQ(AlarmOf("a"), alarm);
  int fired = 0;
  board().alarm = [&](ScriptedObject&, const AlarmRun& run) -> Task<absl::Status> {
    ++fired;
    EXPECT_EQ(run.scheduled_time, alarm);
    co_return absl::OkStatus();
  };
  node->Advance(absl::Minutes(5));
  EXPECT_EQ(fired, 1);
  ExpectFamiliesConsistent();
}

TEST_P(DeletionTest, KeepAlarmWithoutAnAlarmLeavesNothing) {
  Start();
  Fill("a");
  SendDeleteAll(scripted, "a", /*keep_alarm=*/true);
  node->Settle();
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_P(DeletionTest, AnAlarmThatWasDeletedWithItsObjectDoesNotFire) {
  Start();
  Fill("a");
  SetAlarm("a", clock.Now() + absl::Seconds(5));
  SendDeleteAll(scripted, "a");
  node->Settle();
  board().alarm = [&](ScriptedObject&, const AlarmRun&) -> Task<absl::Status> {
    ScriptedObject::Note("fired");
    co_return absl::OkStatus();
  };
  node->Advance(absl::Minutes(1));
  Start();
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(board().notes, IsEmpty());
}

TEST_P(DeletionTest, AnObjectOfManyKeysGoesToo) {
  Start();
  Fill("a", 3000);
  Put("b", "k", "v");
  auto sent = SendDeleteAll(scripted, "a");
  node->Settle();
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(CountKeys("a"), 0);
  EXPECT_EQ(Get("b", "k"), "v");
  SendDeleteAll(scripted, "b");
  node->Settle();
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_P(DeletionTest, OtherObjectsStay) {
  Start();
  for (const char* name : {"a", "ab", "b"}) Fill(name);
  SendDeleteAll(scripted, "a");
  node->Settle();
  EXPECT_EQ(CountKeys("ab"), 3);
  EXPECT_EQ(CountKeys("b"), 3);
  Start();
  EXPECT_EQ(CountKeys("a"), 0);
  EXPECT_EQ(CountKeys("ab"), 3);
}

TEST_P(DeletionTest, AnObjectThatNeverExistedIsDeletedWithoutATrace) {
  Start();
  auto deletion = SendDeleteAll(scripted, "a");
  auto cleanup = SendCleanup(scripted, "b");
  node->Settle();
  EXPECT_TRUE(deletion->ok() && cleanup->ok());
  EXPECT_EQ(recording.commits, 0);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_P(DeletionTest, RequestsBehindItSeeTheObjectEmptyAlsoBeforeItIsDurable) {
  Start();
  Fill("a");
  auto pending = SendPut("a", "key0", "pending");
  auto deletion = SendDeleteAll(scripted, "a");
  auto reader = SendGet("a", "key0");
  auto writer = SendPut("a", "key1", "after");
  auto second_reader = SendGet("a", "key1");
  node->SettleWithoutCommits();
  EXPECT_EQ(reader->response, std::nullopt);
  EXPECT_EQ(second_reader->response, "after");
  EXPECT_FALSE(pending->done() || deletion->done() || reader->done());
  node->Settle();
  EXPECT_TRUE(deletion->ok() && reader->ok() && writer->ok());
  Start();
  EXPECT_EQ(Get("a", "key0"), std::nullopt);
  EXPECT_EQ(Get("a", "key1"), "after");
  EXPECT_EQ(CountKeys("a"), 1);
}

TEST_P(DeletionTest, WhatIsDeletedBeforeItWasDurableIsGone) {
  Start();
  SendPut("a", "k", "v");
  auto deletion = SendDeleteAll(scripted, "a");
  node->Settle();
  EXPECT_TRUE(deletion->ok());
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  SendDeleteAll(scripted, "a");
  node->Settle();
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_P(DeletionTest, TurnsThatWaitInTheObjectAreTold) {
  Start();
  Fill("a");
  auto waiting = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(5));
    co_return self.storage().Put("written", "back");
  });
  SendDeleteAll(scripted, "a");
  node->Settle();
  ASSERT_TRUE(waiting->done());
  EXPECT_THAT(*waiting->status, IsReset());
  node->Advance(absl::Seconds(10));
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_P(DeletionTest, WhatATurnWritesAfterDeleteAllIsKept) {
  Start();
  Fill("a");
  EXPECT_TRUE(Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
                (void)co_await self.storage().DeleteAll(false);
                self.storage().SetAlarm(self.Now() + absl::Hours(1));
                co_return self.storage().Put("new", "v");
              }).ok());
  EXPECT_EQ(Get("a", "new"), "v");
  EXPECT_EQ(CountKeys("a"), 1);
  Start();
  EXPECT_EQ(Get("a", "new"), "v");
  EXPECT_TRUE(AlarmOf("a"));
  EXPECT_TRUE(HeaderOf(scripted, "a")) << "an object that is written exists";
  EXPECT_TRUE(CatalogOf(scripted, "a"));
}

TEST_P(DeletionTest, WhatATurnOfANewObjectWritesAfterDeleteAllIsKept) {
  Start();
  EXPECT_TRUE(Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
                (void)co_await self.storage().DeleteAll(false);
                co_return self.storage().Put("new", "v");
              }).ok());
  EXPECT_EQ(Get("a", "new"), "v");
}

TEST_P(DeletionTest, ItIsWholeOrAbsentWhateverStepACrashComesAt) {
  bool seen_before = false;
  bool seen_after = false;
  for (int crash_after = 0; crash_after < 20; ++crash_after) {
    SCOPED_TRACE(absl::StrCat("crash after ", crash_after, " steps"));
    Crash();
    store.set_cold(false);
    const std::string name = absl::StrCat("object", crash_after);
    Start();
    Fill(name, 5);
    SetAlarm(name, clock.Now() + absl::Hours(1));
    store.set_cold(true);
    auto deletion = SendDeleteAll(scripted, name);
    for (int step = 0; step < crash_after; ++step) node->Step(0);
    const bool deleted = deletion->ok();
    store.set_cold(false);
    Start();
    const int keys = CountKeys(name);
    EXPECT_EQ(AlarmOf(name).has_value(), keys != 0);
    EXPECT_EQ(CatalogOf(scripted, name).has_value(), keys != 0);
    EXPECT_TRUE(keys == 0 || keys == 5) << keys;
    if (deleted) EXPECT_EQ(keys, 0);
    (keys == 0 ? seen_after : seen_before) = true;
    ExpectFamiliesConsistent();
    SendDeleteAll(scripted, name);
    node->Settle();
    EXPECT_EQ(recording.EntryCount(), 0u);
  }
  EXPECT_TRUE(seen_before && seen_after);
}

// --- DeleteAll during a move into a family

class DeletionAndMoveTest : public ScriptedTest {};

TEST_F(DeletionAndMoveTest, AnObjectThatWasJustMovedIsDeletedWithWhatItLeftBehind) {
  Start();
  Put("a", "k", "old");
  families_max = 1;
  Start();
  SendPut("a", "l", "v");
  node->SettleWithoutCommits();
  ASSERT_FALSE(Find("a")->packed()) << "moved, and the move is not durable";
  auto deletion = SendDeleteAll(scripted, "a");
  auto reader = SendGet("a", "k");
  node->SettleWithoutCommits();
  EXPECT_EQ(reader->response, std::nullopt) << "what was deleted is back";
  node->Settle();
  EXPECT_TRUE(deletion->ok() && reader->ok());
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_EQ(recording.EntryCount(), 0u);
  ExpectFamiliesConsistent();
}

TEST_F(DeletionAndMoveTest, WhatIsWrittenAfterDeletingAnObjectThatWasJustMovedBeginsAnew) {
  Start();
  for (int i = 0; i < 5; ++i) SendIncrement("a");
  node->Settle();
  families_max = 1;
  Start();
  SendPut("a", "l", "v");
  node->SettleWithoutCommits();
  ASSERT_FALSE(Find("a")->packed());
  node->executor().EndRound();
  SendDeleteAll(scripted, "a");
  auto number = SendIncrement("a");
  node->Settle();
  EXPECT_EQ(number->response, 1) << "counted on from what was deleted";
  EXPECT_EQ(Get("a", "n"), "1");
  Start();
  EXPECT_EQ(Get("a", "n"), "1");
  EXPECT_EQ(Get("a", "l"), std::nullopt);
  ExpectFamiliesConsistent();
}

TEST_F(DeletionAndMoveTest, ADeletionWhileAFamilyIsBeingMadeLeavesNoFamily) {
  families_max = 1;
  Start();
  SendPut("a", "k", "v");
  node->executor().EndRound();
  node->commits().RunOne();
  ASSERT_EQ(node->family_changes().waiting(), 1u);
  auto deletion = SendDeleteAll(scripted, "a");
  node->Settle();
  EXPECT_TRUE(deletion->ok());
  EXPECT_EQ(recording.EntryCount(), 0u);
  ExpectFamiliesConsistent();
  EXPECT_TRUE(node->families().has_room());
}

TEST_F(DeletionAndMoveTest, AReadThatWasGivenUpMayRunAfterItsFamilyIsGone) {
  families_max = 1;
  Start();
  Put("a", "k", "v");
  store.set_cold(true);
  // The disk does not answer this read in time.
  auto reader = Send(
      "a", [](ScriptedObject& self) -> Task<absl::Status> { co_return (co_await self.storage().List({})).status(); });
  ASSERT_EQ(node->reads().waiting(), 1u);
  clock.Advance(options.turn_timeout);
  node->executor().RunUntilIdle();
  ASSERT_TRUE(reader->done());
  // Meanwhile another thread reads, and the object is deleted.
  store.set_cold(false);
  auto deletion = SendDeleteAll(scripted, "a");
  while (node->reads().waiting() > 1) {
    node->reads().Overtake();
    node->reads().RunOne();
  }
  node->executor().EndRound();
  node->commits().RunOne();
  node->family_changes().RunOne();
  EXPECT_TRUE(deletion->ok());
  EXPECT_EQ(recording.ListOwnFamilies().size(), 0u);
  ASSERT_EQ(node->reads().waiting(), 1u);
  node->Settle();
  EXPECT_EQ(Get("a", "k"), std::nullopt);
}

TEST_F(DeletionAndMoveTest, RandomWritesMovesAndDeletionsAgreeWithAModel) {
  for (uint64_t run : simulation::Seeds(40)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const std::string names[] = {absl::StrCat("a", run), absl::StrCat("b", run), absl::StrCat("c", run)};
    families_max = static_cast<int>(dice.Between(0, 3));
    options.idle_timeout = absl::Milliseconds(200);
    Start();
    std::map<std::string, std::optional<std::string>> model;
    std::vector<std::pair<std::shared_ptr<Sent<std::optional<std::string>>>, std::optional<std::string>>> reads;
    for (int i = 0; i < 200; ++i) {
      const std::string& name = names[dice.Below(3)];
      switch (dice.Below(5)) {
        case 0:
        case 1:
          SendPut(name, "k", absl::StrCat(i));
          model[name] = absl::StrCat(i);
          break;
        case 2:
          SendDeleteAll(scripted, name);
          model[name] = std::nullopt;
          break;
        default:
          reads.emplace_back(SendGet(name, "k"), model[name]);
      }
      if (dice.OneIn(10)) store.set_cold(dice.OneIn(2));
      for (uint64_t steps = dice.Below(4); steps > 0; --steps) {
        if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(50));
      }
      if (dice.OneIn(50)) node->Settle();
    }
    node->Settle();
    for (const auto& [read, expected] : reads) {
      ASSERT_TRUE(read->ok());
      EXPECT_EQ(read->response, expected);
    }
    ExpectFamiliesConsistent();
    Start();
    for (const std::string& name : names) EXPECT_EQ(Get(name, "k"), model[name]);
    ExpectFamiliesConsistent();
    store.set_cold(false);
    for (const std::string& name : names) SendDeleteAll(scripted, name);
    node->Settle();
    EXPECT_EQ(recording.EntryCount(), 0u);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace holdfast::actors
