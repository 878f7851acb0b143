// Class RateLimiter while the wall clock is set back and forth: an object in memory counts the time that passes.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/from_wire.h"
#include "tests/unit/actors/objects/rate_limit_model.h"
#include "tests/unit/actors/objects/rate_limiter_fixture.h"

namespace holdfast::actors {
namespace {

v1::RateLimit ToWire(const LimitCheck& check, const std::string& key) {
  v1::RateLimit wire;
  wire.set_key(key);
  wire.set_limit(check.limit);
  wire.set_algorithm(check.algorithm);
  wire.set_cost(check.cost);
  if (check.algorithm == v1::RATE_LIMIT_ALGORITHM_CALENDAR) {
    wire.set_calendar_unit(static_cast<v1::CalendarUnit>(check.window_us));
  } else {
    SetDuration(check.window_us, wire.mutable_window());
  }
  if (check.algorithm == v1::RATE_LIMIT_ALGORITHM_GCRA) wire.set_burst(check.burst);
  return wire;
}

TEST_F(RateLimiterTest, TenThousandRandomLimitsAnswerAsTheModelWhileTheClockIsSet) {
  constexpr uint64_t kPerObject = 200;  // each object then has some hundred years behind it
  options.idle_timeout = absl::InfiniteDuration();
  int64_t checks = 0;
  uint64_t tried = 0;
  std::string object;
  int64_t ahead_us = 0;  // the object's time minus the steady time
  for (uint64_t run : simulation::Seeds(10'000)) {
    simulation::Dice dice(run);
    if (tried++ % kPerObject == 0) {
      object = absl::StrCat("object", run);
      clock.SetSteady(absl::FromUnixSeconds(1'700'000'000));
      clock.StepWall(clock.Steady() - clock.Wall());
      Start();
      Check(Limit("first", 1), true, object);
      ahead_us = absl::ToUnixMicros(clock.Wall()) - absl::ToUnixMicros(clock.Steady());
    }
    const std::string key = absl::StrCat("key", run);
    LimitCheck check = AnyCheck(dice);
    const bool is_gcra = check.algorithm == v1::RATE_LIMIT_ALGORITHM_GCRA;
    const int64_t cost_max = std::min<int64_t>(is_gcra ? std::min(check.limit, check.burst) : check.limit, 40);
    LimitModel model(check);
    const int64_t step_us =
        check.algorithm == v1::RATE_LIMIT_ALGORITHM_CALENDAR
            ? (int64_t[]){0, 60'000'000, 3'600'000'000, 86'400'000'000, 2'678'400'000'000}[check.window_us]
            : check.window_us;
    for (int i = 0; i < 10; ++i) {
      clock.Advance(
          absl::Microseconds(dice.OneIn(5) ? dice.Between(0, step_us) : dice.Between(0, step_us / check.limit + 1)));
      if (dice.OneIn(2)) clock.StepWall(absl::Microseconds(dice.Between(-2 * step_us, 2 * step_us)));
      const int64_t now_us = absl::ToUnixMicros(clock.Steady()) + ahead_us;
      check.cost = dice.OneIn(4) ? -dice.Between(1, cost_max) : dice.Between(1, cost_max);
      const bool peek = dice.OneIn(8);
      const auto reply = Check(ToWire(check, key), peek, object);
      ASSERT_EQ(reply.allowed(), model.Allows(check.cost, now_us)) << simulation::Replay(run) << " check " << i;
      if (reply.allowed() && !peek) model.Count(check.cost, now_us);
      if (!peek || !reply.allowed()) {
        ASSERT_EQ(reply.remaining(), model.Remaining(now_us)) << simulation::Replay(run) << " check " << i;
      }
      if (!reply.allowed()) {
        const int64_t at_us = now_us + FromWire(reply.retry_after()) / absl::Microseconds(1);
        ASSERT_TRUE(model.Allows(check.cost, at_us)) << simulation::Replay(run) << " check " << i;
        ASSERT_FALSE(model.Allows(check.cost, at_us - 1)) << simulation::Replay(run) << " check " << i;
      }
      ++checks;
    }
  }
  EXPECT_GE(checks, 10 * static_cast<int64_t>(tried));
}

}  // namespace
}  // namespace holdfast::actors
