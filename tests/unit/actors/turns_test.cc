// One turn at a time: when the input gate lets a request in, the effect of a turn's waits, and the early ends of turns.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TurnsTest : public ScriptedTest {
 protected:
  // Notes "NAME begins" and "NAME ends", with a wait in between if one is given.
  std::shared_ptr<Outcome> SendNoting(const std::string& object, const std::string& name,
                                      absl::Duration wait = absl::ZeroDuration(), bool write_first = false) {
    return Send(object, [=](ScriptedObject& self) -> Task<absl::Status> {
      ScriptedObject::Note(name + " begins");
      absl::Status status;
      if (write_first) status = self.storage().Put(name, "written");
      if (wait > absl::ZeroDuration()) co_await self.Wait(wait);
      ScriptedObject::Note(name + " ends");
      co_return status;
    });
  }
};

TEST_F(TurnsTest, TurnsRunInTheOrderInWhichTheRequestsCame) {
  Start();
  for (int i = 0; i < 5; ++i) SendNoting("a", absl::StrCat(i));
  node->Settle();
  EXPECT_THAT(board().notes, ElementsAre("0 begins", "0 ends", "1 begins", "1 ends", "2 begins", "2 ends", "3 begins",
                                         "3 ends", "4 begins", "4 ends"));
}

TEST_F(TurnsTest, NoOtherTurnRunsWhileOneAwaitsItsStorage) {
  Start();
  Put("a", "n", "0");
  store.set_cold(true);
  const auto read_and_note = [](std::string name) {
    return [name](ScriptedObject& self) -> Task<absl::Status> {
      ScriptedObject::Note(name + " begins");
      (void)co_await self.storage().Get("n");
      (void)co_await self.storage().List({});
      ScriptedObject::Note(name + " ends");
      co_return absl::OkStatus();
    };
  };
  auto first = Send("a", read_and_note("first"));
  auto second = Send("a", read_and_note("second"));
  EXPECT_THAT(board().notes, ElementsAre("first begins"));
  EXPECT_FALSE(second->begun);
  node->Settle();
  EXPECT_THAT(board().notes, ElementsAre("first begins", "first ends", "second begins", "second ends"));
}

TEST_F(TurnsTest, OfManyReadModifyWritesNoneIsLostWhateverTheOrderOfTheSteps) {
  for (uint64_t run : simulation::Seeds(20)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const std::string name = absl::StrCat("counter", run);
    Start();
    store.set_cold(true);
    std::vector<std::shared_ptr<Sent<int>>> sent;
    for (int i = 0; i < 100; ++i) {
      sent.push_back(SendIncrement(name));
      for (uint64_t steps = dice.Below(4); steps > 0; --steps) node->Step(dice.Below(1000));
    }
    node->Settle();
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(sent[static_cast<size_t>(i)]->ok());
      ASSERT_EQ(sent[static_cast<size_t>(i)]->response, i + 1);
    }
    store.set_cold(false);
  }
}

TEST_F(TurnsTest, ObjectsDoNotWaitForEachOther) {
  Start();
  SendNoting("a", "slow", absl::Seconds(5), true);
  auto other = SendNoting("b", "quick");
  node->Settle();
  EXPECT_TRUE(other->ok());
  EXPECT_THAT(board().notes, ElementsAre("slow begins", "quick begins", "quick ends"));
}

TEST_F(TurnsTest, TheGateOpensDuringAWaitIfNothingWasWritten) {
  Start();
  auto waiting = SendNoting("a", "waiting", absl::Seconds(1));
  auto other = SendNoting("a", "other", absl::ZeroDuration(), true);
  node->Settle();
  EXPECT_TRUE(other->ok());
  EXPECT_FALSE(waiting->done());
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(waiting->ok());
  EXPECT_THAT(board().notes, ElementsAre("waiting begins", "other begins", "other ends", "waiting ends"));
}

TEST_F(TurnsTest, AWaitTakesItsTime) {
  Start();
  auto waiting = SendNoting("a", "waiting", absl::Seconds(1));
  node->Advance(absl::Seconds(1) - absl::Microseconds(1));
  EXPECT_FALSE(waiting->done());
  node->Advance(absl::Microseconds(1));
  EXPECT_TRUE(waiting->ok());
}

TEST_F(TurnsTest, ATurnThatHasWrittenKeepsTheGateClosedWhileItWaits) {
  Start();
  auto writer = SendNoting("a", "writer", absl::Seconds(1), true);
  auto reader = SendGet("a", "writer");
  node->Advance(absl::Milliseconds(999));
  EXPECT_FALSE(reader->begun);
  node->Advance(absl::Milliseconds(1));
  ASSERT_TRUE(writer->ok() && reader->ok());
  EXPECT_EQ(reader->response, "written");
}

TEST_F(TurnsTest, AnAlarmIsAWriteTooAndKeepsTheGateClosed) {
  Start();
  auto setter = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().SetAlarm(self.Now() + absl::Hours(1));
    co_await self.Wait(absl::Seconds(1));
    co_return absl::OkStatus();
  });
  auto other = SendNoting("a", "other");
  node->Settle();
  EXPECT_FALSE(other->begun);
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(setter->ok() && other->ok());
}

TEST_F(TurnsTest, AWriteAfterAWaitClosesTheGateForTheRestOfTheTurn) {
  Start();
  auto writer = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(1));
    auto status = self.storage().Put("k", "v");
    co_await self.Wait(absl::Seconds(1));
    ScriptedObject::Note("writer ends");
    co_return status;
  });
  node->Advance(absl::Milliseconds(1500));
  SendNoting("a", "other");
  node->Settle();
  EXPECT_THAT(board().notes, IsEmpty());
  node->Advance(absl::Milliseconds(500));
  EXPECT_TRUE(writer->ok());
  EXPECT_THAT(board().notes, ElementsAre("writer ends", "other begins", "other ends"));
}

TEST_F(TurnsTest, TurnsThatAreReadyGoOnBeforeNewRequestsBegin) {
  Start();
  SendNoting("a", "first", absl::Seconds(2));
  SendNoting("a", "second", absl::Seconds(1));
  // The turn holds the gate until both others are ready and two more have come.
  SendNoting("a", "writer", absl::Seconds(3), true);
  SendNoting("a", "third");
  node->Advance(absl::Seconds(2));
  SendNoting("a", "fourth");
  EXPECT_THAT(board().notes, ElementsAre("first begins", "second begins", "writer begins"));
  board().notes.clear();
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(board().notes, ElementsAre("writer ends", "second ends", "first ends", "third begins", "third ends",
                                         "fourth begins", "fourth ends"));
}

TEST_F(TurnsTest, ATurnThatWaitsSeesWhatOthersWroteMeanwhile) {
  Start();
  std::optional<std::string> before, after;
  auto reader = Send("a", [&](ScriptedObject& self) -> Task<absl::Status> {
    before = *co_await self.storage().Get("k");
    co_await self.Wait(absl::Seconds(1));
    after = *co_await self.storage().Get("k");
    co_return absl::OkStatus();
  });
  Put("a", "k", "new");
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(reader->ok());
  EXPECT_EQ(before, std::nullopt);
  EXPECT_EQ(after, "new");
}

// --- NextTurn

TEST_F(TurnsTest, NextTurnLetsTheRequestsThatWaitGoFirst) {
  Start();
  auto steps = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    for (int i = 0; i < 3; ++i) {
      if (auto status = self.storage().Put("step", absl::StrCat(i)); !status.ok()) co_return status;
      ScriptedObject::Note(absl::StrCat("step ", i));
      co_await self.NextTurn();
    }
    co_return absl::OkStatus();
  });
  // This read began within the first turn, before the next step.
  auto other = SendGet("a", "step");
  EXPECT_THAT(board().notes, ElementsAre("step 0"));
  node->Settle();
  EXPECT_TRUE(steps->ok());
  EXPECT_EQ(other->response, "0");
  EXPECT_EQ(Get("a", "step"), "2");
}

TEST_F(TurnsTest, WhatWasCommittedBeforeNextTurnIsNotDroppedByALaterError) {
  Start();
  EXPECT_EQ(Ask("a",
                [](ScriptedObject& self) -> Task<absl::Status> {
                  (void)self.storage().Put("first", "kept");
                  co_await self.NextTurn();
                  (void)self.storage().Put("second", "dropped");
                  co_return NotFound("failed");
                })
                .code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Get("a", "first"), "kept");
  EXPECT_EQ(Get("a", "second"), std::nullopt);
}

TEST_F(TurnsTest, TheReplyOfSeveralTurnsWaitsForAllOfThem) {
  Start();
  auto sent = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("first", "1");
    co_await self.NextTurn();
    co_return absl::OkStatus();
  });
  node->SettleWithoutCommits();
  EXPECT_FALSE(sent->done());
  node->Settle();
  EXPECT_TRUE(sent->ok());
}

TEST_F(TurnsTest, EachOfSeveralTurnsHasTheWholeTimeLimit) {
  Start();
  auto sent = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    for (int i = 0; i < 4; ++i) {
      (void)self.storage().Put("k", absl::StrCat(i));
      co_await self.Wait(absl::Seconds(20));
      co_await self.NextTurn();
    }
    co_return absl::OkStatus();
  });
  node->Advance(absl::Seconds(81));
  EXPECT_TRUE(sent->ok());
}

TEST_F(TurnsTest, ATurnThatEndsByNextTurnIsBoundedInBytesToo) {
  options.turn_bytes_max = 1000;
  Start();
  const absl::Status status = Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("large", std::string(2000, 'x'));
    co_await self.NextTurn();
    co_return absl::OkStatus();
  });
  EXPECT_THAT(status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
  EXPECT_EQ(Get("a", "large"), std::nullopt);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(TurnsTest, ATurnThatWroteTooMuchAndIsResetBeforeItIsToldEndsOnce) {
  options.turn_bytes_max = 1000;
  Start();
  auto waiting = SendNoting("a", "waiting", absl::Hours(1));
  auto large = Send("a", [this](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(options.turn_timeout - absl::Milliseconds(1));
    (void)self.storage().Put("large", std::string(2000, 'x'));
    co_await self.NextTurn();
    co_return absl::OkStatus();
  });
  // The executor is late: in one round the large turn continues, and the time of the other turn is over.
  clock.Advance(options.turn_timeout + absl::Seconds(1));
  node->Settle();
  ASSERT_TRUE(waiting->done() && large->done());
  EXPECT_THAT(*waiting->status, IsReset());
  EXPECT_FALSE(large->ok());
  EXPECT_EQ(Get("a", "large"), std::nullopt);
}

TEST_F(TurnsTest, AnAlarmHandlerThatEndsATurnThatWroteTooMuchHasFailed) {
  options.turn_bytes_max = 1000;
  int runs = 0;
  board().alarm = [&runs](ScriptedObject& self, const AlarmRun& run) -> Task<absl::Status> {
    EXPECT_EQ(run.retry_count, runs);
    if (++runs > 1) co_return absl::OkStatus();
    (void)self.storage().Put("large", std::string(2000, 'x'));
    co_await self.NextTurn();
    co_return absl::OkStatus();
  };
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(node->host().idle());
}

// --- Turns that take too long

TEST_F(TurnsTest, ATurnThatTakesTooLongIsGivenUpWithItsWritesAndTheInstance) {
  Start();
  Put("a", "k", "old");
  auto slow = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    self.member = 1;
    (void)self.storage().Put("k", "new");
    co_await self.Wait(absl::Hours(1));
    co_return absl::OkStatus();
  });
  auto next = SendGet("a", "k");
  node->Advance(options.turn_timeout - absl::Milliseconds(1));
  EXPECT_FALSE(slow->done());
  EXPECT_FALSE(next->begun);
  node->Advance(absl::Milliseconds(1));
  ASSERT_TRUE(slow->done() && next->done());
  EXPECT_THAT(*slow->status, IsReset());
  ASSERT_TRUE(next->ok());
  EXPECT_EQ(next->response, "old");
  EXPECT_EQ(Instance("a"), 2);
}

TEST_F(TurnsTest, ATurnThatIsQuickEnoughIsNotGivenUpLater) {
  Start();
  auto quick = SendNoting("a", "quick", absl::Seconds(29));
  node->Advance(absl::Seconds(29));
  ASSERT_TRUE(quick->ok());
  SendNoting("a", "again", absl::Seconds(29));
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(board().notes, ElementsAre("quick begins", "quick ends", "again begins", "again ends"));
}

TEST_F(TurnsTest, AReadThatComesBackAfterItsTurnWasGivenUpIsThrownAway) {
  Start();
  Put("a", "k", "v");
  store.set_cold(true);
  auto reader = SendGet("a", "k");
  ASSERT_EQ(node->reads().waiting(), 1u);
  // Time passes, and the disk does not answer.
  clock.Advance(options.turn_timeout);
  node->executor().RunUntilIdle();
  ASSERT_TRUE(reader->done());
  EXPECT_THAT(*reader->status, IsReset());
  store.set_cold(false);
  node->Settle();
  EXPECT_EQ(Get("a", "k"), "v");
}

TEST_F(TurnsTest, TurnsThatWaitInAnObjectThatIsResetAreTold) {
  Start();
  Put("a", "k", "old");
  auto waiting = SendNoting("a", "waiting", absl::Seconds(10));
  auto waiting_too = SendNoting("a", "waiting too", absl::Seconds(20));
  auto queued_behind = SendNoting("b", "of another object", absl::Seconds(20));
  const absl::Status failed = Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "new");
    co_return NotFound("fails");
  });
  EXPECT_EQ(failed.code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(waiting->done() && waiting_too->done());
  EXPECT_THAT(*waiting->status, IsReset());
  EXPECT_THAT(*waiting_too->status, IsReset());
  EXPECT_FALSE(queued_behind->done());
  EXPECT_EQ(Get("a", "k"), "old");
  node->Advance(absl::Seconds(30));
  EXPECT_TRUE(queued_behind->ok());
  EXPECT_THAT(board().notes, ElementsAre("waiting begins", "waiting too begins", "of another object begins",
                                         "of another object ends"));
}

TEST_F(TurnsTest, ATurnThatIsReadyToGoOnIsToldOfTheResetToo) {
  Start();
  auto waiting = SendNoting("a", "waiting", absl::Seconds(1));
  auto failing = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "new");
    co_await self.Wait(absl::Seconds(2));
    co_return NotFound("fails");
  });
  node->Advance(absl::Seconds(2));
  ASSERT_TRUE(waiting->done() && failing->done());
  EXPECT_THAT(*waiting->status, IsReset());
}

TEST_F(TurnsTest, RandomWaitsWritesAndErrorsKeepTheInvariantsAndLoseNothing) {
  for (uint64_t run : simulation::Seeds(30)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const std::string name = absl::StrCat("object", run);
    Start();
    store.set_cold(dice.OneIn(2));
    int64_t expected = 0;
    std::vector<std::pair<std::shared_ptr<Outcome>, bool>> sent;
    for (int i = 0; i < 60; ++i) {
      const bool fails = dice.OneIn(5);
      const auto before = absl::Milliseconds(dice.Below(3));
      const auto after = absl::Milliseconds(dice.Below(3));
      const bool next_turn = !fails && dice.OneIn(4);
      sent.emplace_back(Send(name,
                             [=](ScriptedObject& self) -> Task<absl::Status> {
                               if (before > absl::ZeroDuration()) co_await self.Wait(before);
                               auto value = co_await self.storage().Get("n");
                               if (!value.ok()) co_return value.status();
                               int number = 0;
                               if (*value) (void)absl::SimpleAtoi(**value, &number);
                               (void)self.storage().Put("n", absl::StrCat(number + 1));
                               if (after > absl::ZeroDuration()) co_await self.Wait(after);
                               if (fails) co_return NotFound("fails");
                               if (next_turn) co_await self.NextTurn();
                               co_return absl::OkStatus();
                             }),
                        next_turn);
      for (uint64_t steps = dice.Below(5); steps > 0; --steps) {
        if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(1));
      }
    }
    node->Advance(absl::Seconds(5));
    int64_t least = 0;
    for (const auto& [outcome, next_turn] : sent) {
      ASSERT_TRUE(outcome->done());
      if (outcome->ok()) ++least;
      // The object may have been reset after its first turn was committed.
      if (!outcome->ok() && next_turn) ++expected;
    }
    const int total = std::stoi(Get(name, "n").value_or("0"));
    EXPECT_GE(total, least);
    EXPECT_LE(total, least + expected);
    store.set_cold(false);
  }
}

}  // namespace
}  // namespace holdfast::actors
