// A request with a request_id that is sent again gets the same reply and has no second effect.

#include "actors/runtime/request_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/request_fixture.h"

namespace holdfast::actors {
namespace {

TEST_F(RequestRecordsTest, ARetryGetsTheSameBytesAndHasNoEffectWhateverComesBetween) {
  families_max = 0;
  const std::vector<std::pair<std::string, std::function<void(const std::string&)>>> between = {
      {"nothing", [](const std::string&) {}},
      {"a restart", [this](const std::string&) { Start(); }},
      {"passivation",
       [this](const std::string& name) {
         node->Advance(options.idle_timeout + absl::Seconds(1));
         EXPECT_EQ(Find(name), nullptr);
       }},
      {"a reset",
       [this](const std::string& name) {
         EXPECT_FALSE(Ask(name, [](ScriptedObject& self) -> Task<absl::Status> {
                        (void)self.storage().Put("x", "dropped");
                        co_return NotFound("fails");
                      }).ok());
       }},
      {"a move",
       [this](const std::string& name) {
         families_max = 1;
         Start();
         Put(name, "k", "v");
         EXPECT_FALSE(Find(name)->packed());
       }},
      {"other requests with ids",
       [this](const std::string& name) {
         for (int i = 0; i < 20; ++i) AskAdd("other", absl::StrCat("id", i));
         AskAdd(name, "id");
       }},
  };
  for (const auto& [what, happen] : between) {
    SCOPED_TRACE(what);
    Start();
    auto first = AskAdd(what, "one");
    ASSERT_TRUE(first->ok());
    happen(what);
    const int number = Number(what);
    auto again = AskAdd(what, "one");
    EXPECT_TRUE(again->ok() && !again->begun);
    EXPECT_EQ(again->response, first->response);
    EXPECT_EQ(Number(what), number);
  }
}

TEST_F(RequestRecordsTest, RecordsOutliveTheirObjectThatIsDeletedAndBeginsAnew) {
  for (int bound : {0, 1}) {
    families_max = bound;
    Start();
    const std::string name = absl::StrCat("object", bound);
    auto first = AskAdd(name, "one");
    SendDeleteAll(scripted, name);
    node->Settle();
    EXPECT_EQ(recording.EntryCount(), 0u);
    EXPECT_EQ(AskAdd(name, "one")->response, first->response);
    EXPECT_EQ(recording.EntryCount(), 0u) << "an effect of a replay";
    AskAdd(name, "two");
    Start();
    EXPECT_EQ(AskAdd(name, "one")->response, first->response);
    EXPECT_EQ(Number(name), 1);
    SendDeleteAll(scripted, name);
    node->Settle();
  }
}

TEST_F(RequestRecordsTest, ADeletionHasARecordToo) {
  Start();
  Put("a", "k", "v");
  v1::DeleteAllRequest request;
  request.set_request_id("delete");
  auto first = SendTo<Object>(scripted, "a", &Object::DeleteAll, request);
  node->Settle();
  Put("a", "k", "new");
  auto again = SendTo<Object>(scripted, "a", &Object::DeleteAll, request);
  node->Settle();
  EXPECT_TRUE(first->ok() && again->ok());
  EXPECT_EQ(Get("a", "k"), "new");
  // The same holds where there was nothing to delete.
  auto nothing = SendTo<Object>(scripted, "b", &Object::DeleteAll, request);
  node->Settle();
  Put("b", "k", "new");
  Start();
  again = SendTo<Object>(scripted, "b", &Object::DeleteAll, request);
  node->Settle();
  EXPECT_TRUE(nothing->ok() && again->ok());
  EXPECT_EQ(Get("b", "k"), "new");
}

TEST_F(RequestRecordsTest, AReadWithAnIdIsRecordedWithoutAnObject) {
  Start();
  const auto read = [](ScriptedObject& self, std::string* reply) -> Task<absl::Status> {
    auto value = co_await self.storage().Get("k");
    *reply = (*value).value_or("nothing");
    co_return absl::OkStatus();
  };
  SendRecorded("a", "one", "read", read);
  node->Settle();
  EXPECT_EQ(recording.EntryCount(), 0u);
  Put("a", "k", "v");
  auto again = SendRecorded("a", "one", "read", read);
  node->Settle();
  EXPECT_EQ(again->response, "nothing");
}

TEST_F(RequestRecordsTest, ARetryIsNotAnsweredBeforeTheFirstIsDurable) {
  Start();
  auto first = SendAdd("a", "one");
  auto again = SendAdd("a", "one");
  node->SettleWithoutCommits();
  EXPECT_FALSE(first->done() || again->done());
  EXPECT_FALSE(again->begun);
  node->Settle();
  EXPECT_TRUE(first->ok() && again->ok());
  EXPECT_EQ(again->response, first->response);
}

TEST_F(RequestRecordsTest, ACrashBeforeTheCommitRanForgetsBothAndAfterItNeither) {
  Start();
  SendAdd("a", "one");
  node->SettleWithoutCommits();
  Start();
  EXPECT_TRUE(AskAdd("a", "one")->begun);
  EXPECT_EQ(Number("a"), 1);

  auto second = SendAdd("a", "two");
  node->executor().EndRound();
  ASSERT_TRUE(node->commits().RunWork());
  EXPECT_FALSE(second->done());
  Start();
  auto again = AskAdd("a", "two");
  EXPECT_FALSE(again->begun);
  EXPECT_EQ(again->response.substr(0, 2), "2 ");
  EXPECT_EQ(Number("a"), 2);
}

TEST_F(RequestRecordsTest, RecordAndEffectAreBothThereOrNeitherWhateverStepACrashComesAt) {
  bool seen_none = false;
  bool seen_both = false;
  for (int crash_after = 0; crash_after < 24; ++crash_after) {
    SCOPED_TRACE(absl::StrCat("crash after ", crash_after, " steps"));
    families_max = crash_after % 2 == 0 ? 0 : 100;
    const std::string name = absl::StrCat("object", crash_after);
    Start();
    const size_t before = RecordCount();
    store.set_cold(true);
    auto first = SendAdd(name, "one");
    for (int step = 0; step < crash_after; ++step) node->Step(0);
    const bool answered = first->ok();
    store.set_cold(false);
    Start();
    const int number = Number(name);
    EXPECT_EQ(RecordCount() - before, static_cast<size_t>(number));
    if (answered) EXPECT_EQ(number, 1);
    (number == 1 ? seen_both : seen_none) = true;
    auto again = AskAdd(name, "one");
    EXPECT_EQ(again->begun, number == 0);
    if (answered) EXPECT_EQ(again->response, first->response);
    EXPECT_EQ(Number(name), 1);
  }
  EXPECT_TRUE(seen_none && seen_both);
}

TEST_F(RequestRecordsTest, AnotherRequestWithTheSameIdIsRefusedAndDoesNothing) {
  Start();
  auto first = AskAdd("a", "one");
  const int instance = Instance("a");
  auto other = AskAdd("a", "one", "add with another text");
  EXPECT_THAT(*other->status, Fails(absl::StatusCode::kAlreadyExists, v1::ERROR_REASON_REQUEST_ID_REUSED));
  EXPECT_FALSE(other->begun || HasRetryInfo(*other->status));
  // The other method has the same fields.
  v1::CleanupRequest cleanup;
  cleanup.set_request_id("one");
  auto method = SendTo<Object>(scripted, "a", &Object::Cleanup, cleanup);
  node->Settle();
  EXPECT_THAT(*method->status, Fails(absl::StatusCode::kAlreadyExists, v1::ERROR_REASON_REQUEST_ID_REUSED));
  EXPECT_EQ(Number("a"), 1);
  EXPECT_EQ(Instance("a"), instance);
  EXPECT_EQ(AskAdd("a", "one")->response, first->response);
  // Another object has ids of its own; an id that is a prefix of another is a different one.
  EXPECT_TRUE(AskAdd("b", "one", "another text")->ok());
  EXPECT_TRUE(AskAdd("a", "on", "another text")->begun);
  EXPECT_TRUE(AskAdd("a", "onee", "another text")->begun);
}

TEST_F(RequestRecordsTest, WhatFailsLeavesNoRecord) {
  Start();
  bool fail = true;
  const auto script = [&fail](ScriptedObject& self, std::string* reply) -> Task<absl::Status> {
    (void)self.storage().Put("k", "v");
    *reply = "done";
    if (fail) co_return NotFound("not yet");
    co_return absl::OkStatus();
  };
  EXPECT_FALSE(SendRecorded("a", "one", "text", script)->ok());
  node->Settle();
  SendOptions unanswerable;
  unanswerable.reply_check = absl::ResourceExhaustedError("too large");
  fail = false;
  auto too_large = SendRecorded("a", "one", "text", script, unanswerable);
  node->Settle();
  EXPECT_FALSE(too_large->ok());
  EXPECT_EQ(RecordCount(), 0u);
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  auto again = SendRecorded("a", "one", "another text", script);
  node->Settle();
  EXPECT_TRUE(again->ok());
  EXPECT_EQ(Get("a", "k"), "v");
  EXPECT_EQ(RecordCount(), 1u);
}

TEST_F(RequestRecordsTest, AHandlerMayLeaveNoRecordAndSaysSoForItsOwnTurnOnly) {
  Start();
  int runs = 0;
  const auto denied = [&runs](ScriptedObject& self, std::string* reply) -> Task<absl::Status> {
    self.LeaveNoRecord();
    *reply = absl::StrCat(++runs);
    co_await self.Wait(absl::Seconds(1));
    co_return absl::OkStatus();
  };
  auto first = SendRecorded("a", "one", "text", denied);
  auto other = SendAdd("a", "two");
  auto same = SendRecorded("a", "one", "text", denied);
  node->Advance(absl::Seconds(3));
  EXPECT_TRUE(first->ok() && other->ok() && same->ok());
  EXPECT_EQ(same->response, "2");
  EXPECT_EQ(RecordCount(), 1u);
  EXPECT_FALSE(AskAdd("a", "two")->begun);
}

TEST_F(RequestRecordsTest, AReplyThatIsTooLargeToKeepIsRefusedAndNothingIsApplied) {
  Start();
  const auto reply_of = [](size_t bytes) {
    return [bytes](ScriptedObject& self, std::string* reply) -> Task<absl::Status> {
      *reply = std::string(bytes, 'x');
      co_return self.storage().Put("k", absl::StrCat(bytes));
    };
  };
  auto over = SendRecorded("a", "one", "text", reply_of(kRecordedReplyBytesMax + 1));
  node->Settle();
  EXPECT_THAT(*over->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_RESPONSE_TOO_LARGE));
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_EQ(RecordCount(), 0u);
  auto most = SendRecorded("a", "one", "text", reply_of(kRecordedReplyBytesMax));
  node->Settle();
  EXPECT_TRUE(most->ok());
  EXPECT_EQ(Get("a", "k"), absl::StrCat(kRecordedReplyBytesMax));
}

}  // namespace
}  // namespace holdfast::actors
