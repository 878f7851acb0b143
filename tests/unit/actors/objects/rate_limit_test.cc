#include "actors/objects/rate_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/node_test.h"
#include "tests/unit/actors/objects/rate_limit_checks.h"

namespace holdfast::actors {
namespace {

// --- Validation

v1::RateLimit Valid(v1::RateLimitAlgorithm algorithm = v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG) {
  v1::RateLimit check;
  check.set_key("alice");
  check.set_limit(10);
  check.mutable_window()->set_seconds(60);
  check.set_algorithm(algorithm);
  return check;
}

TEST(ValidateCheckTest, FillsInWhatIsAbsent) {
  v1::RateLimit check = Valid(v1::RATE_LIMIT_ALGORITHM_UNSPECIFIED);
  auto valid = ValidateCheck(check, "check");
  ASSERT_TRUE(valid.ok());
  EXPECT_EQ(valid->algorithm, v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG);
  EXPECT_EQ(valid->key, "alice");
  EXPECT_EQ(valid->limit, 10);
  EXPECT_EQ(valid->window_us, 60'000'000);
  EXPECT_EQ(valid->cost, 1);
  auto gcra = ValidateCheck(Valid(v1::RATE_LIMIT_ALGORITHM_GCRA), "check");
  ASSERT_TRUE(gcra.ok());
  EXPECT_EQ(gcra->burst, 10);
}

TEST(ValidateCheckTest, EveryErrorNamesItsField) {
  struct Case {
    const char* field;
    std::function<void(v1::RateLimit*)> spoil;
  };
  const Case cases[] = {
      {"key", [](v1::RateLimit* check) { check->clear_key(); }},
      {"key", [](v1::RateLimit* check) { check->set_key(std::string(513, 'k')); }},
      {"limit", [](v1::RateLimit* check) { check->clear_limit(); }},
      {"limit", [](v1::RateLimit* check) { check->set_limit(-1); }},
      {"limit", [](v1::RateLimit* check) { check->set_limit(std::numeric_limits<int64_t>::min()); }},
      {"window", [](v1::RateLimit* check) { check->clear_window(); }},
      {"window", [](v1::RateLimit* check) { check->mutable_window()->set_seconds(0); }},
      {"window", [](v1::RateLimit* check) { check->mutable_window()->set_seconds(-1); }},
      {"window", [](v1::RateLimit* check) { check->mutable_window()->set_seconds(366 * 86'400 + 1); }},
      {"window", [](v1::RateLimit* check) { check->mutable_window()->set_nanos(-1); }},
      {"cost", [](v1::RateLimit* check) { check->set_cost(0); }},
      {"cost", [](v1::RateLimit* check) { check->set_cost(-11); }},
      {"cost", [](v1::RateLimit* check) { check->set_cost(std::numeric_limits<int64_t>::min()); }},
      {"calendar_unit", [](v1::RateLimit* check) { check->set_calendar_unit(v1::CALENDAR_UNIT_DAY); }},
      {"cost", [](v1::RateLimit* check) { check->set_cost(11); }},
      {"algorithm", [](v1::RateLimit* check) { check->set_algorithm(static_cast<v1::RateLimitAlgorithm>(9)); }},
      {"algorithm", [](v1::RateLimit* check) { check->set_algorithm(static_cast<v1::RateLimitAlgorithm>(-1)); }},
  };
  for (v1::RateLimitAlgorithm algorithm : {v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG, v1::RATE_LIMIT_ALGORITHM_GCRA,
                                           v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW}) {
    for (const Case& one : cases) {
      v1::RateLimit check = Valid(algorithm);
      one.spoil(&check);
      EXPECT_THAT(ValidateCheck(check, "checks[2]").status(), IsInvalid(absl::StrCat("checks[2].", one.field)))
          << check.ShortDebugString();
    }
  }
}

TEST(ValidateCheckTest, TheBoundsThemselvesAreAllowed) {
  v1::RateLimit check = Valid();
  check.set_key(std::string(512, 'k'));
  check.set_limit(100'000);
  check.set_cost(100'000);
  check.mutable_window()->set_seconds(366 * 86'400);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
  check.mutable_window()->set_seconds(0);
  check.mutable_window()->set_nanos(1'000'000);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
}

TEST(ValidateCheckTest, ALogGivesBackAtMostSoMuchAtOnce) {
  v1::RateLimit check = Valid();
  check.set_limit(5'000);
  check.set_cost(-1'000);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
  check.set_cost(-1'001);
  EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.cost"));
  check.set_algorithm(v1::RATE_LIMIT_ALGORITHM_GCRA);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
}

TEST(ValidateCheckTest, TheLogIsForLimitsUpTo100000AndTheErrorHintsAtGcra) {
  v1::RateLimit check = Valid();
  check.set_limit(100'001);
  const absl::Status status = ValidateCheck(check, "check").status();
  EXPECT_THAT(status, IsInvalid("check.limit"));
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("GCRA"));
  check.set_algorithm(v1::RATE_LIMIT_ALGORITHM_GCRA);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
  check.set_algorithm(v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW);
  check.set_limit(std::numeric_limits<int64_t>::max());
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
}

TEST(ValidateCheckTest, ABurstIsForGcraOnly) {
  for (v1::RateLimitAlgorithm algorithm :
       {v1::RATE_LIMIT_ALGORITHM_UNSPECIFIED, v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG,
        v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW}) {
    v1::RateLimit check = Valid(algorithm);
    check.set_burst(5);
    EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.burst"));
  }
}

TEST(ValidateCheckTest, WithGcraTheCostIsBoundedByTheBurstToo) {
  v1::RateLimit check = Valid(v1::RATE_LIMIT_ALGORITHM_GCRA);
  check.set_burst(5);
  check.set_cost(5);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
  check.set_cost(6);
  EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.cost"));
  check.set_burst(50);
  check.set_cost(10);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
  check.set_cost(11);
  EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.cost"));
}

TEST(ValidateCheckTest, LimitAndBurstOfGcraAreBoundedInNumber) {
  v1::RateLimit check = Valid(v1::RATE_LIMIT_ALGORITHM_GCRA);
  check.set_limit(kGcraLimitMax);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
  for (int64_t burst : {int64_t{0}, int64_t{-1}, kGcraLimitMax + 1, std::numeric_limits<int64_t>::max()}) {
    check.set_burst(burst);
    EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.burst")) << burst;
  }
  check.set_burst(kGcraLimitMax);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
  for (int64_t limit : {kGcraLimitMax + 1, std::numeric_limits<int64_t>::max()}) {
    check.set_limit(limit);
    EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.limit")) << limit;
  }
}

TEST(ValidateCheckTest, ABurstMustRefillWithin366Days) {
  v1::RateLimit check = Valid(v1::RATE_LIMIT_ALGORITHM_GCRA);
  check.set_limit(1);
  check.mutable_window()->set_seconds(86'400);
  check.set_burst(366);
  EXPECT_TRUE(ValidateCheck(check, "check").ok());
  check.set_burst(367);
  EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.burst"));
}

// --- The arithmetic

// The sliding log as a plain list.
class NaiveLog {
 public:
  explicit NaiveLog(int64_t window_us) : window_us_(window_us) {}

  int64_t Used(int64_t now_us) const {
    int64_t used = 0;
    for (const auto& [time_us, cost] : requests_) {
      if (now_us - time_us <= window_us_) used += cost;
    }
    return used;
  }
  LimitState::Verdict Judge(const LimitCheck& check, int64_t now_us, bool counted) const {
    LimitState::Verdict verdict{Used(now_us) + check.cost <= check.limit, 0, 0, 0};
    NaiveLog after = *this;
    if (verdict.allowed && counted) after.Count(check, now_us);
    verdict.remaining = std::max<int64_t>(0, check.limit - after.Used(now_us));
    while (Used(now_us + verdict.retry_after_us) + check.cost > check.limit) ++verdict.retry_after_us;
    while (after.Used(now_us + verdict.reset_after_us) > 0) ++verdict.reset_after_us;
    return verdict;
  }
  void Count(const LimitCheck& check, int64_t now_us) { requests_.emplace_back(now_us, check.cost); }
  // Returns the most units in any window that ends at one of the requests.
  int64_t MostInAnyWindow() const {
    int64_t most = 0;
    for (const auto& [end_us, cost] : requests_) {
      int64_t sum = 0;
      for (const auto& [time_us, other] : requests_) {
        if (time_us <= end_us && end_us - time_us <= window_us_) sum += other;
      }
      most = std::max(most, sum);
    }
    return most;
  }

 private:
  const int64_t window_us_;
  std::vector<std::pair<int64_t, int64_t>> requests_;
};

void ExpectEqual(const LimitState::Verdict& actual, const LimitState::Verdict& expected) {
  ASSERT_EQ(actual.allowed, expected.allowed);
  ASSERT_EQ(actual.remaining, expected.remaining);
  ASSERT_EQ(actual.retry_after_us, expected.retry_after_us);
  ASSERT_EQ(actual.reset_after_us, expected.reset_after_us);
}

TEST(SlidingLogTest, ARequestExactlyAsOldAsTheWindowStillCounts) {
  const LimitCheck check = LogCheck(1, 1000);
  LimitState state = NewState(check.algorithm, check.window_us);
  ASSERT_TRUE(state.Judge(check, kNow, true).allowed);
  state.Count(check, kNow);
  EXPECT_FALSE(LimitState(state).Judge(check, kNow + 999, true).allowed);
  EXPECT_FALSE(LimitState(state).Judge(check, kNow + 1000, true).allowed);
  EXPECT_TRUE(LimitState(state).Judge(check, kNow + 1001, true).allowed);
  EXPECT_EQ(LimitState(state).Judge(check, kNow + 1000, true).retry_after_us, 1);
  EXPECT_EQ(LimitState(state).Judge(check, kNow, true).retry_after_us, 1001);
}

// Tries every sequence of six requests with small gaps and costs, under every small limit and window.
TEST(SlidingLogTest, AgreesWithAPlainListForEverySmallSequence) {
  constexpr int kRequests = 6;
  constexpr int kGaps = 4;
  for (int64_t limit = 1; limit <= 3; ++limit) {
    for (int64_t window_us = 1; window_us <= 4; ++window_us) {
      int sequences = 1;
      for (int i = 0; i < kRequests; ++i) sequences *= kGaps;
      for (int sequence = 0; sequence < sequences; ++sequence) {
        for (int64_t cost_pattern = 0; cost_pattern < (limit > 1 ? 3 : 1); ++cost_pattern) {
          LimitState state = NewState(v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG, window_us);
          NaiveLog model(window_us);
          int64_t now_us = kNow;
          int rest = sequence;
          for (int i = 0; i < kRequests; ++i) {
            now_us += rest % kGaps;
            rest /= kGaps;
            const LimitCheck check = LogCheck(limit, window_us, 1 + (cost_pattern + i * cost_pattern) % limit);
            const LimitState::Verdict verdict = state.Judge(check, now_us, true);
            ExpectEqual(verdict, model.Judge(check, now_us, true));
            ExpectEqual(LimitState(state).Judge(check, now_us, false), model.Judge(check, now_us, false));
            if (verdict.allowed) {
              state.Count(check, now_us);
              model.Count(check, now_us);
            }
            if (::testing::Test::HasFatalFailure()) {
              FAIL() << "limit " << limit << " window " << window_us << " sequence " << sequence << " request " << i;
            }
          }
          ASSERT_LE(model.MostInAnyWindow(), limit);
        }
      }
    }
  }
}

TEST(SlidingLogTest, AgreesWithAPlainListAlsoWhenLimitsChangeAndOldRequestsAreDropped) {
  for (uint64_t run : simulation::Seeds(60)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const int64_t window_us = dice.Between(1, 60);
    LimitState state = NewState(v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG, window_us);
    NaiveLog model(window_us);
    int64_t limit = dice.Between(1, 20);
    int64_t now_us = kNow;
    for (int i = 0; i < 150; ++i) {
      now_us += dice.OneIn(20) ? dice.Between(0, 3 * window_us) : dice.Between(0, 4);
      if (dice.OneIn(15)) limit = dice.Between(1, 20);
      const LimitCheck check = LogCheck(limit, window_us, dice.Between(1, limit));
      ExpectExact(state, check, now_us, limit);
      ExpectEqual(LimitState(state).Judge(check, now_us, false), model.Judge(check, now_us, false));
      const LimitState::Verdict verdict = state.Judge(check, now_us, true);
      ExpectEqual(verdict, model.Judge(check, now_us, true));
      if (verdict.allowed && !dice.OneIn(4)) {
        // Some of the requests that no longer count are dropped, as the object does.
        while (state.mutable_log()->OldestRowExpired(now_us) && !dice.OneIn(3)) state.mutable_log()->DropOldestRow();
        state.Count(check, now_us);
        model.Count(check, now_us);
      }
      if (HasFatalFailure()) return;
    }
  }
}

TEST(GcraTest, AllowsTheBurstFromRestAndThenOneForEachEmissionInterval) {
  const LimitCheck check = GcraCheck(10, 1'000'000, 3);
  LimitState state = NewState(check.algorithm, check.window_us);
  for (int i = 0; i < 3; ++i) {
    const auto verdict = state.Judge(check, kNow, true);
    ASSERT_TRUE(verdict.allowed);
    EXPECT_EQ(verdict.remaining, 2 - i);
    state.Count(check, kNow);
  }
  const auto denied = state.Judge(check, kNow, true);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.retry_after_us, 100'000);
  EXPECT_EQ(denied.reset_after_us, 300'000);
  for (int i = 1; i <= 20; ++i) {
    const int64_t now_us = kNow + i * 100'000;
    EXPECT_FALSE(state.Judge(check, now_us - 1, true).allowed);
    ASSERT_TRUE(state.Judge(check, now_us, true).allowed);
    state.Count(check, now_us);
  }
}

TEST(GcraTest, EveryFieldIsExactAlsoWhereTheIntervalIsNoWholeNumber) {
  for (uint64_t run : simulation::Seeds(150)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const int64_t limit = dice.OneIn(3) ? dice.Between(1, kGcraLimitMax) : dice.Between(1, 50);
    const int64_t window_us = dice.OneIn(3) ? dice.Between(1'000, 31'622'400'000'000) : dice.Between(1'000, 100'000);
    int64_t burst = dice.OneIn(2) ? limit : dice.Between(1, 2 * limit);
    // The burst is in its bounds: it refills within 366 days.
    burst =
        std::min(burst, std::max<int64_t>(1, static_cast<int64_t>(__int128{31'622'400'000'000} * limit / window_us)));
    burst = std::min<int64_t>(burst, 1'000'000'000);
    const int64_t interval_us = std::max<int64_t>(1, window_us / limit);
    LimitState state = NewState(v1::RATE_LIMIT_ALGORITHM_GCRA, window_us);
    int64_t now_us = kNow;
    for (int i = 0; i < 60; ++i) {
      now_us += dice.OneIn(10) ? dice.Between(0, 3 * interval_us) : dice.Between(0, interval_us / 3 + 1);
      const LimitCheck check =
          GcraCheck(limit, window_us, burst, dice.Between(1, std::min<int64_t>({burst, limit, 5})));
      ExpectExact(state, check, now_us, std::min(limit, burst));
      if (HasFatalFailure()) {
        FAIL() << "limit " << limit << " window " << window_us << " burst " << burst << " request " << i;
      }
      if (state.Judge(check, now_us, true).allowed) state.Count(check, now_us);
    }
  }
}

TEST(GcraTest, LetsNoMoreThroughThanItSaysInAnyStretchOfTime) {
  for (uint64_t run : simulation::Seeds(50)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const int64_t limit = dice.Between(1, 40);
    const int64_t window_us = dice.Between(1'000, 5'000);
    const int64_t burst = dice.Between(1, limit);
    LimitState state = NewState(v1::RATE_LIMIT_ALGORITHM_GCRA, window_us);
    std::vector<int64_t> passed;
    int64_t now_us = kNow;
    for (int i = 0; i < 400; ++i) {
      now_us += dice.Between(0, window_us / limit);
      const LimitCheck check = GcraCheck(limit, window_us, burst);
      if (!state.Judge(check, now_us, true).allowed) continue;
      state.Count(check, now_us);
      passed.push_back(now_us);
    }
    for (size_t first = 0; first < passed.size(); ++first) {
      for (size_t last = first; last < passed.size(); ++last) {
        // The bound is burst + elapsed / (window / limit).
        const int64_t most = burst + (passed[last] - passed[first]) * limit / window_us;
        ASSERT_LE(static_cast<int64_t>(last - first + 1), most);
      }
    }
  }
}

TEST(GcraTest, TheLargestLimitStillCountsOne) {
  for (int64_t window_us : {int64_t{1'000}, int64_t{31'622'400'000'000}}) {
    const LimitCheck check = GcraCheck(kGcraLimitMax, window_us, kGcraLimitMax);
    LimitState state = NewState(check.algorithm, check.window_us);
    EXPECT_EQ(state.Judge(check, kNow, true).remaining, kGcraLimitMax - 1);
    state.Count(check, kNow);
    state.Count(check, kNow);
    EXPECT_EQ(state.Judge(check, kNow, true).remaining, kGcraLimitMax - 3);
    LimitCheck all = check;
    all.cost = kGcraLimitMax - 2;
    ASSERT_TRUE(state.Judge(all, kNow, true).allowed);
    state.Count(all, kNow);
    EXPECT_FALSE(state.Judge(check, kNow, true).allowed);
  }
}

TEST(FixedWindowTest, WindowsAreAlignedToTheEpoch) {
  const LimitCheck check = FixedCheck(2, 1'000'000);
  LimitState state = NewState(check.algorithm, check.window_us);
  const int64_t begin_us = 1'700'000'001'000'000;
  state.Count(check, begin_us - 1);
  state.Count(check, begin_us - 1);
  const auto denied = state.Judge(check, begin_us - 1, true);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.retry_after_us, 1);
  EXPECT_EQ(denied.reset_after_us, 1);
  EXPECT_TRUE(state.Judge(check, begin_us, true).allowed);
  state.Count(check, begin_us);
  state.Count(check, begin_us);
  EXPECT_EQ(state.Judge(check, begin_us, true).retry_after_us, 1'000'000);
}

TEST(FixedWindowTest, EveryFieldIsExact) {
  for (uint64_t run : simulation::Seeds(100)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const int64_t window_us = dice.Between(1, 100);
    int64_t limit = dice.Between(1, 10);
    LimitState state = NewState(v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW, window_us);
    int64_t now_us = kNow;
    int64_t index = -1;
    int64_t count = 0;
    for (int i = 0; i < 100; ++i) {
      now_us += dice.Between(0, 20);
      if (dice.OneIn(20)) limit = dice.Between(1, 10);
      const LimitCheck check = FixedCheck(limit, window_us, dice.Between(1, limit));
      ExpectExact(state, check, now_us, limit);
      if (HasFatalFailure()) return;
      if (now_us / window_us != index) {
        index = now_us / window_us;
        count = 0;
      }
      const bool allowed = state.Judge(check, now_us, true).allowed;
      ASSERT_EQ(allowed, count + check.cost <= limit);
      if (!allowed) continue;
      state.Count(check, now_us);
      count += check.cost;
    }
  }
}

// --- Calendar windows

int64_t MicrosOf(const absl::CivilSecond& time) {
  return absl::ToUnixMicros(absl::FromCivil(time, absl::UTCTimeZone()));
}

TEST(CalendarTest, WindowsEndWithTheUnitInUtc) {
  const int64_t now_us = MicrosOf(absl::CivilSecond(2028, 2, 28, 22, 58, 59)) + 1;
  for (const auto& [unit, end] : {std::pair{v1::CALENDAR_UNIT_MINUTE, absl::CivilSecond(2028, 2, 28, 22, 59, 0)},
                                  std::pair{v1::CALENDAR_UNIT_HOUR, absl::CivilSecond(2028, 2, 28, 23, 0, 0)},
                                  std::pair{v1::CALENDAR_UNIT_DAY, absl::CivilSecond(2028, 2, 29, 0, 0, 0)},
                                  std::pair{v1::CALENDAR_UNIT_MONTH, absl::CivilSecond(2028, 3, 1, 0, 0, 0)}}) {
    SCOPED_TRACE(v1::CalendarUnit_Name(unit));
    const LimitCheck check = CalendarCheck(1, unit);
    LimitState state = NewState(check.algorithm, check.window_us);
    ASSERT_TRUE(state.Judge(check, now_us, true).allowed);
    state.Count(check, now_us);
    const int64_t end_us = MicrosOf(end);
    EXPECT_EQ(state.SilentFrom(), end_us);
    EXPECT_EQ(state.Judge(check, now_us, true).retry_after_us, end_us - now_us);
    EXPECT_FALSE(state.Judge(check, end_us - 1, true).allowed);
    EXPECT_TRUE(state.Judge(check, end_us, true).allowed);
    EXPECT_EQ(state.Judge(check, end_us, true).reset_after_us, state.Judge(check, end_us + 1, true).reset_after_us + 1);
  }
}

TEST(CalendarTest, TheUnitIsRequiredAndTheWindowIsNot) {
  v1::RateLimit check = Valid(v1::RATE_LIMIT_ALGORITHM_CALENDAR);
  check.set_calendar_unit(v1::CALENDAR_UNIT_MONTH);
  EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.window"));
  check.clear_window();
  const auto valid = ValidateCheck(check, "check");
  ASSERT_TRUE(valid.ok()) << valid.status();
  EXPECT_EQ(valid->window_us, v1::CALENDAR_UNIT_MONTH);
  check.set_burst(1);
  EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.burst"));
  check.clear_burst();
  check.clear_calendar_unit();
  EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.calendar_unit"));
  check.set_calendar_unit(static_cast<v1::CalendarUnit>(9));
  EXPECT_THAT(ValidateCheck(check, "check").status(), IsInvalid("check.calendar_unit"));
}

// --- Changed limits, and rows of an earlier version

TEST(GcraTest, ThreeInASecondLeaveTwoAfterTheFirst) {
  EXPECT_EQ(NewState(v1::RATE_LIMIT_ALGORITHM_GCRA, 1'000'000).Judge(GcraCheck(3, 1'000'000, 3), kNow, true).remaining,
            2);
}

TEST(GcraTest, ALimitThatIsRaisedTakesEffectAtOnce) {
  LimitState state = NewState(v1::RATE_LIMIT_ALGORITHM_GCRA, 60'000'000);
  const LimitCheck low = GcraCheck(2, 60'000'000, 2);
  state.Count(low, kNow);
  state.Count(low, kNow);
  EXPECT_FALSE(state.Judge(low, kNow, true).allowed);
  const auto raised = state.Judge(GcraCheck(10, 60'000'000, 10), kNow, true);
  EXPECT_TRUE(raised.allowed);
  EXPECT_EQ(raised.remaining, 7);
  // A limit that is lowered also keeps the units in use.
  state.Count(GcraCheck(10, 60'000'000, 10, 6), kNow);
  EXPECT_EQ(state.Judge(GcraCheck(10, 60'000'000, 10), kNow, false).remaining, 2);
  EXPECT_EQ(state.Judge(GcraCheck(9, 60'000'000, 9), kNow, false).remaining, 1);
  EXPECT_FALSE(state.Judge(low, kNow, true).allowed);
}

TEST(GcraTest, ARowOfVersionOneKeepsItsTime) {
  const LimitCheck check = GcraCheck(3, 1'000'000, 3);
  storage::v1::LimitRow row;
  row.set_key("k");
  row.set_algorithm(check.algorithm);
  row.set_window_us(check.window_us);
  // Two of three units are in use.
  row.set_arrival_us(kNow + 666'666);
  row.set_arrival_fs(666'666'668);
  LimitState state(row);
  EXPECT_EQ(state.SilentFrom(), kNow + 666'667);
  EXPECT_TRUE(state.Judge(check, kNow + 1, true).allowed);
  EXPECT_EQ(state.Judge(check, kNow + 1, false).reset_after_us, 666'666);
  state.Count(check, kNow + 1);
  EXPECT_EQ(state.row().arrival_us(), 0);
  EXPECT_FALSE(state.Judge(check, kNow + 1, true).allowed);
  EXPECT_TRUE(state.Judge(check, kNow + 333'335, true).allowed);
}

TEST(GcraTest, ATimeThatIsAheadDoesNotStopIt) {
  const LimitCheck check = GcraCheck(1, 1'000'000, 1);
  LimitState state = NewState(check.algorithm, check.window_us);
  state.Count(check, kNow);
  const int64_t now_us = kNow - 86'400'000'000;
  state.NotAheadOf(now_us);
  EXPECT_EQ(state.Judge(check, now_us, true).retry_after_us, 1'000'000);
  EXPECT_EQ(state.Judge(check, now_us + 400'000, true).retry_after_us, 600'000);
  EXPECT_TRUE(state.Judge(check, now_us + 1'000'000, true).allowed);
}

TEST(FixedWindowTest, TheLargestLimitDoesNotOverflow) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const LimitCheck check = FixedCheck(most, 1'000'000, most);
  LimitState state = NewState(check.algorithm, check.window_us);
  ASSERT_TRUE(state.Judge(check, kNow, true).allowed);
  state.Count(check, kNow);
  EXPECT_FALSE(state.Judge(check, kNow, true).allowed);
  EXPECT_FALSE(state.Judge(FixedCheck(1, 1'000'000), kNow, true).allowed);
  EXPECT_EQ(state.Judge(FixedCheck(1, 1'000'000), kNow, true).remaining, 0);
}

}  // namespace
}  // namespace holdfast::actors
