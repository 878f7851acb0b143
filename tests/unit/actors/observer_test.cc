// Counts the events that the runtime tells an observer.

#include "storage/base/observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// Counts all events by name, and keeps their arguments.
class Counting : public storage::Observer {
 public:
  void RequestQueued(absl::string_view object_class, size_t depth) override {
    ++counts["queued"];
    object_classes[std::string(object_class)]++;
    depths.push_back(depth);
  }
  void RequestRefused(absl::string_view, const absl::Status& why) override {
    ++counts["refused"];
    reasons.push_back(v1::ErrorReason_Name(ReasonOf(why)));
  }
  void RequestBegun(absl::string_view) override { ++counts["begun"]; }
  void RequestEnded(absl::string_view, const absl::Status& outcome, absl::Duration time) override {
    ++counts[outcome.ok() ? "ended" : "failed"];
    times.push_back(time);
  }
  void Activated(absl::string_view, absl::Duration) override { ++counts["activated"]; }
  void Passivated(absl::string_view) override { ++counts["passivated"]; }
  void AlarmBegun(absl::string_view, absl::Duration late) override {
    ++counts["alarms"];
    lateness.push_back(late);
  }
  void AlarmFailed(absl::string_view, int attempt, bool dropped) override {
    ++counts[dropped ? "alarms dropped" : "alarms retried"];
    attempts.push_back(attempt);
  }
  void CommitEnded(const CommitStats& stats) override {
    ++counts[stats.ok ? "commits" : "failed commits"];
    EXPECT_GT(stats.bytes, 0u);
    EXPECT_GT(stats.keyspaces, 0u);
  }

  std::map<std::string, int> counts;
  std::map<std::string, int> object_classes;
  std::vector<size_t> depths;
  std::vector<std::string> reasons;
  std::vector<absl::Duration> times;
  std::vector<absl::Duration> lateness;
  std::vector<int> attempts;
};

class ObserverTest : public ScriptedTest {
 protected:
  ObserverTest() { observer = &counting; }

  static Task<absl::Status> Put(ScriptedObject& self) {
    co_return self.storage().Put("k", absl::StrCat(++self.member));
  }
  static Task<absl::Status> WaitASecond(ScriptedObject& self) {
    (void)self.storage().Put("k", "");
    co_await self.Wait(absl::Seconds(1));
    co_return absl::OkStatus();
  }

  Counting counting;
};

TEST_F(ObserverTest, ARequestIsQueuedBegunAndEndedAndItsCommitToo) {
  Start();
  Send("a", Put);
  node->Settle();
  EXPECT_THAT(counting.counts, UnorderedElementsAre(Pair("queued", 1), Pair("activated", 1), Pair("begun", 1),
                                                    Pair("ended", 1), Pair("commits", 1)));
  EXPECT_THAT(counting.object_classes, ElementsAre(Pair("Scripted", 1)));
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(counting.counts["passivated"], 1);
}

TEST_F(ObserverTest, ItIsToldHowManyWaitAndHowLongATurnTook) {
  Start();
  Send("a", WaitASecond);
  node->Settle();
  Send("a", Put);
  Send("a", Put);
  EXPECT_EQ(counting.depths.back(), 2u);
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(counting.times, ElementsAre(absl::Seconds(1), absl::ZeroDuration(), absl::ZeroDuration()));
}

TEST_F(ObserverTest, WhatIsRefusedBeforeItBeginsIsNotBegun) {
  options.mailbox.requests_max = 1;
  Start();
  Send("a", WaitASecond);
  node->Settle();
  SendOptions impatient;
  impatient.deadline = clock.Steady() + absl::Milliseconds(10);
  Send("a", Put, impatient);
  Send("a", Put);
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(counting.reasons, ElementsAre("ERROR_REASON_MAILBOX_FULL", "ERROR_REASON_DEADLINE_PASSED"));
  EXPECT_EQ(counting.counts["begun"], 1);
  EXPECT_EQ(counting.counts["ended"], 1);
}

TEST_F(ObserverTest, EachRequestThatBeginsEndsOnce) {
  Start();
  Send("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "v");
    co_return absl::InternalError("after a write");
  });
  Send("b", [](ScriptedObject& self) -> Task<absl::Status> {
    co_await self.Wait(absl::Hours(1));  // the turn's time limit ends this wait
    co_return absl::OkStatus();
  });
  Send("b", Put);
  node->Advance(absl::Hours(2));
  EXPECT_EQ(counting.counts["begun"], 3);
  EXPECT_EQ(counting.counts["ended"], 1);
  EXPECT_EQ(counting.counts["failed"], 2);
  EXPECT_EQ(counting.counts["activated"], counting.counts["passivated"]);
}

TEST_F(ObserverTest, AlarmsTellHowLateTheyAreAndWhichAttemptsFailed) {
  int fails = 2;
  board().alarm = [&fails](ScriptedObject&, const AlarmRun&) -> Task<absl::Status> {
    co_return fails-- > 0 ? absl::InternalError("fails") : absl::OkStatus();
  };
  Start();
  Send("a", [this](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().SetAlarm(clock.Now() + absl::Seconds(1));
    co_return absl::OkStatus();
  });
  node->Settle();
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(counting.counts["alarms"], 3);
  EXPECT_EQ(counting.counts["alarms retried"], 2);
  EXPECT_THAT(counting.attempts, ElementsAre(1, 2));
  // The test's clock is finer than the microseconds of an alarm.
  for (absl::Duration late : counting.lateness) EXPECT_LT(late, absl::Microseconds(1));
  EXPECT_EQ(counting.counts["begun"], 1) << "an alarm is no request";
}

TEST_F(ObserverTest, TheLastAttemptThatAClassAllowsIsTheLast) {
  scripted = MakeScriptedClass({}, /*alarm_attempts_max=*/2);
  board().alarm = [](ScriptedObject&, const AlarmRun&) -> Task<absl::Status> {
    co_return absl::InternalError("fails");
  };
  Start();
  Send("a", [this](ScriptedObject& self) -> Task<absl::Status> {
    self.storage().SetAlarm(clock.Now());
    co_return absl::OkStatus();
  });
  node->Settle();
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(counting.attempts, ElementsAre(1, 2));
  EXPECT_EQ(counting.counts["alarms retried"], 1);
  EXPECT_EQ(counting.counts["alarms dropped"], 1);
}

// --- Times of turns, for traces. They need no observer.

TEST_F(ScriptedTest, ADeliveryIsToldWhenItsTurnBeganAndEnded) {
  Start();
  const absl::Time start = clock.Steady();
  const ScriptedObject::Script wait = [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "");
    co_await self.Wait(absl::Seconds(1));
    co_return absl::OkStatus();
  };
  TurnTimes first;
  TurnTimes second;
  Send("a", wait, {.times = &first});
  Send("a", wait, {.times = &second});
  const auto untold = Send("a", wait);
  EXPECT_EQ(first.began, start);
  EXPECT_EQ(first.ended, absl::InfinitePast());
  EXPECT_EQ(second.began, absl::InfinitePast()) << "it waits in the mailbox";
  node->Advance(absl::Seconds(3));
  EXPECT_TRUE(untold->ok());
  EXPECT_EQ(first.ended, start + absl::Seconds(1));
  EXPECT_EQ(second.began, start + absl::Seconds(1));
  EXPECT_EQ(second.ended, start + absl::Seconds(2));
}

TEST_F(ScriptedTest, ATurnThatIsGivenUpHasItsEndAndOneThatNeverBeganHasNone) {
  options.mailbox.requests_max = 1;
  Start();
  const absl::Time start = clock.Steady();
  TurnTimes stuck;
  TurnTimes late;
  TurnTimes refused;
  const ScriptedObject::Script forever = [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "");
    co_await self.Wait(absl::Hours(1));
    co_return absl::OkStatus();
  };
  Send("a", forever, {.times = &stuck});
  node->Settle();
  Send("a", forever, {.deadline = start + absl::Seconds(1), .times = &late});
  Send("a", forever, {.times = &refused});
  node->Advance(absl::Hours(2));
  EXPECT_EQ(stuck.began, start);
  EXPECT_EQ(stuck.ended, start + options.turn_timeout);
  EXPECT_EQ(late.began, absl::InfinitePast());
  EXPECT_EQ(refused.began, absl::InfinitePast());
}

}  // namespace
}  // namespace holdfast::actors
