// Places of objects: they get families of their own up to a bound, and a move loses nothing at any step.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

class FamiliesTest : public ScriptedTest {
 protected:
  bool HasOwnFamily(const std::string& name) {
    const auto catalog = CatalogOf(scripted, name);
    return catalog && catalog->family_generation() != 0;
  }
  // The object "a" is to get a family for its write, and becomes idle before it is there.
  void WriteAndBecomeIdleBeforeTheMove() {
    families_max = 1;
    Start();
    SendPut("a", "k", "v");
    node->executor().EndRound();
    node->commits().RunOne();
    clock.Advance(absl::Seconds(20));
    node->executor().RunUntilIdle();
  }
};

TEST_F(FamiliesTest, AnObjectThatWritesGetsAFamilyOfItsOwnWithAllThatItHas) {
  families_max = 1;
  Start();
  SetAlarm("a", clock.Now() + absl::Hours(1));
  Put("a", "k", "v");
  EXPECT_TRUE(HasOwnFamily("a"));
  EXPECT_FALSE(Find("a")->packed());
  EXPECT_TRUE(recording.Dump()["packed"].empty());
  EXPECT_EQ(Get("a", "k"), "v");
  EXPECT_TRUE(AlarmOf("a"));
  EXPECT_EQ(recording.ListOwnFamilies().size(), 1u);
  ExpectFamiliesConsistent();
  ExpectAlarmIndexConsistent(scripted, {"a"});
}

TEST_F(FamiliesTest, AnObjectThatIsOnlyReadGetsNone) {
  families_max = 1;
  Start();
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_EQ(recording.ListOwnFamilies().size(), 0u);
  EXPECT_TRUE(node->families().has_room());
}

TEST_F(FamiliesTest, WritesAndReadsGoOnInTheFamily) {
  families_max = 1;
  Start();
  Put("a", "k", "1");
  Put("a", "k", "2");
  Put("a", "l", "3");
  EXPECT_EQ(Get("a", "k"), "2");
  Start();
  EXPECT_TRUE(node->families().Find(Key(scripted, "a")));
  EXPECT_EQ(Get("a", "k"), "2");
  EXPECT_EQ(Get("a", "l"), "3");
  Put("a", "k", "4");
  Start();
  EXPECT_EQ(Get("a", "k"), "4");
}

TEST_F(FamiliesTest, TheReplyDoesNotWaitForTheFamily) {
  families_max = 1;
  Start();
  auto sent = SendPut("a", "k", "v");
  node->executor().EndRound();
  node->commits().RunOne();
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(node->family_changes().waiting(), 1u);
}

TEST_F(FamiliesTest, BeyondTheBoundObjectsArePacked) {
  families_max = 2;
  Start();
  for (int i = 0; i < 5; ++i) Put(absl::StrCat("object", i), "k", absl::StrCat(i));
  EXPECT_EQ(recording.ListOwnFamilies().size(), 2u);
  EXPECT_FALSE(node->families().has_room());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Get(absl::StrCat("object", i), "k"), absl::StrCat(i));
  ExpectFamiliesConsistent();
}

TEST_F(FamiliesTest, TheBoundHoldsForManyObjectsAndAcrossRestarts) {
  constexpr int kObjects = 600;
  families_max = 64;
  Start();
  for (int i = 0; i < kObjects; ++i) {
    SendPut(absl::StrCat("object", i), "k", absl::StrCat(i));
    EXPECT_LE(node->families().count(), families_max);
  }
  node->Settle();
  EXPECT_EQ(recording.ListOwnFamilies().size(), 64u);
  // The same test with fewer families allowed than exist, then with more.
  for (int bound : {64, 10, 100}) {
    families_max = bound;
    Start();
    for (int i = 0; i < kObjects; ++i) {
      ASSERT_EQ(Get(absl::StrCat("object", i), "k"), absl::StrCat(i));
      SendPut(absl::StrCat("object", i), "k", absl::StrCat(i));
    }
    node->Settle();
    EXPECT_EQ(recording.ListOwnFamilies().size(), static_cast<size_t>(std::max(64, bound)));
    ExpectFamiliesConsistent();
  }
}

TEST_F(FamiliesTest, ADeletedObjectGivesItsRoomBack) {
  families_max = 1;
  Start();
  for (int i = 0; i < 3; ++i) {
    const std::string name = absl::StrCat("object", i);
    Put(name, "k", "v");
    EXPECT_TRUE(HasOwnFamily(name));
    SendDeleteAll(scripted, name);
    node->Settle();
    EXPECT_EQ(node->families().count(), 0);
  }
}

TEST_F(FamiliesTest, DeletingAFamilyRemovesNothingFromTheOneThatOthersShare) {
  families_max = 1;
  Start();
  Put("a", "k", "v");
  ASSERT_TRUE(HasOwnFamily("a"));
  const size_t packed = recording.points[storage::FamilyId::kPacked];
  SendDeleteAll(scripted, "a");
  node->Settle();
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_EQ(recording.points[storage::FamilyId::kPacked], packed);
}

TEST_F(FamiliesTest, WhatIsTooLargeForOneTurnMovesInSteps) {
  families_max = 0;
  Start();
  for (int i = 0; i < 8; ++i) Put("large", absl::StrCat(i), std::string(500'000, 'x'));
  families_max = 1;
  Start();
  const int commits = recording.commits;
  Put("large", "k", "v");
  EXPECT_GE(recording.commits - commits, 4) << "the put, and steps of a megabyte";
  EXPECT_TRUE(HasOwnFamily("large"));
  EXPECT_EQ(node->families().count(), 1);
  EXPECT_EQ(KeysOf(scripted, "large").size(), 10u) << "nine keys and the header, at one place";
  EXPECT_EQ(Get("large", "0")->size(), 500'000u);
  EXPECT_EQ(Get("large", "k"), "v");
}

TEST_F(FamiliesTest, WhereNoFamilyCanBeMadeTheObjectStaysPackedAndWorks) {
  families_max = 1;
  store.set_create_error(absl::InternalError("no more files"));
  Start();
  Put("a", "k", "v");
  EXPECT_FALSE(HasOwnFamily("a"));
  EXPECT_EQ(node->families().count(), 0);
  EXPECT_EQ(Get("a", "k"), "v");
  Put("a", "k", "w");
  EXPECT_EQ(Get("a", "k"), "w");
  store.set_create_error(absl::OkStatus());
  Put("b", "k", "v");
  EXPECT_TRUE(HasOwnFamily("b"));
}

TEST_F(FamiliesTest, AnObjectThatCouldNotGetAFamilyLeavesMemoryAsOthersDo) {
  store.set_create_error(absl::InternalError("no more files"));
  WriteAndBecomeIdleBeforeTheMove();
  ASSERT_NE(Find("a"), nullptr);
  node->Settle();
  EXPECT_EQ(Find("a"), nullptr);
}

TEST_F(FamiliesTest, AMoveWaitsForTheTurnInProgress) {
  families_max = 1;
  Start();
  auto busy = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("first", "1");
    co_await self.NextTurn();
    (void)self.storage().Put("second", "2");
    co_await self.Wait(absl::Seconds(5));
    co_return self.storage().Put("third", "3");
  });
  node->Settle();
  EXPECT_FALSE(HasOwnFamily("a"));
  node->Advance(absl::Seconds(5));
  EXPECT_TRUE(busy->ok());
  EXPECT_TRUE(HasOwnFamily("a"));
  for (const char* key : {"first", "second", "third"}) EXPECT_NE(Get("a", key), std::nullopt) << key;
}

TEST_F(FamiliesTest, TurnsThatWaitGoOnAfterAMove) {
  families_max = 1;
  Start();
  auto waiting = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(5));
    const std::string before = (*co_await self.storage().Get("k")).value_or("lost");
    co_return self.storage().Put("after", before);
  });
  Put("a", "k", "v");
  EXPECT_TRUE(HasOwnFamily("a"));
  node->Advance(absl::Seconds(5));
  EXPECT_TRUE(waiting->ok());
  EXPECT_EQ(Get("a", "after"), "v");
  Start();
  EXPECT_EQ(Get("a", "after"), "v");
}

TEST_F(FamiliesTest, AnObjectThatBecameIdleMeanwhileIsStillMoved) {
  WriteAndBecomeIdleBeforeTheMove();
  EXPECT_EQ(node->host().activation_count(), 0u);
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("a"));
  EXPECT_EQ(Get("a", "k"), "v");
  ExpectFamiliesConsistent();
}

TEST_F(FamiliesTest, AnObjectThatCannotBeLoadedIsNotMovedAndItsFamilyIsDropped) {
  WriteAndBecomeIdleBeforeTheMove();
  board().load = [](ScriptedObject&) -> Task<absl::Status> { co_return absl::InternalError("fails"); };
  node->Settle();
  EXPECT_FALSE(HasOwnFamily("a"));
  ExpectFamiliesConsistent();
  board().load = nullptr;
  EXPECT_EQ(Get("a", "k"), "v");
}

TEST_F(FamiliesTest, ItsAlarmFiresAfterAMove) {
  families_max = 1;
  int fired = 0;
  board().alarm = [&](ScriptedObject&, const AlarmRun&) -> Task<absl::Status> {
    ++fired;
    co_return absl::OkStatus();
  };
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(5));
  ASSERT_TRUE(HasOwnFamily("a"));
  node->Advance(absl::Seconds(5));
  EXPECT_EQ(fired, 1);
  ExpectAlarmIndexConsistent(scripted, {"a"});
}

TEST_F(FamiliesTest, AMoveUnderLoadLosesNothingInAnyOrderOfTheSteps) {
  for (uint64_t run : simulation::Seeds(60)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const std::string names[] = {absl::StrCat("a", run), absl::StrCat("b", run)};
    // Some objects have durable data, and others are new.
    families_max = 0;
    Start();
    std::map<std::string, int> numbers;
    if (dice.OneIn(2)) {
      for (const std::string& name : names) {
        SendIncrement(name);
        ++numbers[name];
      }
      node->Settle();
    }
    families_max = 1000;
    Start();
    store.set_cold(dice.OneIn(2));
    std::vector<std::pair<std::shared_ptr<Sent<int>>, int>> sent;
    for (int i = 0; i < 40; ++i) {
      const std::string& name = names[dice.Below(2)];
      sent.emplace_back(SendIncrement(name), ++numbers[name]);
      for (uint64_t steps = dice.Below(4); steps > 0; --steps) node->Step(dice.Below(1000));
    }
    node->Settle();
    for (const auto& [outcome, number] : sent) {
      ASSERT_TRUE(outcome->ok());
      ASSERT_EQ(outcome->response, number);
    }
    store.set_cold(false);
    for (const std::string& name : names) EXPECT_TRUE(HasOwnFamily(name));
    ExpectFamiliesConsistent();
    Start();
    for (const std::string& name : names) EXPECT_EQ(Get(name, "n"), absl::StrCat(numbers[name]));
  }
}

TEST_F(FamiliesTest, ACrashAtAnyStepOfAMoveLosesNothingAndLeavesNoFamilyOver) {
  for (uint64_t run : simulation::Seeds(60)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const std::string name = absl::StrCat("object", run);
    families_max = 200;
    Start();
    int least = 0;
    int most = 0;
    bool deleted = false;
    for (int life = 0; life < 6; ++life) {
      store.set_cold(dice.OneIn(2));
      std::vector<std::shared_ptr<Sent<int>>> sent;
      for (uint64_t i = dice.Between(1, 5); i > 0; --i) {
        sent.push_back(SendIncrement(name));
        ++most;
        for (uint64_t steps = dice.Below(6); steps > 0; --steps) node->Step(dice.Below(1000));
      }
      for (const auto& outcome : sent) {
        if (outcome->ok()) least = std::max(least, outcome->response);
      }
      store.set_cold(false);
      Start();
      ExpectFamiliesConsistent();
      const int number = std::stoi(Get(name, "n").value_or("0"));
      EXPECT_GE(number, least);
      EXPECT_LE(number, most);
      least = most = number;
      // Some objects are deleted and begin anew, so that there is something to move again.
      deleted = dice.OneIn(2);
      if (deleted) {
        auto deletion = SendDeleteAll(scripted, name);
        for (uint64_t steps = dice.Below(8); steps > 0; --steps) node->Step(dice.Below(1000));
        const bool sure = deletion->ok();
        Start();
        ExpectFamiliesConsistent();
        const int left = std::stoi(Get(name, "n").value_or("0"));
        EXPECT_TRUE(left == 0 || (!sure && left == number)) << left;
        least = most = left;
      }
    }
    if (HasFailure()) return;
  }
}

TEST_F(FamiliesTest, RecoveryDropsWhatACrashLeftOver) {
  families_max = 1;
  Start();
  SendPut("a", "k", "v");
  node->executor().EndRound();
  node->commits().RunOne();
  // The family is made, and the crash comes before the move.
  ASSERT_TRUE(node->family_changes().RunWork());
  EXPECT_EQ(recording.ListOwnFamilies().size(), 1u);
  Start();
  EXPECT_EQ(recording.ListOwnFamilies().size(), 0u);
  EXPECT_EQ(node->families().count(), 0);
  EXPECT_EQ(Get("a", "k"), "v");
  // The object moves again, into a family with a new generation.
  Put("a", "k", "w");
  EXPECT_TRUE(HasOwnFamily("a"));
  EXPECT_EQ(Get("a", "k"), "w");
}

TEST_F(FamiliesTest, AFamilyOfADeletedObjectThatACrashLeftOverIsDropped) {
  families_max = 1;
  Start();
  Put("a", "k", "v");
  SendDeleteAll(scripted, "a");
  node->executor().EndRound();
  node->commits().RunOne();
  ASSERT_EQ(node->family_changes().waiting(), 1u);
  EXPECT_EQ(recording.ListOwnFamilies().size(), 1u);
  Start();
  EXPECT_EQ(recording.ListOwnFamilies().size(), 0u);
  EXPECT_EQ(Get("a", "k"), std::nullopt);
}

// Nobody knows whether the family belongs to the object or was left over by a crash.
TEST_F(FamiliesTest, AnObjectWhoseCatalogRecordIsDamagedIsDataLossAndKeepsAllThatItHas) {
  families_max = 2;
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(5));
  Put("a", "k", "v");
  Put("b", "k", "w");
  Put("c", "k", "x");
  ASSERT_TRUE(HasOwnFamily("a"));
  ASSERT_TRUE(HasOwnFamily("b"));
  const auto before = KeysOf(scripted, "a");
  const std::string record = recording.Dump()["catalog"].at(Key(scripted, "a").encoded());
  Crash();
  const auto set_record = [&](const std::string& bytes) {
    const storage::Location catalog{storage::FamilyId::kCatalog, ""};
    storage::WriteSet writes;
    writes.Put(Key(scripted, "a").encoded(), bytes);
    const storage::KeyspaceWrites commit{&catalog, &writes};
    ASSERT_TRUE(store.CommitSync({&commit, 1}).ok());
  };
  set_record("\xff garbled");
  board().alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    self.Note("alarm");
    co_return absl::OkStatus();
  };
  Start();
  const auto expect_data_loss = [&](const std::shared_ptr<Outcome>& sent) {
    node->Settle();
    ASSERT_TRUE(sent->done());
    EXPECT_THAT(*sent->status, Fails(absl::StatusCode::kDataLoss, v1::ERROR_REASON_DATA_CORRUPT));
  };
  expect_data_loss(SendPut("a", "k", "new"));
  expect_data_loss(SendDeleteAll(scripted, "a"));
  EXPECT_EQ(Get("b", "k"), "w");
  Put("b", "k", "y");
  EXPECT_EQ(Get("c", "k"), "x");
  // The object's alarm is read once, and stays.
  const int gets = recording.gets[storage::FamilyId::kPacked];
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(recording.gets[storage::FamilyId::kPacked], gets);
  EXPECT_EQ(recording.Dump()["alarms"].size(), 1u);
  EXPECT_THAT(board().notes, ::testing::IsEmpty());
  Crash();
  set_record(record);
  EXPECT_EQ(KeysOf(scripted, "a"), before);
  Start();
  EXPECT_EQ(Get("a", "k"), "v");
  EXPECT_EQ(Get("b", "k"), "y");
  node->Advance(absl::Seconds(10));
  EXPECT_THAT(board().notes, ::testing::ElementsAre("alarm"));
}

}  // namespace
}  // namespace holdfast::actors
