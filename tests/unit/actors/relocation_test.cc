// Large objects move into a family of their own step by step, while requests go on; no crash loses anything.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/object/object_storage.h"
#include "storage/store/patch.h"
#include "tests/unit/actors/relocation_fixture.h"

namespace holdfast::actors {
namespace {

class LargeMoveTest : public RelocationTest {
 protected:
  // Makes a packed object of 2.5 MB, and the write that makes it move.
  void BeginMove(Tracked* object) {
    families_max = 0;
    Start();
    Fill(object, 10);
    families_max = 1;
    Start();
    object->Put("small", 's', 10);
  }
  // Runs until `parts` parts are copied and durable.
  void StepTo(int parts) {
    const int commits = recording.commits + 1;  // the first commit is that of the write
    while (recording.commits < commits + parts && node->Step(0)) {
    }
    ASSERT_EQ(recording.commits, commits + parts);
    while (node->commits().ended() > 0) node->Step(0);
  }
};

TEST_F(LargeMoveTest, WhatIsWrittenInTheMiddleArrivesBeforeAndBehindTheCopiedPart) {
  Tracked object(this, "large");
  BeginMove(&object);
  StepTo(1);
  EXPECT_TRUE(Find("large")->packed());
  object.Put("00", 'b');      // copied, and written again
  object.Put("01", 'c', 10);  // a new key before the copied ones
  object.Delete("02");        // copied, and deleted
  object.Put("12", 'd');      // not copied yet
  object.Put("11", 'e', 10);
  object.Delete("10");
  object.Put("0a", 'x', 10);
  object.Delete("0a");
  object.Put("zz", 'f', 10);  // a key behind all others
  object.SetAlarm(clock.Now() + absl::Hours(1));
  object.Read();
  StepTo(0);
  object.Put("01", 'g', 20);
  object.Delete("zz");
  object.Read();
  node->Settle();
  EXPECT_FALSE(Find("large")->packed());
  object.CheckAll();
  EXPECT_TRUE(recording.Dump()["packed"].empty());
  ExpectFamiliesConsistent();
  ExpectAlarmIndexConsistent(scripted, {"large"});
  Start();
  object.CheckAll();
  ExpectFamiliesConsistent();
}

// A patch would find no base in the new place.
TEST_F(LargeMoveTest, AChangeOfWhatIsNotCopiedYetIsWrittenInFull) {
  Tracked object(this, "large");
  BeginMove(&object);
  StepTo(1);
  const std::string key = storage::EntryKey("small");  // the object's last key
  const std::string old(10, 's');
  std::string value = old;
  value[1] = 'b';
  auto sent = Send("large", [&](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().writes().PutChanged(key, value, *storage::MakePatch(old, value));
    co_return absl::OkStatus();
  });
  while (!sent->ok() && node->Step(0)) {
  }
  ASSERT_TRUE(sent->ok());
  ASSERT_FALSE(HasOwnFamily("large")) << "it is still moving";
  ASSERT_EQ(store.ListOwnFamilies().size(), 1u);
  auto moved = recording.DumpFamily(store.ListOwnFamilies()[0].id);
  ASSERT_TRUE(moved.contains(key));
  EXPECT_TRUE(moved[key] == value);
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("large"));
  EXPECT_TRUE(Get("large", "small") == value);
}

TEST_F(LargeMoveTest, NoStepIsLargeAndRequestsRunBetweenThem) {
  Tracked object(this, "large");
  BeginMove(&object);
  StepTo(1);
  auto other = SendGet("large", "small");
  StepTo(0);
  EXPECT_TRUE(other->ok());
  EXPECT_FALSE(HasOwnFamily("large")) << "it is still moving";
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("large"));
}

TEST_F(LargeMoveTest, DeletingItInTheMiddleEndsTheMove) {
  for (bool keep_alarm : {false, true}) {
    for (int parts = 0; parts <= 2; ++parts) {
      SCOPED_TRACE(absl::StrCat(parts, " parts, keep_alarm ", keep_alarm));
      Wipe();
      Tracked object(this, "large");
      BeginMove(&object);
      object.SetAlarm(clock.Now() + absl::Hours(1));
      StepTo(parts);
      object.Read();
      object.DeleteAll(keep_alarm);
      object.Read();
      object.Put("00", 'n', 10);
      object.Put("zz", 'n', 10);
      node->Settle();
      object.CheckAll();
      ExpectFamiliesConsistent();
      ExpectAlarmIndexConsistent(scripted, {"large"});
      Start();
      object.CheckAll();
      object.Put("01", 'n', 10);
      node->Settle();
      EXPECT_TRUE(HasOwnFamily("large")) << "the room was not given back";
      object.CheckAll();
      object.DeleteAll();
      node->Settle();
      EXPECT_EQ(recording.EntryCount(), 0u);
    }
  }
}

TEST_F(LargeMoveTest, AResetInTheMiddleDoesNotStopIt) {
  Tracked object(this, "large");
  BeginMove(&object);
  for (int parts = 0; parts < 2; ++parts) {
    StepTo(parts == 0 ? 1 : 0);
    object.Fail();
    object.Read();
    node->host().PassivateSoon(Key(scripted, "large"));
  }
  node->Settle();
  object.CheckAll();
  EXPECT_EQ(recording.ListOwnFamilies().size(), static_cast<size_t>(HasOwnFamily("large")));
  ExpectFamiliesConsistent();
  Start();
  object.CheckAll();
}

TEST_F(LargeMoveTest, ItGoesOnWhileTheObjectIsIdle) {
  Tracked object(this, "large");
  BeginMove(&object);
  StepTo(1);
  clock.Advance(absl::Minutes(1));
  node->executor().RunUntilIdle();
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("large"));
  node->Advance(absl::Seconds(15));
  EXPECT_EQ(Find("large"), nullptr) << "stays in memory";
  object.CheckAll();
}

TEST_F(LargeMoveTest, ATurnThatWaitsGoesOnInTheFamily) {
  Tracked object(this, "large");
  BeginMove(&object);
  StepTo(1);
  auto waiting = Send("large", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("first", "1");
    co_await self.NextTurn();
    co_await self.Wait(absl::Seconds(5));
    const auto first = co_await self.storage().Get("first");
    co_return self.storage().Put("second", (*first).value_or("lost"));
  });
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("large"));
  node->Advance(absl::Seconds(5));
  EXPECT_TRUE(waiting->ok());
  EXPECT_EQ(Get("large", "second"), "1");
}

TEST_F(LargeMoveTest, AStopInTheMiddleEndsItAndTheObjectStaysWhole) {
  for (int parts = 0; parts <= 2; ++parts) {
    SCOPED_TRACE(parts);
    Wipe();
    Tracked object(this, "large");
    BeginMove(&object);
    StepTo(parts);
    object.Put("01", 'n', 10);
    node->host().Stop();
    node->Settle();
    EXPECT_TRUE(node->host().idle());
    ExpectFamiliesConsistent();
    object.CheckAll();
    Start();
    ExpectFamiliesConsistent();
    object.CheckAll();
  }
}

TEST_F(LargeMoveTest, ACrashAtAnyStepLosesNothingAndLeavesNoFamilyOver) {
  bool ended = false;
  int crash_after = 0;
  for (; !ended; ++crash_after) {
    SCOPED_TRACE(absl::StrCat("crash after ", crash_after, " steps"));
    Wipe();
    Tracked object(this, "large");
    BeginMove(&object);
    const std::vector<std::function<void()>> script = {
        [&] { object.Put("01", 'b', 10); },
        [&] { object.Delete("02"); },
        [&] { object.Read(); },
        [&] { object.SetAlarm(clock.Now() + absl::Hours(1)); },
        [&] { object.Put("12", 'c'); },
        [&] { object.Put("00", 'd'); },
        [&] { object.SetAlarm(std::nullopt); },
        [&] { object.Delete("11"); },
        [&] { object.Put("zz", 'e', 10); },
    };
    size_t next = 0;
    for (int step = 0; step < crash_after && !ended; ++step) {
      ended = !node->Step(0);
      if (step % 3 == 2 && next < script.size()) {
        script[next++]();
        ended = false;
      }
    }
    if (ended) EXPECT_TRUE(HasOwnFamily("large"));
    Start();
    ExpectFamiliesConsistent();
    object.CheckAfterCrash();
    ExpectAlarmIndexConsistent(scripted, {"large"});
    // The object continues from there.
    object.Put("13", 'z', 10);
    node->Settle();
    object.CheckAll();
    EXPECT_TRUE(HasOwnFamily("large"));
    ExpectFamiliesConsistent();
    if (HasFailure()) return;
  }
  EXPECT_GT(crash_after, 15);
}

TEST_F(LargeMoveTest, RandomWorkMovesAndCrashesAgreeWithAModel) {
  for (uint64_t run : simulation::Seeds(15)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    Wipe();
    Tracked objects[] = {{this, "a"}, {this, "b"}, {this, "c"}};
    families_max = 0;
    Start();
    Fill(&objects[0], 6);
    Fill(&objects[1], 5);
    options.idle_timeout = absl::Milliseconds(200);
    for (int life = 0; life < 4; ++life) {
      families_max = static_cast<int>(dice.Between(0, 2));
      Start();
      ExpectFamiliesConsistent();
      for (Tracked& object : objects) object.CheckAfterCrash();
      for (int i = 0; i < 15; ++i) {
        Tracked& object = objects[dice.Below(3)];
        const std::string key = absl::StrCat(absl::Hex(dice.Below(12), absl::kZeroPad2));
        switch (dice.Below(8)) {
          case 0:
            object.Delete(key);
            break;
          case 1:
            object.SetAlarm(dice.OneIn(2) ? std::optional(clock.Now() + absl::Hours(dice.Between(1, 3)))
                                          : std::nullopt);
            break;
          case 2:
            if (dice.OneIn(2)) object.DeleteAll(dice.OneIn(2));
            break;
          case 3:
            object.Read();
            break;
          case 4:
            object.Fail();
            break;
          default:
            object.Put(key, static_cast<char>('a' + dice.Below(26)), dice.OneIn(4) ? kValueBytes : 20);
        }
        store.set_cold(dice.OneIn(2));
        for (uint64_t steps = dice.Below(10); steps > 0; --steps) {
          if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(50));
        }
      }
      if (dice.OneIn(2)) {
        node->Settle();
        for (Tracked& object : objects) object.CheckAll();
        ExpectFamiliesConsistent();
      }
      store.set_cold(false);
      if (HasFailure()) return;
    }
    ExpectAlarmIndexConsistent(scripted, {"a", "b", "c"});
  }
}

}  // namespace
}  // namespace holdfast::actors
