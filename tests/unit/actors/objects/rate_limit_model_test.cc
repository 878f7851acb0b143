// All algorithms of rate limits against plain models, for random limits.

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/rate_limit_checks.h"

namespace holdfast::actors {
namespace {

// Units in use of one key, in the plainest way. GCRA as virtual scheduling: the theoretical arrival time, times the
// limit, which must not change.
class Model {
 public:
  explicit Model(const LimitCheck& check) : check_(check) {}

  // The largest cost that would be allowed.
  int64_t Remaining(int64_t now_us) const {
    int64_t cost = 0;
    // Costs are small, limits need not be.
    const int64_t most =
        check_.algorithm == v1::RATE_LIMIT_ALGORITHM_GCRA ? std::min(check_.limit, check_.burst) : check_.limit;
    int64_t above = most + 1;
    while (above - cost > 1) {
      const int64_t middle = cost + (above - cost) / 2;
      (Allows(middle, now_us) ? cost : above) = middle;
    }
    return cost;
  }
  bool Allows(int64_t cost, int64_t now_us) const {
    if (cost < 0) return true;
    if (check_.algorithm != v1::RATE_LIMIT_ALGORITHM_GCRA) return Used(now_us) + cost <= check_.limit;
    return Arrival(now_us) + __int128{cost} * check_.window_us - __int128{check_.burst} * check_.window_us <=
           __int128{now_us} * check_.limit;
  }
  void Count(int64_t cost, int64_t now_us) {
    arrival_ = std::max(__int128{now_us} * check_.limit, Arrival(now_us) + __int128{cost} * check_.window_us);
    if (check_.algorithm == v1::RATE_LIMIT_ALGORITHM_GCRA) return;
    for (; cost < 0 && !requests_.empty() && InUse(requests_.back(), now_us); ++cost) requests_.pop_back();
    for (; cost > 0; --cost) requests_.push_back(now_us);
  }

 private:
  __int128 Arrival(int64_t now_us) const { return std::max(__int128{now_us} * check_.limit, arrival_); }
  int64_t Used(int64_t now_us) const {
    return std::ranges::count_if(requests_, [&](int64_t time_us) { return InUse(time_us, now_us); });
  }
  bool InUse(int64_t time_us, int64_t now_us) const {
    switch (check_.algorithm) {
      case v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG:
        return now_us - time_us <= check_.window_us;
      case v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW:
        return time_us / check_.window_us == now_us / check_.window_us;
      default:
        return Begin(time_us) == Begin(now_us);
    }
  }
  // "2023-11-14T22" for an hour, and so on.
  std::string Begin(int64_t time_us) const {
    const time_t seconds = time_us / 1'000'000;
    tm parts;
    gmtime_r(&seconds, &parts);
    const char* const formats[] = {"", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d", "%Y-%m"};
    char text[32];
    return std::string(text, strftime(text, sizeof(text), formats[check_.window_us], &parts));
  }

  const LimitCheck check_;
  std::vector<int64_t> requests_;  // a time for each unit
  __int128 arrival_ = 0;
};

LimitCheck AnyCheck(simulation::Dice& dice) {
  const int64_t limit = dice.OneIn(3) ? dice.Between(1, 100'000) : dice.Between(1, 30);
  const int64_t window_us = dice.OneIn(3) ? dice.Between(1'000, 31'622'400'000'000) : dice.Between(1'000, 100'000);
  switch (dice.Below(4)) {
    case 0:
      return LogCheck(limit, window_us);
    case 1: {
      int64_t burst = dice.OneIn(2) ? limit : dice.Between(1, 2 * limit);
      burst =
          std::min(burst, std::max<int64_t>(1, static_cast<int64_t>(__int128{31'622'400'000'000} * limit / window_us)));
      return GcraCheck(limit, window_us, burst);
    }
    case 2:
      return FixedCheck(limit, window_us);
    default:
      return CalendarCheck(limit, static_cast<v1::CalendarUnit>(dice.Between(1, 4)));
  }
}

TEST(LimitModelTest, TenThousandRandomLimitsAnswerAsTheModel) {
  int64_t checks = 0;
  for (uint64_t run : simulation::Seeds(10'000)) {
    simulation::Dice dice(run);
    LimitCheck check = AnyCheck(dice);
    const bool is_gcra = check.algorithm == v1::RATE_LIMIT_ALGORITHM_GCRA;
    const int64_t cost_max = std::min<int64_t>(is_gcra ? std::min(check.limit, check.burst) : check.limit, 40);
    int64_t now_us = kNow + dice.Between(0, 100'000'000'000);
    LimitState state = NewState(check.algorithm, check.window_us);
    Model model(check);
    // Steps of about an interval, or of about a window.
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
            const auto request = state.GiveBackNewest(units, now_us);
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

// In every algorithm: after k units from rest, limit - k are left.
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
