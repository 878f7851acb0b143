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
