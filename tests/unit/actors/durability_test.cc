// A reply means durable: the output gate holds replies, and failed commits and crashes never break that promise.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

class DurabilityTest : public ScriptedTest {};

TEST_F(DurabilityTest, AReplyIsHeldUntilItsWriteIsDurableAndNotLonger) {
  Start();
  auto sent = SendPut("a", "k", "v");
  EXPECT_TRUE(sent->begun);
  node->SettleWithoutCommits();
  EXPECT_FALSE(sent->done());
  node->executor().EndRound();
  ASSERT_EQ(node->commits().waiting(), 1u);
  EXPECT_FALSE(sent->done());
  node->commits().RunWork();
  EXPECT_FALSE(sent->done()) << "told before the executor can know";
  node->commits().RunDone();
  EXPECT_TRUE(sent->ok());
}

TEST_F(DurabilityTest, AReadThatSawAWriteIsHeldUntilThatIsDurable) {
  Start();
  auto writer = SendPut("a", "k", "v");
  auto reader = SendGet("a", "k");
  node->SettleWithoutCommits();
  EXPECT_EQ(reader->response, "v") << "turns do not wait for the disk";
  EXPECT_FALSE(reader->done());
  node->Settle();
  EXPECT_TRUE(writer->ok() && reader->ok());
  EXPECT_LT(writer->done_as, reader->done_as);
}

TEST_F(DurabilityTest, AReadThatSawNoPendingWriteIsAnsweredAtOnce) {
  Start();
  Put("a", "k", "v");
  auto reader = SendGet("a", "k");
  EXPECT_TRUE(reader->ok());
}

TEST_F(DurabilityTest, AReadOfAnotherObjectIsNotHeld) {
  Start();
  SendPut("a", "k", "v");
  auto reader = SendGet("b", "k");
  EXPECT_TRUE(reader->ok());
}

TEST_F(DurabilityTest, AnErrorThatMayHaveSeenAWriteIsHeldToo) {
  Start();
  SendPut("a", "k", "v");
  auto failing = Send("a", [](ScriptedObject&) -> Task<absl::Status> { co_return NotFound("because of k"); });
  node->SettleWithoutCommits();
  EXPECT_FALSE(failing->done());
  node->Settle();
  ASSERT_TRUE(failing->done());
  EXPECT_EQ(failing->status->code(), absl::StatusCode::kNotFound);
}

TEST_F(DurabilityTest, WhatIsWrittenDuringACommitGoesIntoTheNext) {
  Start();
  auto first = SendPut("a", "k", "1");
  node->executor().EndRound();
  auto second = SendPut("a", "k", "2");
  auto reader = SendGet("a", "k");
  EXPECT_EQ(reader->response, "2");
  node->executor().EndRound();
  EXPECT_EQ(node->commits().waiting(), 1u) << "one commit at a time";
  node->commits().RunOne();
  EXPECT_TRUE(first->ok());
  EXPECT_FALSE(second->done());
  EXPECT_FALSE(reader->done());
  node->executor().EndRound();
  node->commits().RunOne();
  EXPECT_TRUE(second->ok() && reader->ok());
}

TEST_F(DurabilityTest, ATurnIsOneCommitAlsoAcrossObjectCatalogAndAlarm) {
  Start();
  auto sent = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "v");
    self.storage().SetAlarm(self.Now() + absl::Hours(1));
    co_return self.storage().Put("l", "w");
  });
  node->Settle();
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(recording.commits, 1);
  EXPECT_TRUE(CatalogOf(scripted, "a"));
  ExpectAlarmIndexConsistent(scripted, {"a"});
}

TEST_F(DurabilityTest, WritesOfManyTurnsAndObjectsShareACommit) {
  Start();
  std::vector<std::shared_ptr<Outcome>> sent;
  for (int i = 0; i < 50; ++i) sent.push_back(SendPut(absl::StrCat("object", i % 10), "k", absl::StrCat(i)));
  node->Settle();
  for (const auto& outcome : sent) EXPECT_TRUE(outcome->ok());
  EXPECT_EQ(recording.commits, 1);
  EXPECT_EQ(Get("object3", "k"), "43");
}

TEST_F(DurabilityTest, AReplyThatCannotBeGivenCommitsNothing) {
  Start();
  Put("a", "k", "old");
  auto sent = Send(
      "a", [](ScriptedObject& self) -> Task<absl::Status> { co_return self.storage().Put("k", "new"); },
      {.reply_check = Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_RESPONSE_TOO_LARGE, "too large")});
  node->Settle();
  ASSERT_TRUE(sent->done());
  EXPECT_THAT(*sent->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_RESPONSE_TOO_LARGE));
  EXPECT_EQ(Get("a", "k"), "old");
}

TEST_F(DurabilityTest, AReplyOfAReadThatCannotBeGivenKeepsTheInstance) {
  Start();
  const int instance = Instance("a");
  auto sent = Send("a", [](ScriptedObject&) -> Task<absl::Status> { co_return absl::OkStatus(); },
                   {.reply_check = absl::ResourceExhaustedError("too large")});
  node->Settle();
  EXPECT_FALSE(sent->ok());
  EXPECT_EQ(Instance("a"), instance);
}

// --- The disk fails

TEST_F(DurabilityTest, AfterAFailedCommitEveryoneIsToldThatTheOutcomeIsUnknown) {
  Start();
  Put("b", "k", "v");
  store.set_commit_error(absl::DataLossError("the disk is gone"));
  auto writer = SendPut("a", "k", "1");
  auto reader = SendGet("a", "k");
  auto failing = Send("a", [](ScriptedObject&) -> Task<absl::Status> { co_return NotFound("because of k"); });
  node->executor().EndRound();
  auto in_next_batch = SendPut("a", "k", "2");
  auto in_next_batch_too = SendPut("c", "k", "3");
  node->Settle();
  auto late = SendPut("a", "k", "4");
  auto late_reader = SendGet("a", "k");
  node->Settle();
  for (const Outcome* outcome : std::vector<Outcome*>{writer.get(), reader.get(), failing.get(), in_next_batch.get(),
                                                      in_next_batch_too.get(), late.get(), late_reader.get()}) {
    ASSERT_TRUE(outcome->done());
    EXPECT_THAT(*outcome->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OUTCOME_UNKNOWN));
  }
  EXPECT_EQ(node->disk_failures(), 1);
  EXPECT_EQ(recording.commits, 2) << "never another try";
}

TEST_F(DurabilityTest, AfterARefusedCommitEveryoneIsToldThatNothingHappened) {
  Start();
  Put("b", "k", "v");
  store.set_commit_error(storage::NotOwner("another process has it"));
  auto writer = SendPut("a", "k", "1");
  auto reader = SendGet("a", "k");
  node->executor().EndRound();
  auto in_next_batch = SendPut("c", "k", "3");
  node->Settle();
  store.set_commit_error(absl::OkStatus());
  auto late = SendPut("a", "k", "4");
  node->Settle();
  for (const Outcome* outcome : std::vector<Outcome*>{writer.get(), reader.get(), in_next_batch.get(), late.get()}) {
    ASSERT_TRUE(outcome->done());
    EXPECT_THAT(*outcome->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OBJECT_RESET));
  }
  EXPECT_EQ(node->disk_failures(), 1);
  EXPECT_TRUE(storage::IsNotOwner(*node->disk_failure()));
  EXPECT_EQ(recording.commits, 2) << "never another try";
  // The owner, as the next node on the store stands for it, finds what was acknowledged and nothing else.
  Start();
  EXPECT_EQ(Get("b", "k"), "v");
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_EQ(Get("c", "k"), std::nullopt);
}

TEST_F(DurabilityTest, TurnsInTheirMiddleWhenTheDiskFailsAreToldToo) {
  Start();
  store.set_commit_error(absl::DataLossError("the disk is gone"));
  SendPut("a", "k", "1");
  auto waiting = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(1));
    co_return absl::OkStatus();
  });
  auto waiting_writer = Send("b", [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(1));
    co_return self.storage().Put("k", "v");
  });
  node->Settle();
  node->Advance(absl::Seconds(1));
  ASSERT_TRUE(waiting->done() && waiting_writer->done());
  EXPECT_THAT(*waiting->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OUTCOME_UNKNOWN));
  EXPECT_THAT(*waiting_writer->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OUTCOME_UNKNOWN));
}

// --- Crashes

TEST_F(DurabilityTest, WhatWasAnsweredSurvivesACrashAndWhatWasNotIsWholeOrAbsent) {
  for (uint64_t run : simulation::Seeds(40)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    families_max = static_cast<int>(dice.Below(3));
    Start();
    const std::string name = absl::StrCat("object", run);
    int answered = 0;
    int last_sent = 0;
    for (int life = 0; life < 4; ++life) {
      std::vector<std::pair<int, std::shared_ptr<Outcome>>> sent;
      for (int i = 0; i < 10; ++i) {
        const int number = ++last_sent;
        sent.emplace_back(number, Send(name, [number](ScriptedObject& self) -> Task<absl::Status> {
                            (void)self.storage().Put("a", absl::StrCat(number));
                            (void)co_await self.storage().Get("b");
                            co_return self.storage().Put("b", absl::StrCat(number));
                          }));
        for (uint64_t steps = dice.Below(4); steps > 0; --steps) node->Step(dice.Below(1000));
      }
      for (const auto& [number, outcome] : sent) {
        if (outcome->ok()) answered = number;
      }
      Start();
      const std::string a = Get(name, "a").value_or("0");
      const std::string b = Get(name, "b").value_or("0");
      EXPECT_EQ(a, b) << "half of a turn";
      EXPECT_GE(std::stoi(a), answered);
      EXPECT_LE(std::stoi(a), last_sent);
      answered = std::stoi(a);
      ExpectFamiliesConsistent();
    }
  }
}

}  // namespace
}  // namespace holdfast::actors
