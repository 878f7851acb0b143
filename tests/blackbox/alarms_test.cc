// The alarm and its handler in a server process: timers in real time, and the time limit of the server's configuration.
// The objects follow scripts, and the test moves the clock.

#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kInAnHour[] = "set_alarm { in { seconds: 3600 } }";
constexpr char kAtOnce[] = "set_alarm { at { seconds: 1 } }";

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

}  // namespace
}  // namespace holdfast::blackbox
