// The alarm and its handler. The objects follow scripts, and the test moves the clock.

#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kFail[] = "fail { code: 10 message: \"on purpose\" }";
constexpr char kInAnHour[] = "set_alarm { in { seconds: 3600 } }";
constexpr char kAtOnce[] = "set_alarm { at { seconds: 1 } }";

// Returns the time between the failure of attempt `failures` and the next attempt, without the jitter of up to a
// quarter.
absl::Duration Backoff(int failures) { return std::min(absl::Seconds(64), absl::Seconds(1 << failures)); }

class Alarms : public ScriptedBehaviour {
 protected:
  // Waits for the `number`th run, counted from 1.
  script::Note AlarmRun(int number) {
    const auto notes = Notes("o", "alarm", number);
    return notes.size() < static_cast<size_t>(number) ? script::Note() : notes[number - 1];
  }
  // Expects no more runs than these. A run that is due has begun by now, since the clock's turn and this one come after
  // it.
  void ExpectRuns(size_t count) {
    ASSERT_TRUE(IsOk(Run("o", {})));
    EXPECT_THAT(Notes("o", "alarm"), SizeIs(count));
  }
  std::optional<absl::Time> Alarm() { return AlarmOf("o", "Scripted"); }
};

INSTANTIATE_TEST_SUITE_P(Stores, Alarms, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Alarms, AnAlarmIsSetReadAndDeleted) {
  const auto none = Run("o", {"get_alarm: true"});
  EXPECT_FALSE(none->results(0).found());
  const absl::Time before = ServerNow();
  ASSERT_TRUE(IsOk(Run("o", {kInAnHour})));
  ASSERT_TRUE(Alarm().has_value());
  EXPECT_GE(*Alarm(), before + absl::Hours(1));
  EXPECT_LE(*Alarm(), ServerNow() + absl::Hours(1));
  ASSERT_TRUE(IsOk(Run("o", {"set_alarm { in { seconds: 7200 } }"})));
  EXPECT_GE(*Alarm(), before + absl::Hours(2));
  ASSERT_TRUE(IsOk(Run("o", {"delete_alarm: true"})));
  EXPECT_EQ(Alarm(), std::nullopt);
  ASSERT_TRUE(IsOk(Run("o", {"delete_alarm: true"})));
  Advance(absl::Hours(3));
  ExpectRuns(0);
}

TEST_P(Alarms, AnAlarmInThePastIsDueAtOnce) {
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  EXPECT_EQ(FromProto(AlarmRun(1).scheduled_time()), absl::FromUnixSeconds(1));
  WaitUntil([&] { return Alarm() == std::nullopt; });
}

TEST_P(Alarms, AnAlarmIsNeverEarly) {
  ASSERT_TRUE(IsOk(Run("o", {kInAnHour})));
  const absl::Time due = *Alarm();
  Advance(absl::Minutes(59));
  ExpectRuns(0);
  AdvanceTo(due - absl::Milliseconds(300));  // the rest passes in real time
  const auto run = AlarmRun(1);
  EXPECT_GE(FromProto(run.time()), due);
  EXPECT_EQ(FromProto(run.scheduled_time()), due);
  EXPECT_EQ(run.retry_count(), 0);
  ExpectRuns(1);
}

TEST_P(Alarms, AnAlarmThatIsReplacedFiresOnce) {
  ASSERT_TRUE(IsOk(Run("o", {kInAnHour})));
  ASSERT_TRUE(IsOk(Run("o", {"set_alarm { in { seconds: 60 } }"})));
  Advance(absl::Seconds(61));
  AlarmRun(1);
  Advance(absl::Hours(2));
  ExpectRuns(1);
}

TEST_P(Alarms, AnAlarmIsAbsentInItsOwnHandler) {
  SetAlarmScripts("o", {{"get_alarm: true", "note: \"waits\"", "await_signal: \"go\"", kInAnHour, "get_alarm: true"}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  Notes("o", "waits", 1);
  // The handler waits and has not written, so that other requests may run.
  EXPECT_EQ(Alarm(), std::nullopt);
  Signal("o", "go");
  const auto results = Notes("o", "result", 2);
  ASSERT_THAT(results, SizeIs(2));
  EXPECT_FALSE(results[0].result().found());
  EXPECT_TRUE(results[1].result().found());
  EXPECT_EQ(Alarm(), FromProto(results[1].result().alarm()));
}

TEST_P(Alarms, AnAlarmSetInTheHandlerFiresAgain) {
  SetAlarmScripts("o", {{kInAnHour}, {}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  const absl::Time first = FromProto(AlarmRun(1).time());
  WaitUntil([&] { return Alarm().has_value(); });
  EXPECT_GE(*Alarm(), first + absl::Hours(1) - absl::Seconds(1));
  Advance(absl::Hours(1));
  EXPECT_EQ(AlarmRun(2).retry_count(), 0);
  Advance(absl::Hours(2));
  ExpectRuns(2);
}

TEST_P(Alarms, AnAlarmSetInTheHandlerToTheSameTimeFiresAgain) {
  SetAlarmScripts("o", {{"set_alarm { same_time: true }"}, {"set_alarm { same_time: true }"}, {}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  const auto third = AlarmRun(3);
  EXPECT_EQ(third.retry_count(), 0);
  EXPECT_EQ(FromProto(third.scheduled_time()), absl::FromUnixSeconds(1));
  Advance(absl::Minutes(10));
  ExpectRuns(3);
  EXPECT_EQ(Alarm(), std::nullopt);
}

TEST_P(Alarms, AnAlarmSetByARequestWhileTheHandlerWaitsFires) {
  SetAlarmScripts("o", {{"note: \"waits\"", "await_signal: \"go\""}, {}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  Notes("o", "waits", 1);
  ASSERT_TRUE(IsOk(Run("o", {kInAnHour})));
  Signal("o", "go");
  Advance(absl::Hours(1));
  EXPECT_EQ(AlarmRun(2).retry_count(), 0);
}

TEST_P(Alarms, AnAlarmSetByAHandlerThatFailsWinsOverTheRetry) {
  SetAlarmScripts("o", {{"put { key: \"a\" value: \"dropped\" }", kInAnHour, kFail}, {}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  AlarmRun(1);
  WaitUntil([&] { return Alarm().has_value(); });
  EXPECT_GT(*Alarm(), ServerNow() + absl::Minutes(50));
  EXPECT_THAT(All("o", "Scripted"), IsEmpty());
  Advance(absl::Minutes(5));  // long enough for a retry, if there were one
  ExpectRuns(1);
  Advance(absl::Hours(1));
  EXPECT_EQ(AlarmRun(2).retry_count(), 0);
}

TEST_P(Alarms, DeleteInTheHandlerStopsTheRetry) {
  SetAlarmScripts("o", {{"delete_alarm: true", "note: \"deleted\"", kFail}, {}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  Notes("o", "deleted", 1);
  WaitUntil([&] { return Alarm() == std::nullopt; });
  Advance(absl::Minutes(5));
  ExpectRuns(1);
}

TEST_P(Alarms, AFailedAlarmIsRetriedSixTimesWithinTheBackoffAndThenGone) {
  const std::vector<std::string> fails = {"put { key: \"a\" value: \"dropped\" }", kFail};
  SetAlarmScripts("o", {fails, fails, fails, fails, fails, fails, fails, fails});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  auto run = AlarmRun(1);
  EXPECT_EQ(run.retry_count(), 0);
  for (int failures = 1; failures <= 6; ++failures) {
    const absl::Time failed = FromProto(run.time());
    // While the alarm is retried, GetAlarm returns the time for which it was set.
    EXPECT_EQ(Alarm(), absl::FromUnixSeconds(1));
    AdvanceTo(failed + Backoff(failures) - absl::Milliseconds(200));
    const absl::Time latest = AdvanceTo(failed + Backoff(failures) * 1.25);
    run = AlarmRun(failures + 1);
    EXPECT_EQ(run.retry_count(), failures);
    EXPECT_EQ(FromProto(run.scheduled_time()), absl::FromUnixSeconds(1));
    EXPECT_GE(FromProto(run.time()), failed + Backoff(failures));
    // The run was due by then; the rest is the machine's delay.
    EXPECT_LE(FromProto(run.time()), latest + absl::Seconds(10));
  }
  Advance(absl::Hours(1));
  ExpectRuns(7);
  WaitUntil([&] { return Alarm() == std::nullopt; });
  EXPECT_THAT(All("o", "Scripted"), IsEmpty());
  // A new alarm has no attempts behind it.
  SetAlarmScripts("o", {});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  EXPECT_EQ(AlarmRun(8).retry_count(), 0);
}

TEST_P(Alarms, ARetryThatSucceedsIsTheLast) {
  SetAlarmScripts("o", {{kFail}, {kFail}, {"put { key: \"a\" value: \"done\" }"}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  AlarmRun(1);
  Advance(absl::Seconds(3));
  AlarmRun(2);
  Advance(absl::Seconds(6));
  EXPECT_EQ(AlarmRun(3).retry_count(), 2);
  WaitUntil([&] { return !All("o", "Scripted").empty(); });
  EXPECT_EQ(Alarm(), std::nullopt);
  Advance(absl::Hours(1));
  ExpectRuns(3);
}

TEST_P(Alarms, AHandlerThatTakesTooLongHasFailed) {
  SetAlarmScripts("o", {{"put { key: \"a\" value: \"1\" }", "note: \"waits\"", "await_signal: \"never\""}, {}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  Notes("o", "waits", 1);
  Advance(absl::Minutes(16));
  WaitUntil([&] { return Alarm().has_value(); });
  EXPECT_THAT(All("o", "Scripted"), IsEmpty());
  Advance(absl::Seconds(3));
  EXPECT_EQ(AlarmRun(2).retry_count(), 1);
}

TEST_P(Alarms, AFailedLoadIsNoAttempt) {
  ASSERT_TRUE(IsOk(Run("o", {kInAnHour})));
  Passivate("o", "Scripted");
  SetLoad("o", {"note: \"fails to load\"", kFail});
  Advance(absl::Hours(1));
  Notes("o", "fails to load", 1);
  SetLoad("o", {});
  Advance(absl::Seconds(2));
  EXPECT_EQ(AlarmRun(1).retry_count(), 0);
}

TEST_P(Alarms, AnAlarmSurvivesPassivation) {
  ASSERT_TRUE(IsOk(Run("o", {kInAnHour})));
  const absl::Time due = *Alarm();
  Passivate("o", "Scripted");
  EXPECT_EQ(FromProto(Describe("o", "Scripted").alarm_time()), due);
  Advance(absl::Hours(1));
  EXPECT_GE(FromProto(AlarmRun(1).time()), due);
  // The alarm also survives when the object is idle for too long.
  ASSERT_TRUE(IsOk(Run("o", {kInAnHour})));
  Advance(absl::Seconds(11));
  WaitUntil([&] { return Describe("o", "Scripted").activation_state() == v1::ACTIVATION_STATE_INACTIVE; });
  Advance(absl::Hours(1));
  AlarmRun(2);
}

TEST_P(Alarms, ARetrySurvivesPassivation) {
  SetAlarmScripts("o", {{kFail}, {kFail}, {}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  AlarmRun(1);
  Advance(absl::Seconds(3));
  AlarmRun(2);
  WaitUntil([&] { return Alarm().has_value(); });
  Passivate("o", "Scripted");
  Advance(absl::Seconds(6));
  EXPECT_EQ(AlarmRun(3).retry_count(), 2);
}

TEST_P(Alarms, AFailedTurnLeavesTheOldAlarm) {
  ASSERT_TRUE(IsOk(Run("o", {kInAnHour})));
  const absl::Time due = *Alarm();
  EXPECT_FALSE(Run("o", {kAtOnce, kFail}).ok());
  EXPECT_EQ(Alarm(), due);
  EXPECT_FALSE(Run("o", {"delete_alarm: true", kFail}).ok());
  EXPECT_EQ(Alarm(), due);
  ExpectRuns(0);
  Advance(absl::Hours(1));
  AlarmRun(1);
}

TEST_P(Alarms, TheHandlersWritesAndItsEndAreOneCommit) {
  SetAlarmScripts("o", {{"put { key: \"a\" value: \"1\" }", kInAnHour, "put { key: \"b\" value: \"1\" }"}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  WaitUntil([&] { return !All("o", "Scripted").empty(); });
  EXPECT_THAT(All("o", "Scripted"), ElementsAre(Pair("a", "1"), Pair("b", "1")));
  EXPECT_TRUE(Alarm().has_value());
}

}  // namespace
}  // namespace holdfast::blackbox
