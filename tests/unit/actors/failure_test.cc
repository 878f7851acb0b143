// An error means no effect: a failing turn leaves none of its writes, not its alarm, and sometimes not its instance.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

class FailureTest : public ScriptedTest {
 protected:
  absl::Status FailAfterWrite(const std::string& name) {
    return Ask(name, [](ScriptedObject& self) -> Task<absl::Status> {
      self.member = 42;
      (void)self.storage().Put("k", "new");
      (void)self.storage().Put("l", "new");
      co_return NotFound("fails");
    });
  }
};

TEST_F(FailureTest, AnErrorBeforeAWriteKeepsTheInstance) {
  Start();
  Put("a", "k", "old");
  const int instance = Instance("a");
  EXPECT_EQ(Ask("a",
                [](ScriptedObject& self) -> Task<absl::Status> {
                  (void)co_await self.storage().Get("k");
                  co_return InvalidField("field", "is wrong");
                })
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Instance("a"), instance);
}

TEST_F(FailureTest, AnErrorAfterAWriteDropsTheWritesAndTheInstance) {
  Start();
  Put("a", "k", "old");
  const int instance = Instance("a");
  EXPECT_EQ(FailAfterWrite("a").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Get("a", "k"), "old");
  EXPECT_EQ(Get("a", "l"), std::nullopt);
  EXPECT_EQ(Instance("a"), instance + 1);
  int member = -1;
  EXPECT_TRUE(Ask("a", [&](ScriptedObject& self) -> Task<absl::Status> {
                member = self.member;
                co_return absl::OkStatus();
              }).ok());
  EXPECT_EQ(member, 0);
}

TEST_F(FailureTest, AnErrorAfterAWriteOfANewObjectLeavesNothingInTheStore) {
  Start();
  (void)FailAfterWrite("a");
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_EQ(recording.commits, 0);
}

TEST_F(FailureTest, ARemovalIsAWriteToo) {
  Start();
  Put("a", "k", "old");
  const int instance = Instance("a");
  (void)Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
    const std::string keys[] = {"k"};
    (void)co_await self.storage().Delete(keys);
    co_return NotFound("fails");
  });
  EXPECT_EQ(Get("a", "k"), "old");
  EXPECT_EQ(Instance("a"), instance + 1);
}

TEST_F(FailureTest, AnErrorAfterDeleteAllLeavesEverything) {
  Start();
  Put("a", "k", "old");
  SetAlarm("a", clock.Now() + absl::Hours(1));
  (void)Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)co_await self.storage().DeleteAll(false);
    co_return NotFound("fails");
  });
  EXPECT_EQ(Get("a", "k"), "old");
  EXPECT_TRUE(AlarmOf("a"));
}

TEST_F(FailureTest, AFailedTurnDoesNotTakeThePendingWritesOfEarlierOnesAlong) {
  Start();
  auto first = SendPut("a", "k", "first");
  auto failing = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "second");
    co_return NotFound("fails");
  });
  auto reader = SendGet("a", "k");
  node->SettleWithoutCommits();
  EXPECT_EQ(reader->response, "first") << "the new instance reads through what is not durable";
  EXPECT_FALSE(first->done() || failing->done() || reader->done());
  node->Settle();
  EXPECT_TRUE(first->ok() && reader->ok());
  EXPECT_EQ(failing->status->code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(board().loads, 2);
}

TEST_F(FailureTest, RequestsBehindAFailingTurnRunOnTheNextInstance) {
  Start();
  Put("a", "k", "old");
  store.set_cold(true);
  auto failing = Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "new");
    (void)co_await self.storage().Get("l");
    co_return NotFound("fails");
  });
  auto behind = SendGet("a", "k");
  auto last = SendGet("a", "k");
  node->Settle();
  EXPECT_FALSE(failing->ok());
  ASSERT_TRUE(behind->ok() && last->ok());
  EXPECT_EQ(behind->response, "old");
  EXPECT_EQ(board().instances, 2);
}

TEST_F(FailureTest, AnErrorRollsTheAlarmBack) {
  Start();
  const absl::Time old = clock.Now() + absl::Hours(1);
  SetAlarm("a", old);
  (void)Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().SetAlarm(self.Now() + absl::Minutes(1));
    co_return NotFound("fails");
  });
  EXPECT_EQ(AlarmOf("a"), old);
  (void)Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().DeleteAlarm();
    co_return NotFound("fails");
  });
  EXPECT_EQ(AlarmOf("a"), old);
  ExpectAlarmIndexConsistent(scripted, {"a"});
}

TEST_F(FailureTest, ATurnThatWritesTooMuchIsRefusedAndNothingApplied) {
  options.turn_bytes_max = 10'000;
  Start();
  Put("a", "k", "old");
  const auto write = [](size_t bytes) {
    return [bytes](ScriptedObject& self) -> Task<absl::Status> {
      (void)self.storage().Put("k", "new");
      for (size_t i = 0; i * 1000 < bytes; ++i)
        (void)self.storage().Put("large" + std::to_string(i), std::string(1000, 'x'));
      co_return absl::OkStatus();
    };
  };
  const absl::Status status = Ask("a", write(11'000));
  EXPECT_THAT(status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
  EXPECT_FALSE(HasRetryInfo(status));
  EXPECT_EQ(Get("a", "k"), "old");
  EXPECT_EQ(Get("a", "large0"), std::nullopt);
  EXPECT_TRUE(Ask("a", write(8'000)).ok());
  EXPECT_EQ(Get("a", "k"), "new");
}

TEST_F(FailureTest, BadKeysAndValuesAreRefusedAndKeepTheInstance) {
  Start();
  const int instance = Instance("a");
  for (const std::string& key : {std::string(), std::string(2049, 'k')}) {
    EXPECT_EQ(
        Ask("a", [key](ScriptedObject& self) -> Task<absl::Status> { co_return self.storage().Put(key, "v"); }).code(),
        absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Instance("a"), instance);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

}  // namespace
}  // namespace holdfast::actors
