// Compares all algorithms of rate limits with plain models, for random limits.

#include "tests/unit/actors/objects/rate_limit_model.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/simulation/seed.h"

namespace holdfast::actors {
namespace {

TEST(LimitModelTest, TenThousandRandomLimitsAnswerAsTheModel) {
  int64_t checks = 0;
  for (uint64_t run : simulation::Seeds(10'000)) {
    simulation::Dice dice(run);
    LimitCheck check = AnyCheck(dice);
    const bool is_gcra = check.algorithm == v1::RATE_LIMIT_ALGORITHM_GCRA;
    const int64_t cost_max = std::min<int64_t>(is_gcra ? std::min(check.limit, check.burst) : check.limit, 40);
    int64_t now_us = kNow + dice.Between(0, 100'000'000'000);
    LimitState state = NewState(check.algorithm, check.window_us);
    LimitModel model(check);
    // The steps are about an interval or about a window.
    const int64_t step_us =
        check.algorithm == v1::RATE_LIMIT_ALGORITHM_CALENDAR
            ? (int64_t[]){0, 60'000'000, 3'600'000'000, 86'400'000'000, 2'678'400'000'000}[check.window_us]
            : check.window_us;
    for (int i = 0; i < 30; ++i) {
      now_us += dice.OneIn(5) ? dice.Between(0, step_us) : dice.Between(0, step_us / check.limit + 1);
      check.cost = dice.OneIn(4) ? -dice.Between(1, cost_max) : dice.Between(1, cost_max);
      const LimitState::Verdict verdict = state.Judge(check, now_us, true);
      ASSERT_EQ(verdict.allowed, model.Allows(check.cost, now_us)) << simulation::Replay(run) << " check " << i;
      ASSERT_EQ(LimitState(state).Judge(check, now_us, false).remaining, model.Remaining(now_us))
          << simulation::Replay(run) << " check " << i;
      if (verdict.allowed && !dice.OneIn(8)) {
        if (check.cost < 0 && check.algorithm == v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG) {
          for (int64_t units = -check.cost; units > 0;) {
            const auto request = state.mutable_log()->GiveBackNewest(units, now_us);
            if (!request) break;
            units -= request->cost;
          }
        } else {
          state.Count(check, now_us);
        }
        model.Count(check.cost, now_us);
        ASSERT_EQ(verdict.remaining, model.Remaining(now_us)) << simulation::Replay(run) << " check " << i;
        ++checks;
      } else if (check.cost > 0) {
        ExpectExact(state, check, now_us, is_gcra ? std::min(check.limit, check.burst) : check.limit);
        if (::testing::Test::HasFatalFailure()) FAIL() << simulation::Replay(run) << " check " << i;
      }
    }
  }
  EXPECT_GT(checks, 50'000);
}

// In every algorithm, limit - k units are left after k units from rest.
TEST(LimitModelTest, FromRestTheLimitLessWhatWasTakenRemains) {
  for (uint64_t run : simulation::Seeds(10'000)) {
    simulation::Dice dice(run);
    LimitCheck check = AnyCheck(dice);
    check.burst = check.limit;
    LimitState state = NewState(check.algorithm, check.window_us);
    int64_t taken = 0;
    for (int i = 0; i < 5 && taken < check.limit; ++i) {
      check.cost = dice.Between(1, check.limit - taken);
      const LimitState::Verdict verdict = state.Judge(check, kNow, true);
      taken += check.cost;
      ASSERT_TRUE(verdict.allowed) << simulation::Replay(run);
      ASSERT_EQ(verdict.remaining, check.limit - taken) << simulation::Replay(run);
      state.Count(check, kNow);
    }
  }
}

}  // namespace
}  // namespace holdfast::actors
