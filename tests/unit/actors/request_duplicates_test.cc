// Requests with the id of a request that is under way, and random retries: each has one effect, whatever happens.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/request_fixture.h"

namespace holdfast::actors {
namespace {

class DuplicateTest : public RequestRecordsTest {
 protected:
  // Waits before it adds; the first `failures` runs of an object fail.
  Reply SendSlow(const std::string& id, const std::string& text = "slow", const SendOptions& send_options = {}) {
    return SendRecorded(
        "a", id, text,
        [this](ScriptedObject& self, std::string* reply) -> Task<absl::Status> {
          ++runs;
          co_await self.Wait(absl::Seconds(5));
          if (failures-- > 0) co_return NotFound("fails");
          co_return co_await Add(self, reply);
        },
        send_options);
  }
  int runs = 0;
  int failures = 0;
};

TEST_F(DuplicateTest, WaitsForTheFirstAndGetsItsReply) {
  Start();
  auto first = SendSlow("one");
  std::vector<Reply> duplicates;
  for (int i = 0; i < 5; ++i) duplicates.push_back(SendSlow("one"));
  auto reused = SendSlow("one", "another text");
  auto other = SendSlow("two");
  auto plain = SendPut("a", "k", "v");
  node->Settle();
  EXPECT_TRUE(plain->ok()) << "others are held up";
  EXPECT_TRUE(other->begun);
  node->Advance(absl::Seconds(4));
  for (const Reply& duplicate : duplicates) EXPECT_FALSE(duplicate->done());
  node->Advance(absl::Seconds(1));
  ASSERT_TRUE(first->ok());
  for (const Reply& duplicate : duplicates) {
    ASSERT_TRUE(duplicate->ok());
    EXPECT_EQ(duplicate->response, first->response);
  }
  EXPECT_THAT(*reused->status, Fails(absl::StatusCode::kAlreadyExists, v1::ERROR_REASON_REQUEST_ID_REUSED));
  EXPECT_TRUE(other->ok());
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(Number("a"), 2);
  EXPECT_TRUE(node->host().idle());
}

TEST_F(DuplicateTest, RunsWhenTheFirstFailsOneAfterTheOther) {
  failures = 2;
  Start();
  auto first = SendSlow("one");
  auto second = SendSlow("one");
  auto third = SendSlow("one");
  auto fourth = SendSlow("one");
  node->Advance(absl::Seconds(5));
  EXPECT_TRUE(first->done() && second->begun && !third->begun);
  node->Advance(absl::Seconds(20));
  EXPECT_FALSE(first->ok() || second->ok());
  EXPECT_TRUE(third->ok() && fourth->ok());
  EXPECT_EQ(third->response, fourth->response);
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(Number("a"), 1);
}

TEST_F(DuplicateTest, RunsWhenTheFirstWasReset) {
  Start();
  auto first = SendSlow("one");
  auto second = SendSlow("one");
  EXPECT_FALSE(Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
                 (void)self.storage().Put("k", "v");
                 co_return NotFound("fails");
               }).ok());
  EXPECT_THAT(*first->status, IsReset());
  node->Advance(absl::Seconds(10));
  EXPECT_TRUE(second->ok());
  EXPECT_EQ(Number("a"), 1);
}

TEST_F(DuplicateTest, IsNotBegunAfterItsDeadlineAndCountsAsWaiting) {
  options.mailbox.requests_max = 3;
  failures = 1;
  Start();
  SendSlow("one");
  SendOptions hurried;
  hurried.deadline = clock.Now() + absl::Seconds(1);
  auto late = SendSlow("one", "slow", hurried);
  std::vector<Reply> duplicates;
  for (int i = 0; i < 5; ++i) duplicates.push_back(SendSlow("one"));
  node->Settle();
  int refused = 0;
  for (const Reply& duplicate : duplicates) {
    if (!duplicate->done()) continue;
    ++refused;
    EXPECT_THAT(*duplicate->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL));
  }
  EXPECT_EQ(refused, 3) << "of six that repeat the first";
  node->Advance(absl::Seconds(10));
  EXPECT_THAT(*late->status, Fails(absl::StatusCode::kDeadlineExceeded, v1::ERROR_REASON_DEADLINE_PASSED));
  EXPECT_EQ(Number("a"), 1);
}

TEST_F(DuplicateTest, RandomRetriesThroughCrashesHaveOneEffectEach) {
  for (uint64_t run : simulation::Seeds(40)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    families_max = static_cast<int>(dice.Below(3));
    options.idle_timeout = absl::Milliseconds(dice.Between(100, 2000));
    const std::string names[] = {absl::StrCat("a", run), absl::StrCat("b", run)};
    Start();
    // The replies that a client got, by object and id.
    std::map<std::pair<std::string, std::string>, std::string> told;
    std::vector<std::pair<std::pair<std::string, std::string>, Reply>> sent;
    const auto note = [&] {
      for (const auto& [which, reply] : sent) {
        if (!reply->ok()) continue;
        EXPECT_EQ(told.emplace(which, reply->response).first->second, reply->response);
      }
    };
    for (int i = 0; i < 60; ++i) {
      const std::pair<std::string, std::string> which(names[dice.Below(2)], absl::StrCat("id", dice.Below(10)));
      sent.emplace_back(
          which, SendRecorded(which.first, which.second, "add",
                              [wait = dice.OneIn(4)](ScriptedObject& self, std::string* reply) -> Task<absl::Status> {
                                if (wait) co_await self.Wait(absl::Milliseconds(200));
                                co_return co_await Add(self, reply);
                              }));
      store.set_cold(dice.OneIn(2));
      for (uint64_t steps = dice.Below(6); steps > 0; --steps) {
        if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(100));
      }
      if (dice.OneIn(8)) {
        note();
        sent.clear();
        Start();
      }
    }
    node->Advance(absl::Seconds(5));
    note();
    store.set_cold(false);
    for (const std::string& name : names) {
      for (int id = 0; id < 10; ++id) {
        auto again = AskAdd(name, absl::StrCat("id", id));
        ASSERT_TRUE(again->ok());
        EXPECT_EQ(told.emplace(std::pair(name, absl::StrCat("id", id)), again->response).first->second,
                  again->response);
      }
      EXPECT_EQ(Number(name), 10);
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace holdfast::actors
