// Overload is an answer: every queue is bounded, and a request that cannot be served is refused at once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

class OverloadTest : public ScriptedTest {
 protected:
  // Holds the input gate for this time.
  std::shared_ptr<Outcome> Block(const std::string& name, absl::Duration time) {
    return Send(name, [time](ScriptedObject& self) -> Task<absl::Status> {
      (void)self.storage().Put("blocked", "");
      co_await self.Wait(time);
      co_return absl::OkStatus();
    });
  }
  static Task<absl::Status> Nothing(ScriptedObject&) { co_return absl::OkStatus(); }
};

TEST_F(OverloadTest, TheMailboxIsBoundedInNumber) {
  options.mailbox.requests_max = 3;
  Start();
  Block("a", absl::Seconds(1));
  std::vector<std::shared_ptr<Outcome>> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(Send("a", Nothing));
  auto refused = Send("a", Nothing);
  ASSERT_TRUE(refused->done());
  EXPECT_THAT(*refused->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL));
  EXPECT_TRUE(HasRetryInfo(*refused->status));
  EXPECT_FALSE(refused->begun);
  // Another object has a mailbox of its own.
  auto other = Send("b", Nothing);
  EXPECT_TRUE(other->ok());
  node->Advance(absl::Seconds(1));
  for (const auto& sent : waiting) EXPECT_TRUE(sent->ok());
  auto again = Send("a", Nothing);
  EXPECT_TRUE(again->ok());
}

TEST_F(OverloadTest, TheMailboxIsBoundedInBytes) {
  options.mailbox.bytes_max = 1000;
  Start();
  Block("a", absl::Seconds(1));
  auto first = Send("a", Nothing, {.bytes = 600});
  auto refused = Send("a", Nothing, {.bytes = 500});
  auto small = Send("a", Nothing, {.bytes = 400});
  ASSERT_TRUE(refused->done());
  EXPECT_THAT(*refused->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL));
  EXPECT_TRUE(HasRetryInfo(*refused->status));
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(first->ok() && small->ok());
}

TEST_F(OverloadTest, AMailboxIsBoundedAlsoWhileTheObjectLoads) {
  options.mailbox.requests_max = 2;
  store.set_cold(true);
  Start();
  auto first = Send("a", Nothing);
  auto second = Send("a", Nothing);
  auto refused = Send("a", Nothing);
  ASSERT_TRUE(refused->done());
  EXPECT_THAT(*refused->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL));
  node->Settle();
  EXPECT_TRUE(first->ok() && second->ok());
}

TEST_F(OverloadTest, AFullMailboxHoldsNoAlarmUp) {
  options.mailbox.requests_max = 1;
  board().alarm = [](ScriptedObject&, const AlarmRun&) -> Task<absl::Status> {
    ScriptedObject::Note("alarm");
    co_return absl::OkStatus();
  };
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  Block("a", absl::Seconds(2));
  auto waiting = Send("a", [](ScriptedObject&) -> Task<absl::Status> {
    ScriptedObject::Note("request");
    co_return absl::OkStatus();
  });
  node->Advance(absl::Seconds(2));
  EXPECT_TRUE(waiting->ok());
  EXPECT_THAT(board().notes, ::testing::ElementsAre("alarm", "request"));
}

TEST_F(OverloadTest, ARequestWhoseDeadlinePassedInTheQueueIsNotBegun) {
  Start();
  Block("a", absl::Seconds(2));
  auto late = Send("a", Nothing, {.deadline = clock.Now() + absl::Seconds(1)});
  auto in_time = Send("a", Nothing, {.deadline = clock.Now() + absl::Seconds(5)});
  node->Advance(absl::Seconds(2));
  ASSERT_TRUE(late->done());
  EXPECT_THAT(*late->status, Fails(absl::StatusCode::kDeadlineExceeded, v1::ERROR_REASON_DEADLINE_PASSED));
  EXPECT_FALSE(HasRetryInfo(*late->status));
  EXPECT_FALSE(late->begun);
  EXPECT_TRUE(in_time->ok());
}

TEST_F(OverloadTest, ATurnThatHasBegunIsNotEndedByItsDeadline) {
  Start();
  auto slow = Send("a",
                   [](ScriptedObject& self) -> Task<absl::Status> {
                     co_await self.Wait(absl::Seconds(5));
                     co_return self.storage().Put("k", "v");
                   },
                   {.deadline = clock.Now() + absl::Seconds(1)});
  node->Advance(absl::Seconds(5));
  EXPECT_TRUE(slow->ok());
}

TEST_F(OverloadTest, TooManyWritesThatWaitForTheDiskRefuseNewWorkUntilTheyAreDurable) {
  options.pipeline_bytes_max = 10'000;
  Start();
  auto large = SendPut("a", "k", std::string(20'000, 'x'));
  auto refused = SendPut("b", "k", "v");
  auto refused_read = SendGet("c", "k");
  for (const Outcome* outcome : std::vector<Outcome*>{refused.get(), refused_read.get()}) {
    ASSERT_TRUE(outcome->done());
    EXPECT_THAT(*outcome->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED));
    EXPECT_TRUE(HasRetryInfo(*outcome->status));
    EXPECT_FALSE(outcome->begun);
  }
  node->executor().EndRound();
  auto refused_in_flight = SendPut("b", "k", "v");
  EXPECT_TRUE(refused_in_flight->done());
  node->Settle();
  EXPECT_TRUE(large->ok());
  auto again = SendPut("b", "k", "v");
  node->Settle();
  EXPECT_TRUE(again->ok());
}

TEST_F(OverloadTest, AnAlarmThatMeetsAnOverloadIsTriedAgainAndCountsNoAttempt) {
  options.pipeline_bytes_max = 10'000;
  std::vector<int32_t> attempts;
  board().alarm = [&](ScriptedObject&, const AlarmRun& run) -> Task<absl::Status> {
    attempts.push_back(run.retry_count);
    co_return absl::OkStatus();
  };
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  node->Settle();
  SendPut("b", "k", std::string(20'000, 'x'));
  clock.Advance(absl::Seconds(1));
  node->SettleWithoutCommits();
  EXPECT_TRUE(attempts.empty());
  node->Advance(absl::Seconds(2));
  EXPECT_THAT(attempts, ::testing::ElementsAre(0));
}

}  // namespace
}  // namespace holdfast::actors
