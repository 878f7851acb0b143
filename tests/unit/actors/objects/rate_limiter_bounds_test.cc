// An object of class RateLimiter stores no more than it needs, removes it in time, and has a bound on its work at once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/rate_limiter_fixture.h"

namespace holdfast::actors {
namespace {

// --- Rows of the log

TEST_F(RateLimiterTest, AKeyHasAtMostLimitRows) {
  for (uint64_t run : simulation::Seeds(5)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const int64_t limit = dice.Between(1, 8);
    const std::string key = absl::StrCat("key", run);
    Start();
    Reset(key);
    for (int i = 0; i < 100; ++i) {
      Check(Limit(key, limit, absl::Seconds(1), kLog, dice.Between(1, limit)));
      node->Advance(absl::Milliseconds(dice.Below(400)));
      EXPECT_LE(LogRows(), static_cast<size_t>(limit));
      EXPECT_LT(LoggedRequests().size(), static_cast<size_t>(limit) + RequestLog::kRowRequestsMax);
      if (dice.OneIn(20)) Start();
    }
    Reset(key);
  }
}

TEST_F(RateLimiterTest, RowsThatNoLongerCountAreRemovedByTheChecksThatFollow) {
  Start();
  for (int i = 0; i < 50; ++i) Check(Limit("a", 50, absl::Minutes(1)));
  clock.Advance(absl::Seconds(61));
  Check(Limit("a", 50, absl::Minutes(1)));
  EXPECT_EQ(LogRows(), 1u);
  EXPECT_EQ(LoggedRequests().size(), 1u);
}

// A check of a full window costs one key, and one more for each row. The sweep runs once in the time of the window.
TEST_F(RateLimiterTest, AFullWindowChangesOneKeyForEachRequestAndReadsNothing) {
  constexpr size_t kRowMax = RequestLog::kRowRequestsMax;
  constexpr size_t kInWindow = 20 * kRowMax;
  Start();
  const auto check = [this] {
    node->Advance(absl::Seconds(1));
    return Check(Limit("k", kInWindow, absl::Seconds(kInWindow))).allowed();
  };
  for (size_t i = 0; i < kInWindow + 2 * kRowMax; ++i) check();
  EXPECT_LE(LogRows(), 22u);
  const size_t points = Points();
  const auto reads = [this] {
    return recording.gets[storage::FamilyId::kPacked] + recording.cursors[storage::FamilyId::kPacked];
  };
  const int reads_before = reads();
  size_t allowed = 0;
  for (size_t i = 0; i < kInWindow; ++i) allowed += check() ? 1 : 0;
  EXPECT_GE(allowed, kInWindow - 2);
  EXPECT_LE(reads() - reads_before, 6);
  // The header, with the time of the last change, is written about once a minute.
  EXPECT_LE(Points() - points, kInWindow + kInWindow / kRowMax + 20);
  EXPECT_LE(LogRows(), 22u);
}

// --- The sweep

TEST_F(RateLimiterTest, TheSweepLeavesNothingOfKeysThatFellSilent) {
  Start();
  for (Algorithm algorithm : {kLog, kGcra, kFixed}) {
    for (int i = 0; i < 5; ++i) {
      for (int j = 0; j <= i; ++j) Check(Limit(absl::StrCat("key", i), 10, absl::Seconds(1 + 7 * i), algorithm));
    }
  }
  EXPECT_EQ(Rows().second, 15u);
  node->Advance(absl::Minutes(2));
  EXPECT_EQ(Rows(), std::make_pair(size_t{0}, size_t{0}));
  EXPECT_EQ(recording.EntryCount(), 0u) << "nor is the object";
  EXPECT_TRUE(recording.Dump()["alarms"].empty()) << "nothing is left to sweep";
  EXPECT_TRUE(Check(Limit("key0", 1, absl::Seconds(1))).allowed());
}

TEST_F(RateLimiterTest, TheSweepLeavesTheKeysThatAreInUse) {
  Start();
  Check(Limit("silent", 5, absl::Seconds(2)));
  Check(Limit("used", 1'000, absl::Seconds(10)));
  for (int i = 0; i < 60; ++i) {
    node->Advance(absl::Seconds(1));
    Check(Limit("used", 1'000, absl::Seconds(10)));
  }
  EXPECT_EQ(Rows().second, 1u);
  const int64_t used = 1'000 - Check(Limit("used", 1'000, absl::Seconds(10)), /*peek=*/true).remaining();
  EXPECT_EQ(used, 12) << "those of the last ten seconds, of the moment ten seconds ago, and the peek's own";
}

TEST_F(RateLimiterTest, TheSweepHappensAlsoAfterARestart) {
  Start();
  for (int i = 0; i < 250; ++i) Check(Limit(absl::StrCat("key", i), 5, absl::Seconds(30)));
  Crash();
  clock.Advance(absl::Hours(1));
  Start();
  node->Advance(absl::Seconds(30));
  EXPECT_EQ(Rows(), std::make_pair(size_t{0}, size_t{0}));
}

TEST_F(RateLimiterTest, TheSweepTakesNotMuchMoreTimeThanTheKeysNeedToFallSilent) {
  Start();
  Check(Limit("a", 5, absl::Seconds(10)));
  node->Advance(absl::Seconds(10));
  EXPECT_EQ(Rows().second, 1u) << "it still counts";
  node->Advance(absl::Seconds(2));
  EXPECT_EQ(Rows().second, 0u);
}

TEST_F(RateLimiterTest, ALongWindowDoesNotHoldUpTheSweepOfAShortOne) {
  Start();
  Check(Limit("long", 5, absl::Hours(24)));
  Check(Limit("short", 5, absl::Seconds(1)));
  node->Advance(absl::Seconds(10));
  EXPECT_EQ(Rows().second, 1u);
}

TEST_F(RateLimiterTest, TheObjectCanBeCleanedUp) {
  Start();
  Check(Limit("a", 5));
  SendCleanup(RateLimiter::Class(), "api");
  node->Settle();
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_EQ(Check(Limit("a", 5)).remaining(), 4);
}

// --- Bounds on one object's data and on one call's work

// Returns a call with checks of `count` windows of the key, from the shortest on.
v1::CheckLimitsRequest Windows(const std::string& key, int count, int shortest_ms, Algorithm algorithm = kLog) {
  v1::CheckLimitsRequest request;
  for (int i = 0; i < count; ++i) {
    *request.add_checks() = Limit(key, 100'000, absl::Milliseconds(shortest_ms + i), algorithm);
  }
  return request;
}

TEST_F(RateLimiterTest, AKeyHasNoMoreWindowsThanTheSettingSays) {
  options.objects.rate_limit_windows_max = 5;
  Start();
  const auto begin = [this](int count, int shortest_ms, const std::string& key = "k") {
    return *Ask("api", &RateLimiter::CheckLimits, Windows(key, count, shortest_ms))->status;
  };
  EXPECT_TRUE(begin(3, 60'000).ok());
  for (bool restarted : {false, true}) {
    if (restarted) Start();
    const absl::Status refused = begin(4, 60'002);
    EXPECT_THAT(refused, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("actors.rate_limit_windows_max"));
  }
  EXPECT_EQ(Rows(), std::pair(size_t{3}, size_t{3})) << "counted in part";
  EXPECT_TRUE(begin(2, 60'003).ok());
  EXPECT_FALSE(begin(1, 60'005).ok());
  EXPECT_TRUE(begin(5, 60'000).ok()) << "those that it has";
  EXPECT_TRUE(begin(5, 60'000, "another key").ok());
  v1::CheckLimitsRequest peek = Windows("k", 3, 90'000);
  peek.set_peek(true);
  EXPECT_TRUE(Ask("api", &RateLimiter::CheckLimits, peek)->ok()) << "begins none";
  Reset("k");
  EXPECT_TRUE(begin(5, 70'000).ok()) << "there is room again";
  node->Advance(absl::Minutes(3));
  EXPECT_EQ(Rows(), std::pair(size_t{0}, size_t{0}));
  EXPECT_TRUE(begin(5, 80'000).ok()) << "those that fell silent are gone";
}

TEST_F(RateLimiterTest, ACallLooksAtNoMoreLoggedRequestsThanTheSettingSays) {
  options.objects.rate_limit_log_requests_max = 100;
  Start();
  for (int i = 0; i < 40; ++i) Ask("api", &RateLimiter::CheckLimits, Windows("k", 2, 60'000));
  for (int i = 0; i < 30; ++i) Check(Limit("other", 1000, absl::Minutes(1)));
  v1::CheckLimitsRequest all = Windows("k", 2, 60'000);
  *all.add_checks() = Limit("other", 1000, absl::Minutes(1));
  for (bool restarted : {false, true}) {
    if (restarted) Start();
    const absl::Status refused = *Ask("api", &RateLimiter::CheckLimits, all)->status;
    EXPECT_THAT(refused, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("actors.rate_limit_log_requests_max"));
  }
  EXPECT_EQ(LoggedRequests().size(), 110u);
  EXPECT_TRUE(Ask("api", &RateLimiter::CheckLimits, Windows("k", 2, 60'000))->ok());
}

TEST_F(RateLimiterTest, ALongLogIsReadInPartsAndIsWhole) {
  constexpr int kRequests = 10'000;
  Start();
  for (int i = 0; i < kRequests; ++i)
    Send("api", &RateLimiter::CheckLimit, CheckOf(Limit("k", 100'000, absl::Hours(1))));
  node->Settle();
  Start();
  EXPECT_EQ(Check(Limit("k", 100'000, absl::Hours(1))).remaining(), 100'000 - kRequests - 1);
}

// --- Resets in parts

TEST_F(RateLimiterTest, AResetOfMuchGoesInPartsThatDelayNobody) {
  options.objects.rate_limit_windows_max = 10'000;
  Start();
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(Ask("api", &RateLimiter::CheckLimits, Windows("k", 100, 3'600'000 + 100 * i))->ok());
    EXPECT_TRUE(Ask("api", &RateLimiter::CheckLimits, Windows("k", 100, 3'600'000 + 100 * i, kGcra))->ok());
  }
  Check(Limit("other", 10, absl::Hours(1)));
  v1::ResetLimitRequest request;
  request.set_key("k");
  auto reset = Send("api", &RateLimiter::ResetLimit, request);
  // No commit has more than one part, and other requests run in between.
  store.set_cold(true);
  size_t most = 0;
  size_t checks = 0;
  std::vector<std::shared_ptr<Sent<v1::CheckLimitResponse>>> sent;
  while (!reset->done()) {
    const size_t before = Points();
    if (!node->commits().RunOne()) ASSERT_TRUE(node->Step(0));
    most = std::max(most, Points() - before);
    if (!sent.empty() && !sent.back()->done()) continue;
    checks = sent.size();
    sent.push_back(Send("api", &RateLimiter::CheckLimit, CheckOf(Limit("other", 1'000'000, absl::Hours(1), kFixed))));
  }
  store.set_cold(false);
  node->Settle();
  ASSERT_TRUE(reset->ok());
  EXPECT_LE(most, 3'500u);
  EXPECT_GE(checks, 8u);
  EXPECT_EQ(Rows(), std::pair(size_t{1}, size_t{2})) << "only the other key's";
}

TEST_F(RateLimiterTest, WhatIsCountedWhileAResetGoesOnStays) {
  options.objects.rate_limit_windows_max = 10'000;
  Start();
  const v1::RateLimit limit = Limit("k", 100'000, absl::Hours(2));
  const int64_t window_us = absl::ToInt64Microseconds(absl::Hours(2));
  for (bool in_memory : {true, false}) {
    // The other windows of the key come first, and are more than one part of the reset.
    for (int i = 0; i < 40; ++i) {
      EXPECT_TRUE(Ask("api", &RateLimiter::CheckLimits, Windows("k", 100, 3'600'000 + 100 * i))->ok());
    }
    for (int i = 0; i < 2'010; ++i) Send("api", &RateLimiter::CheckLimit, CheckOf(limit));
    node->Settle();
    if (!in_memory) {
      Start();
      Check(Limit("other", 10, absl::Hours(1), kFixed));  // loads the object without the log
    }
    v1::ResetLimitRequest request;
    request.set_key("k");
    auto reset = Send("api", &RateLimiter::ResetLimit, request);
    for (const size_t rows = LogRows(); LogRows() == rows;) {
      if (!node->commits().RunOne()) ASSERT_TRUE(node->Step(0));
    }
    ASSERT_FALSE(reset->done());
    clock.Advance(absl::Milliseconds(1));
    for (int i = 0; i < 700; ++i) Send("api", &RateLimiter::CheckLimit, CheckOf(limit));
    node->Settle();
    ASSERT_TRUE(reset->ok());
    EXPECT_EQ(LoggedRequests().size(), 700u);
    // The newest row had room for some of the 700.
    EXPECT_EQ(LoggedRequests(window_us).size(), 700u);
    EXPECT_EQ(RequestRows().front().cost(), 0) << "no row has requests from before the reset and from after it";
    EXPECT_EQ(Check(limit, /*peek=*/true).remaining(), 100'000 - 700 - 1);
    Start();
    EXPECT_EQ(Check(limit, /*peek=*/true).remaining(), 100'000 - 700 - 1) << "memory and storage differ";
    clock.Advance(absl::Milliseconds(1));
    Reset("k");
    EXPECT_EQ(LogRows(), 0u);
  }
}

TEST_F(RateLimiterTest, AResetThatACrashCutsOffLeavesNothingForGood) {
  for (int crash_after : {2, 4, 6, 8, 10, 12, 14}) {
    Start();
    for (int i = 0; i < 10; ++i) Ask("api", &RateLimiter::CheckLimits, Windows("k", 100, 60'000 + 100 * i));
    v1::ResetLimitRequest request;
    request.set_key("k");
    Send("api", &RateLimiter::ResetLimit, request);
    for (int i = 0; i < crash_after; ++i) node->Step(0);
    Start();
    node->Advance(absl::Minutes(3));
    EXPECT_EQ(Rows(), std::pair(size_t{0}, size_t{0})) << crash_after;
  }
}

}  // namespace
}  // namespace holdfast::actors
