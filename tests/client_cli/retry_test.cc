#include "client/retry.h"

#include <gtest/gtest.h>

#include "absl/random/random.h"
#include "client/status.h"
#include "tests/client_cli/fake_server.h"

namespace holdfast::client {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

TEST(RetryTest, WhatIsRetryable) {
  EXPECT_TRUE(IsRetryable(absl::UnavailableError("")));
  EXPECT_FALSE(IsRetryable(absl::ResourceExhaustedError("no RetryInfo")));
  EXPECT_TRUE(
      IsRetryable(FromGrpcStatus(Error(grpc::StatusCode::RESOURCE_EXHAUSTED, "", "MAILBOX_FULL", RetryAfterMs(0)))));
  EXPECT_FALSE(IsRetryable(absl::AbortedError("")));
  EXPECT_FALSE(IsRetryable(absl::DeadlineExceededError("")));
  EXPECT_FALSE(IsRetryable(absl::OkStatus()));
}

TEST(RetryTest, BackoffDoublesUpToItsBoundAndEndsWithTheRetries) {
  absl::BitGen random;
  RetrySchedule schedule(
      {.retries = 5, .backoff_initial = absl::Milliseconds(100), .backoff_max = absl::Milliseconds(400)},
      kNow + absl::Hours(1), random);
  for (const int full_ms : {100, 200, 400, 400, 400}) {
    const auto wait = schedule.Next(absl::UnavailableError(""), kNow);
    ASSERT_TRUE(wait.has_value());
    EXPECT_GE(*wait, absl::Milliseconds(full_ms) / 2);
    EXPECT_LE(*wait, absl::Milliseconds(full_ms));
  }
  EXPECT_FALSE(schedule.Next(absl::UnavailableError(""), kNow).has_value());
}

TEST(RetryTest, WithoutABoundItEndsWithTheDeadlineOnly) {
  absl::BitGen random;
  const absl::Time deadline = kNow + absl::Minutes(10);
  RetrySchedule schedule({.backoff_initial = absl::Milliseconds(100), .backoff_max = absl::Seconds(2)}, deadline,
                         random);
  absl::Time now = kNow;
  int attempts = 0;
  while (const auto wait = schedule.Next(absl::UnavailableError(""), now)) {
    now += *wait;
    ++attempts;
    ASSERT_LT(now, deadline);
    ASSERT_LE(*wait, absl::Seconds(2));
    ASSERT_LT(attempts, 1000);
  }
  EXPECT_GT(attempts, 300);  // at 2 s each
  EXPECT_GT(now, deadline - absl::Milliseconds(201));
}

TEST(RetryTest, ALastWaitIsNeverShorterThanRetryInfoAsks) {
  absl::BitGen random;
  const absl::Status asks = FromGrpcStatus(Error(grpc::StatusCode::UNAVAILABLE, "", "DRAINING", RetryAfterMs(300)));
  const absl::Time deadline = kNow + absl::Hours(1);
  RetrySchedule schedule({}, deadline, random);
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(schedule.Next(absl::UnavailableError(""), kNow).has_value());
  // The backoff is between 1 and 2 s by now.
  EXPECT_EQ(schedule.Next(asks, deadline - absl::Milliseconds(900)), absl::Milliseconds(450));
  EXPECT_FALSE(schedule.Next(asks, deadline - absl::Milliseconds(500)).has_value());
}

TEST(RetryTest, HonoursRetryInfo) {
  absl::BitGen random;
  RetrySchedule schedule({}, kNow + absl::Hours(1), random);
  const auto wait = schedule.Next(
      FromGrpcStatus(Error(grpc::StatusCode::RESOURCE_EXHAUSTED, "", "MAILBOX_FULL", RetryAfterMs(700))), kNow);
  ASSERT_TRUE(wait.has_value());
  EXPECT_GE(*wait, absl::Milliseconds(700));
  EXPECT_LE(*wait, absl::Milliseconds(800));
}

TEST(RetryTest, NoWaitPastTheDeadline) {
  absl::BitGen random;
  RetrySchedule schedule({}, kNow + absl::Milliseconds(500), random);
  EXPECT_FALSE(
      schedule.Next(FromGrpcStatus(Error(grpc::StatusCode::UNAVAILABLE, "", "DRAINING", RetryAfterMs(600))), kNow)
          .has_value());
  EXPECT_TRUE(schedule.Next(absl::UnavailableError(""), kNow).has_value());
  EXPECT_FALSE(schedule.Next(absl::UnavailableError(""), kNow + absl::Milliseconds(499)).has_value());
}

TEST(RetryTest, OptionsOutOfBoundsAreClamped) {
  absl::BitGen random;
  RetrySchedule none({.retries = -1}, kNow + absl::Hours(1), random);
  EXPECT_FALSE(none.Next(absl::UnavailableError(""), kNow).has_value());
  RetrySchedule inverted({.backoff_initial = absl::Seconds(-1), .backoff_max = absl::Seconds(-2)},
                         kNow + absl::Hours(1), random);
  EXPECT_GT(*inverted.Next(absl::UnavailableError(""), kNow), absl::ZeroDuration());
}

}  // namespace
}  // namespace holdfast::client
