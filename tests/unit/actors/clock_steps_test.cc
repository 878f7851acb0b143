// The wall clock is set while durations go on: alarms, deadlines, limits of turns, and times computed from a delay.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/unit/actors/alarm_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class ClockStepsTest : public AlarmTest {
 protected:
  ClockStepsTest() { clock.set_steps(true); }

  // Sets an alarm in the manner of a client that names an instant.
  void SetInstant(const std::string& name, absl::Time time) { SetAlarm(name, time, storage::AlarmClock::kWall); }
  // Sets an alarm in the manner of an object that computes it from a delay.
  void SetDelay(const std::string& name, absl::Duration delay) {
    EXPECT_TRUE(Ask(name, [delay](ScriptedObject& object) -> Task<absl::Status> {
                  object.storage().SetAlarm(object.Now() + delay);
                  co_return absl::OkStatus();
                }).ok());
  }
};

TEST_F(ClockStepsTest, AnInstantComesInTimeThoughTheClockWasBackForASecond) {
  Start();
  const absl::Time time = clock.Wall() + absl::Seconds(4);
  SetInstant("a", time);
  clock.StepWall(-absl::Seconds(60));
  node->Advance(absl::Seconds(1));
  clock.StepWall(absl::Seconds(60));
  node->Advance(absl::Seconds(3) - absl::Microseconds(1));
  EXPECT_THAT(fired, IsEmpty());
  node->Advance(absl::Microseconds(1));
  ASSERT_THAT(fired, SizeIs(1));
  EXPECT_EQ(fired[0].time, time);
}

TEST_F(ClockStepsTest, AnInstantThatAStepSkipsComesWithinASecond) {
  Start();
  for (const absl::Duration ahead : {absl::Seconds(20), absl::Hours(5)}) {
    fired.clear();
    SetInstant("a", clock.Wall() + ahead);
    node->Advance(absl::Milliseconds(1500));
    clock.StepWall(ahead);
    node->Advance(absl::Seconds(1));
    EXPECT_THAT(fired, SizeIs(1)) << ahead;
  }
}

TEST_F(ClockStepsTest, ADelayIsNeitherShortenedNorDrawnOut) {
  for (const absl::Duration step : {absl::Seconds(600), -absl::Seconds(600), absl::Hours(30), -absl::Hours(30)}) {
    for (const absl::Duration delay : {absl::Seconds(3), absl::Seconds(100)}) {
      SCOPED_TRACE(absl::StrCat(absl::FormatDuration(step), " ", absl::FormatDuration(delay)));
      Start();
      fired.clear();
      SetDelay("a", delay);
      node->Advance(absl::Seconds(1));
      clock.StepWall(step);
      node->Advance(delay - absl::Seconds(1) - absl::Microseconds(1));
      EXPECT_THAT(fired, IsEmpty());
      node->Advance(absl::Microseconds(1));
      EXPECT_THAT(fired, SizeIs(1));
      node->Advance(absl::Hours(1));
      EXPECT_THAT(fired, SizeIs(1));
      EXPECT_TRUE(recording.Dump()["alarms"].empty());
    }
  }
}

// The clock was ahead for two seconds, and the delay was set in that time.
TEST_F(ClockStepsTest, ADelayThatIsSetWhileTheClockIsWrongIsItsOwnLength) {
  Start();
  clock.StepWall(absl::Seconds(600));
  SetDelay("a", absl::Seconds(1));
  node->Advance(absl::Milliseconds(500));
  clock.StepWall(-absl::Seconds(600));
  node->Advance(absl::Milliseconds(500) - absl::Microseconds(1));
  EXPECT_THAT(fired, IsEmpty());
  node->Advance(absl::Microseconds(1));
  EXPECT_THAT(fired, SizeIs(1));
}

TEST_F(ClockStepsTest, AfterARestartADelayIsAnInstant) {
  Start();
  SetDelay("a", absl::Seconds(30));
  const absl::Time due = clock.Wall() + absl::Seconds(30);
  node->Advance(absl::Seconds(1));
  Start();
  clock.StepWall(due - clock.Wall() - absl::Microseconds(1));
  node->Advance(absl::ZeroDuration());
  EXPECT_THAT(fired, IsEmpty());
  node->Advance(absl::Microseconds(1));
  EXPECT_THAT(fired, SizeIs(1));
}

// The object's own clock is far ahead, and its alarm is due after the delay all the same.
TEST_F(ClockStepsTest, ADelayOfAnObjectWhoseClockIsAheadIsDueByTheWallClock) {
  Start();
  clock.StepWall(absl::Hours(2));
  SetDelay("a", absl::Seconds(1));
  node->Advance(absl::Minutes(1));
  ASSERT_EQ(Find("a"), nullptr);
  clock.StepWall(-absl::Hours(2));
  fired.clear();
  SetDelay("a", absl::Seconds(30));
  node->Advance(absl::Seconds(1));
  Start();
  node->Advance(absl::Seconds(28));
  EXPECT_THAT(fired, IsEmpty());
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(fired, SizeIs(1));
}

TEST_F(ClockStepsTest, ADeadlineIsADuration) {
  for (const absl::Duration step : {-absl::Seconds(60), absl::Seconds(60)}) {
    Start();
    auto first = Send("a", [](ScriptedObject& object) -> Task<absl::Status> {
      object.storage().Put("k", "v").IgnoreError();
      co_await object.Wait(absl::Seconds(3));
      co_return absl::OkStatus();
    });
    auto second = Send("a", [](ScriptedObject&) -> Task<absl::Status> { co_return absl::OkStatus(); },
                       {.deadline = clock.Steady() + absl::Seconds(5)});
    clock.StepWall(step);
    node->Advance(absl::Seconds(3));
    EXPECT_TRUE(first->ok()) << step;
    EXPECT_TRUE(second->ok()) << step;
  }
}

TEST_F(ClockStepsTest, ATurnHasItsTimeWhateverTheClockSays) {
  options.turn_timeout = absl::Seconds(5);
  Start();
  auto sent = Send("a", [](ScriptedObject& object) -> Task<absl::Status> {
    co_await object.Wait(absl::Seconds(4));
    co_return absl::OkStatus();
  });
  clock.StepWall(absl::Hours(1));
  node->Advance(absl::Seconds(4));
  EXPECT_TRUE(sent->ok());
}

}  // namespace
}  // namespace holdfast::actors
