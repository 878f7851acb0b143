// Load runs before the first request; its failures reach the requests that wait.

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

class LoadTest : public ScriptedTest {
 protected:
  std::shared_ptr<Outcome> SendNote(const std::string& name, const std::string& note, const SendOptions& how = {}) {
    return Send(
        name,
        [note](ScriptedObject&) -> Task<absl::Status> {
          ScriptedObject::Note(note);
          co_return absl::OkStatus();
        },
        how);
  }
};

TEST_F(LoadTest, RunsOnceBeforeTheFirstRequest) {
  board().load = [](ScriptedObject& self) -> Task<absl::Status> {
    ScriptedObject::Note("load " + self.name);
    co_return absl::OkStatus();
  };
  Start();
  SendNote("a", "first");
  SendNote("a", "second");
  node->Settle();
  EXPECT_THAT(board().notes, ElementsAre("load a", "first", "second"));
}

TEST_F(LoadTest, TellsTheStoreWhatItIsAboutToRead) {
  Start();
  for (const int loads : {1, 2}) {
    SendNote("a", "a request");
    node->Settle();
    EXPECT_EQ(board().loads, loads);
    EXPECT_EQ(recording.prefetches, loads);
    SendNote("a", "another request, which loads nothing");
    node->Settle();
    EXPECT_EQ(recording.prefetches, loads);
    node->Advance(options.idle_timeout);
    ASSERT_EQ(Find("a"), nullptr);
  }
  const storage::Location packed = storage::PackedLocation(Key(scripted, "a"));
  const auto& [location, range] = recording.last_prefetch;
  EXPECT_EQ(location, packed);
  EXPECT_TRUE(range.Contains(storage::kObjectHeaderKey));
  EXPECT_TRUE(range.Contains(storage::kAlarmKey));
  EXPECT_FALSE(range.Contains(storage::kClientAlarmKey));
}

TEST_F(LoadTest, IsACriticalSection) {
  board().load = [](ScriptedObject& self) -> Task<absl::Status> {
    (void)co_await self.storage().Get("k");
    co_await self.Wait(absl::Seconds(1));
    ScriptedObject::Note("loaded");
    co_return absl::OkStatus();
  };
  store.set_cold(true);
  Start();
  auto first = SendNote("a", "first");
  node->Settle();
  auto second = SendNote("a", "second");
  node->Settle();
  EXPECT_EQ(Find("a")->state(), Activation::State::kLoading);
  EXPECT_FALSE(first->begun || second->begun);
  EXPECT_EQ(Find("a")->mailbox_depth(), 2u);
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(first->ok() && second->ok());
  EXPECT_THAT(board().notes, ElementsAre("loaded", "first", "second"));
}

TEST_F(LoadTest, FillsTheMembersThatRequestsRead) {
  board().load = [](ScriptedObject& self) -> Task<absl::Status> {
    auto value = co_await self.storage().Get("member");
    if (!value.ok()) co_return value.status();
    if (*value) self.member = std::stoi(**value);
    co_return absl::OkStatus();
  };
  Start();
  Put("a", "member", "7");
  Start();
  int member = 0;
  EXPECT_TRUE(Ask("a", [&](ScriptedObject& self) -> Task<absl::Status> {
                member = self.member;
                co_return absl::OkStatus();
              }).ok());
  EXPECT_EQ(member, 7);
}

TEST_F(LoadTest, ItsFailureGoesToThoseThatWaitAndTheNextRequestTriesAgain) {
  board().load = [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(1));
    if (board().loads == 1) co_return absl::DataLossError("garbled");
    co_return absl::OkStatus();
  };
  Start();
  auto first = SendNote("a", "first");
  auto second = SendNote("a", "second");
  node->Advance(absl::Seconds(1));
  for (const auto& sent : {first, second}) {
    ASSERT_TRUE(sent->done());
    EXPECT_FALSE(sent->begun);
    EXPECT_THAT(*sent->status, Fails(absl::StatusCode::kDataLoss, v1::ERROR_REASON_DATA_CORRUPT));
  }
  auto third = SendNote("a", "third");
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(third->ok());
  EXPECT_EQ(board().loads, 2);
}

TEST_F(LoadTest, AFailureKeepsNothingInMemory) {
  board().load = [](ScriptedObject&) -> Task<absl::Status> { co_return absl::InternalError("never"); };
  Start();
  auto sent = SendNote("a", "first");
  node->Settle();
  EXPECT_FALSE(sent->ok());
  EXPECT_EQ(Find("a"), nullptr);
  EXPECT_EQ(node->host().activation_count(), 0u);
}

TEST_F(LoadTest, WhatAFailedLoadWroteIsDropped) {
  board().load = [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "half");
    if (board().loads == 1) co_return absl::InternalError("fails");
    co_return absl::OkStatus();
  };
  Start();
  SendNote("a", "first");
  node->Settle();
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_EQ(Get("a", "k"), "half");
}

TEST_F(LoadTest, WhatLoadWritesIsDurableBeforeAnyReply) {
  board().load = [](ScriptedObject& self) -> Task<absl::Status> { co_return self.storage().Put("k", "v"); };
  Start();
  auto reader = SendGet("a", "k");
  node->SettleWithoutCommits();
  EXPECT_EQ(reader->response, "v");
  EXPECT_FALSE(reader->done());
  node->Settle();
  EXPECT_TRUE(reader->ok());
  EXPECT_TRUE(CatalogOf(scripted, "a"));
}

TEST_F(LoadTest, IsGivenUpWhenItTakesTooLong) {
  options.load_timeout = absl::Seconds(30);
  board().load = [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "half");
    if (board().loads == 1) co_await self.Wait(absl::Hours(1));
    co_return absl::OkStatus();
  };
  Start();
  auto first = SendNote("a", "first");
  node->Advance(absl::Seconds(30) - absl::Milliseconds(1));
  auto second = SendNote("a", "second");
  node->Settle();
  EXPECT_FALSE(first->done());
  node->Advance(absl::Milliseconds(1));
  ASSERT_TRUE(first->done() && second->done());
  EXPECT_THAT(*first->status, IsReset());
  EXPECT_THAT(*second->status, IsReset());
  EXPECT_FALSE(first->begun);
  EXPECT_EQ(recording.EntryCount(), 0u);
  auto third = SendNote("a", "third");
  node->Settle();
  EXPECT_TRUE(third->ok());
}

TEST_F(LoadTest, IsGivenUpAlsoWhileItAwaitsTheDisk) {
  store.set_cold(true);
  Start();
  auto first = SendNote("a", "first");
  clock.Advance(options.load_timeout);
  node->executor().RunUntilIdle();
  ASSERT_TRUE(first->done());
  EXPECT_THAT(*first->status, IsReset());
  node->Settle();
  auto second = SendNote("a", "second");
  node->Settle();
  EXPECT_TRUE(second->ok());
}

TEST_F(LoadTest, ARequestWhoseDeadlinePassedDuringTheLoadIsNotBegun) {
  board().load = [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(2));
    co_return absl::OkStatus();
  };
  Start();
  auto late = SendNote("a", "late", {.deadline = clock.Now() + absl::Seconds(1)});
  auto in_time = SendNote("a", "in time", {.deadline = clock.Now() + absl::Seconds(3)});
  node->Advance(absl::Seconds(2));
  EXPECT_THAT(*late->status, Fails(absl::StatusCode::kDeadlineExceeded, v1::ERROR_REASON_DEADLINE_PASSED));
  EXPECT_FALSE(late->begun);
  EXPECT_TRUE(in_time->ok());
}

TEST_F(LoadTest, AnObjectThatIsStillLoadingIsNotIdle) {
  store.set_cold(true);
  Start();
  node->Settle();
  EXPECT_TRUE(node->host().idle());
  auto sent = SendNote("a", "first");
  EXPECT_FALSE(node->host().idle()) << "a request waits";
  node->Settle();
  EXPECT_TRUE(sent->ok());
  EXPECT_TRUE(node->host().idle());
}

TEST_F(LoadTest, IdleMeansThatNothingRunsWaitsOrIsOnItsWayToDisk) {
  Start();
  node->Settle();
  EXPECT_TRUE(node->host().idle());
  SendPut("a", "k", "v");
  EXPECT_FALSE(node->host().idle());
  node->Settle();
  EXPECT_TRUE(node->host().idle());
  Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Seconds(1));
    co_return absl::OkStatus();
  });
  node->Settle();
  EXPECT_FALSE(node->host().idle());
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(node->host().idle());
}

}  // namespace
}  // namespace holdfast::actors
