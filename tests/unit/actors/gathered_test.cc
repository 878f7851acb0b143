// Requests that are delivered together, as the items of a batch are: each is a request like any other, with a turn and
// an outcome of its own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/base/observer.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class Counting : public storage::Observer {
 public:
  void RequestQueued(absl::string_view, size_t) override { ++counts["queued"]; }
  void RequestRefused(absl::string_view, const absl::Status&) override { ++counts["refused"]; }
  void RequestBegun(absl::string_view) override { ++counts["begun"]; }
  void RequestEnded(absl::string_view, const absl::Status& outcome, absl::Duration) override {
    ++counts[outcome.ok() ? "ended" : "failed"];
  }
  std::map<std::string, int> counts;
};

class GatheredTest : public ScriptedTest {
 protected:
  using Outcomes = std::vector<std::shared_ptr<Outcome>>;

  // Adds one to the member and stores it.
  static Task<absl::Status> Add(ScriptedObject& object) {
    co_return object.storage().Put("member", absl::StrCat(++object.member));
  }
  static Task<absl::Status> Refuse(ScriptedObject&) { co_return absl::OutOfRangeError("before a write"); }
  static Task<absl::Status> WriteAndFail(ScriptedObject& object) {
    object.member += 100;
    (void)object.storage().Put("member", "never");
    co_return absl::OutOfRangeError("after a write");
  }
  // Holds the input gate for a second.
  static Task<absl::Status> Block(ScriptedObject& object) {
    (void)object.storage().Put("blocked", "");
    co_await object.Wait(absl::Seconds(1));
    co_return absl::OkStatus();
  }
  static Task<absl::Status> LoadMember(ScriptedObject& object) {
    auto stored = co_await object.storage().Get("member");
    if (!stored.ok()) co_return stored.status();
    if (*stored && !absl::SimpleAtoi(**stored, &object.member)) co_return absl::DataLossError("no number");
    co_return absl::OkStatus();
  }

  Outcomes SendTogether(const std::string& name, const std::vector<Script>& scripts) {
    Outcomes sent;
    Together([&] {
      for (const Script& script : scripts) sent.push_back(Send(name, script));
    });
    return sent;
  }
};

TEST_F(GatheredTest, ThoseOfOneObjectRunInTheirOrderBetweenThoseOfOthers) {
  Start();
  Outcomes sent;
  std::map<std::string, std::vector<int>> order;
  Together([&] {
    for (int i = 0; i < 3; ++i) {
      for (const std::string name : {"a", "b"}) {
        sent.push_back(Send(name, [&order, i](ScriptedObject& object) -> Task<absl::Status> {
          order[object.name].push_back(i);
          co_return absl::OkStatus();
        }));
      }
    }
  });
  node->Settle();
  for (const auto& one : sent) EXPECT_TRUE(one->ok());
  EXPECT_EQ(order["a"], (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(order["b"], (std::vector<int>{0, 1, 2}));
}

TEST_F(GatheredTest, ManyMoreThanGatherAtATimeAllRun) {
  Start();
  const Outcomes sent = SendTogether("a", std::vector<Script>(3 * ShardHost::kGatheredMax + 1, Add));
  node->Settle();
  for (size_t i = 0; i < sent.size(); ++i) {
    EXPECT_TRUE(sent[i]->ok());
    EXPECT_EQ(sent[i]->done_as, static_cast<int>(i) + 1);
  }
  EXPECT_EQ(Get("a", "member"), absl::StrCat(sent.size()));
}

TEST_F(GatheredTest, NoneIsAnsweredBeforeItIsDurable) {
  Start();
  const Outcomes sent = SendTogether("a", {Add, Add});
  EXPECT_FALSE(sent[0]->done() || sent[1]->done());
  Crash();
  Start();
  EXPECT_EQ(Get("a", "member"), std::nullopt);
}

TEST_F(GatheredTest, OneThatFailsBeforeAWriteTouchesNoOther) {
  Start();
  const Outcomes sent = SendTogether("a", {Add, Refuse, Add});
  node->Settle();
  EXPECT_TRUE(sent[0]->ok());
  EXPECT_TRUE(absl::IsOutOfRange(*sent[1]->status));
  EXPECT_TRUE(sent[2]->ok());
  EXPECT_EQ(Get("a", "member"), "2");
  EXPECT_EQ(board().instances, 1);
}

TEST_F(GatheredTest, OneThatFailsAfterAWriteLosesItsWritesOnly) {
  board().load = LoadMember;
  Start();
  const Outcomes sent = SendTogether("a", {Add, WriteAndFail, Add});
  node->Settle();
  EXPECT_TRUE(sent[0]->ok());
  EXPECT_TRUE(absl::IsOutOfRange(*sent[1]->status));
  EXPECT_TRUE(sent[2]->ok());
  EXPECT_EQ(Get("a", "member"), "2");
  EXPECT_EQ(board().instances, 2) << "the instance of the one that failed is discarded";
}

TEST_F(GatheredTest, OneThatDeletesTheObjectLeavesANewOneToTheNext) {
  Start();
  std::shared_ptr<Outcome> before, after;
  std::shared_ptr<Sent<v1::DeleteAllResponse>> deletion;
  Together([&] {
    before = Send("a", Add);
    deletion = SendDeleteAll(scripted, "a");
    after = Send("a", Add);
  });
  node->Settle();
  EXPECT_TRUE(before->ok() && deletion->ok() && after->ok());
  EXPECT_EQ(Get("a", "member"), "1");
}

TEST_F(GatheredTest, TheyLoadAnObjectThatLeftMemory) {
  options.idle_timeout = absl::Seconds(1);
  board().load = LoadMember;
  Start();
  SendTogether("a", {Add, Add});
  node->Advance(absl::Seconds(3));
  ASSERT_EQ(Find("a"), nullptr);
  const Outcomes sent = SendTogether("a", {Add, Add});
  node->Settle();
  EXPECT_TRUE(sent[0]->ok() && sent[1]->ok());
  EXPECT_EQ(board().loads, 2);
  EXPECT_EQ(Get("a", "member"), "4");
}

TEST_F(GatheredTest, ThoseOfAnObjectThatDoesNotLoadFailAndOthersRun) {
  board().load = [](ScriptedObject& object) -> Task<absl::Status> {
    co_return object.name == "bad" ? absl::DataLossError("no state") : absl::OkStatus();
  };
  Start();
  Outcomes bad;
  std::shared_ptr<Outcome> good;
  Together([&] {
    bad.push_back(Send("bad", Add));
    good = Send("good", Add);
    bad.push_back(Send("bad", Add));
  });
  node->Settle();
  EXPECT_TRUE(good->ok());
  for (const auto& one : bad) {
    ASSERT_TRUE(one->done());
    EXPECT_TRUE(absl::IsDataLoss(*one->status)) << *one->status;
    EXPECT_FALSE(one->begun);
  }
}

TEST_F(GatheredTest, OneWhoseDeadlinePassesInTheMailboxIsNotRun) {
  Start();
  Send("a", Block);
  std::shared_ptr<Outcome> first, late, last;
  Together([&] {
    first = Send("a", Add);
    late = Send("a", Add, {.deadline = clock.Steady() + absl::Milliseconds(500)});
    last = Send("a", Add);
  });
  node->Advance(absl::Seconds(2));
  EXPECT_TRUE(first->ok() && last->ok());
  ASSERT_TRUE(late->done());
  EXPECT_THAT(*late->status, Fails(absl::StatusCode::kDeadlineExceeded, v1::ERROR_REASON_DEADLINE_PASSED));
  EXPECT_FALSE(late->begun);
  EXPECT_EQ(Get("a", "member"), "2");
}

TEST_F(GatheredTest, EachTakesAPlaceInTheMailbox) {
  options.mailbox.requests_max = 3;
  Start();
  Send("a", Block);
  const Outcomes sent = SendTogether("a", std::vector<Script>(5, Add));
  EXPECT_EQ(Find("a")->mailbox_depth(), 3u);
  for (int i = 3; i < 5; ++i) {
    ASSERT_TRUE(sent[i]->done());
    EXPECT_THAT(*sent[i]->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL));
    EXPECT_TRUE(HasRetryInfo(*sent[i]->status));
  }
  node->Advance(absl::Seconds(1));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(sent[i]->ok());
}

TEST_F(GatheredTest, EachTakesItsBytesInTheMailbox) {
  options.mailbox.bytes_max = 1000;
  Start();
  Send("a", Block);
  std::shared_ptr<Outcome> first, large, small;
  Together([&] {
    first = Send("a", Add, {.bytes = 600});
    large = Send("a", Add, {.bytes = 500});
    small = Send("a", Add, {.bytes = 400});
  });
  ASSERT_TRUE(large->done());
  EXPECT_THAT(*large->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL));
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(first->ok() && small->ok());
}

TEST_F(GatheredTest, AFreeObjectTakesMoreThanItsMailboxHolds) {
  options.mailbox.requests_max = 3;
  Start();
  Put("a", "k", "v");
  const Outcomes sent = SendTogether("a", std::vector<Script>(10, Add));
  node->Settle();
  for (const auto& one : sent) EXPECT_TRUE(one->ok());
  EXPECT_EQ(Get("a", "member"), "10");
}

TEST_F(GatheredTest, ARepeatedRequestIdIsAReplay) {
  Start();
  const auto add = [](ScriptedObject& object, std::string* reply) -> Task<absl::Status> {
    *reply = absl::StrCat(++object.member);
    co_return object.storage().Put("member", *reply);
  };
  std::shared_ptr<Sent<std::string>> first, again, other;
  Together([&] {
    first = SendRecorded("a", "id", "text", add);
    again = SendRecorded("a", "id", "text", add);
    other = SendRecorded("a", "id", "another text", add);
  });
  node->Settle();
  EXPECT_TRUE(first->ok() && again->ok());
  EXPECT_EQ(again->response, first->response);
  ASSERT_TRUE(other->done());
  EXPECT_TRUE(absl::IsAlreadyExists(*other->status)) << *other->status;
  EXPECT_EQ(Get("a", "member"), "1");
}

TEST_F(GatheredTest, ARepeatedRequestIdWaitsForTheFirstAndOthersOvertakeIt) {
  Start();
  const auto slow = [](ScriptedObject& object, std::string* reply) -> Task<absl::Status> {
    *reply = "once";
    co_await object.Wait(absl::Seconds(1));
    co_return object.storage().Put("k", "v");
  };
  std::shared_ptr<Sent<std::string>> first, again;
  std::shared_ptr<Outcome> other;
  Together([&] {
    first = SendRecorded("a", "id", "text", slow);
    again = SendRecorded("a", "id", "text", slow);
    other = Send("a", Add);
  });
  node->Settle();
  EXPECT_TRUE(other->ok());
  EXPECT_FALSE(first->done() || again->done());
  node->Advance(absl::Seconds(1));
  EXPECT_TRUE(first->ok() && again->ok());
  EXPECT_FALSE(again->begun);
}

TEST_F(GatheredTest, ThoseThatTheDiskIsTooSlowForAreRefused) {
  options.pipeline_bytes_max = 1000;
  Start();
  const auto put = [](ScriptedObject& object) -> Task<absl::Status> {
    co_return object.storage().Put("k", std::string(2000, 'x'));
  };
  const Outcomes sent = SendTogether("a", std::vector<Script>(2 * ShardHost::kGatheredMax, put));
  for (size_t i = ShardHost::kGatheredMax; i < sent.size(); ++i) {
    ASSERT_TRUE(sent[i]->done());
    EXPECT_THAT(*sent[i]->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED));
  }
  node->Settle();
  for (size_t i = 0; i < ShardHost::kGatheredMax; ++i) EXPECT_TRUE(sent[i]->ok());
}

TEST_F(GatheredTest, AfterACommitThatFailedEachIsToldThatItsOutcomeIsUnknown) {
  Start();
  store.set_commit_error(absl::DataLossError("the disk is gone"));
  Outcomes sent = SendTogether("a", {Add, Refuse, Add});
  node->Settle();
  const Outcomes late = SendTogether("a", {Add, Add});
  for (const auto& one : late) EXPECT_FALSE(one->begun);
  sent.insert(sent.end(), late.begin(), late.end());
  for (const auto& one : sent) {
    ASSERT_TRUE(one->done());
    EXPECT_THAT(*one->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OUTCOME_UNKNOWN));
  }
}

TEST_F(GatheredTest, TheObserverIsToldOfEach) {
  Counting counting;
  observer = &counting;
  options.mailbox.requests_max = 4;
  Start();
  Send("a", Block);
  const Outcomes sent = SendTogether("a", {Add, Refuse, WriteAndFail, Add, Add});
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(counting.counts, UnorderedElementsAre(Pair("queued", 5), Pair("refused", 1), Pair("begun", 5),
                                                    Pair("ended", 3), Pair("failed", 2)));
  Crash();
}

}  // namespace
}  // namespace holdfast::actors
