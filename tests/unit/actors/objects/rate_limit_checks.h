// Makes checks of each algorithm, and checks every answer, for the tests of the arithmetic of rate limits.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMIT_CHECKS_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMIT_CHECKS_H_

#include <gtest/gtest.h>

#include <cstdint>

#include "actors/objects/rate_limit.h"

namespace holdfast::actors {

inline constexpr int64_t kNow = 1'700'000'000'000'000;

inline LimitState NewState(v1::RateLimitAlgorithm algorithm, int64_t window_us) {
  storage::v1::LimitRow row;
  row.set_key("k");
  row.set_algorithm(algorithm);
  row.set_window_us(window_us);
  return LimitState(row);
}

// Expects that each field of an answer is exact, whatever the algorithm.
inline void ExpectExact(const LimitState& state, const LimitCheck& check, int64_t now_us, int64_t cost_max) {
  const auto judge = [&](LimitState of, LimitCheck what, int64_t at_us) { return of.Judge(what, at_us, true); };
  const auto with_cost = [&](int64_t cost) {
    LimitCheck other = check;
    other.cost = cost;
    return other;
  };
  const LimitState::Verdict verdict = judge(state, check, now_us);
  LimitState after = state;
  if (verdict.allowed) {
    ASSERT_EQ(verdict.retry_after_us, 0);
    after.Count(check, now_us);
  } else {
    ASSERT_GT(verdict.retry_after_us, 0);
    ASSERT_TRUE(judge(state, check, now_us + verdict.retry_after_us).allowed) << "retry_after is too early";
    ASSERT_FALSE(judge(state, check, now_us + verdict.retry_after_us - 1).allowed) << "retry_after is too late";
  }
  ASSERT_GE(verdict.remaining, 0);
  ASSERT_LE(verdict.remaining, cost_max);
  if (verdict.remaining > 0) {
    ASSERT_TRUE(judge(after, with_cost(verdict.remaining), now_us).allowed) << "remaining is too high";
  }
  if (verdict.remaining < cost_max) {
    ASSERT_FALSE(judge(after, with_cost(verdict.remaining + 1), now_us).allowed) << "remaining is too low";
  }
  // The state behaves like a new one from then on.
  const auto as_new = [&](int64_t at_us) {
    LimitState fresh = NewState(check.algorithm, check.window_us);
    const auto seen = LimitState(after).Judge(check, at_us, false);
    const auto expected = fresh.Judge(check, at_us, false);
    return seen.allowed == expected.allowed && seen.remaining == expected.remaining && seen.reset_after_us == 0;
  };
  ASSERT_GE(verdict.reset_after_us, 0);
  ASSERT_TRUE(as_new(now_us + verdict.reset_after_us)) << "reset_after is too early";
  if (verdict.reset_after_us > 0)
    ASSERT_FALSE(as_new(now_us + verdict.reset_after_us - 1)) << "reset_after is too late";
  // The sweep may remove the state from then on, and not before.
  if (verdict.allowed) ASSERT_EQ(after.SilentFrom(), now_us + verdict.reset_after_us);
}

inline LimitCheck LogCheck(int64_t limit, int64_t window_us, int64_t cost = 1) {
  return {"k", v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG, limit, window_us, cost, limit};
}

inline LimitCheck GcraCheck(int64_t limit, int64_t window_us, int64_t burst, int64_t cost = 1) {
  return {"k", v1::RATE_LIMIT_ALGORITHM_GCRA, limit, window_us, cost, burst};
}

inline LimitCheck FixedCheck(int64_t limit, int64_t window_us, int64_t cost = 1) {
  return {"k", v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW, limit, window_us, cost, limit};
}

inline LimitCheck CalendarCheck(int64_t limit, v1::CalendarUnit unit, int64_t cost = 1) {
  return {"k", v1::RATE_LIMIT_ALGORITHM_CALENDAR, limit, unit, cost, limit};
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMIT_CHECKS_H_
