#include "actors/wire/wire_time.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/actors/node_test.h"

namespace holdfast::actors {
namespace {

google::protobuf::Duration Wire(int64_t seconds, int32_t nanos) {
  google::protobuf::Duration duration;
  duration.set_seconds(seconds);
  duration.set_nanos(nanos);
  return duration;
}

absl::StatusOr<int64_t> Parse(int64_t seconds, int32_t nanos) {
  return MicrosOf(Wire(seconds, nanos), "window", absl::Milliseconds(1), kLongestDuration);
}

TEST(WireTimeTest, DurationsRoundUpToAMicrosecond) {
  EXPECT_EQ(*Parse(1, 0), 1'000'000);
  EXPECT_EQ(*Parse(1, 1), 1'000'001);
  EXPECT_EQ(*Parse(1, 999), 1'000'001);
  EXPECT_EQ(*Parse(1, 1000), 1'000'001);
  EXPECT_EQ(*Parse(1, 1001), 1'000'002);
  EXPECT_EQ(*Parse(0, 999'999'001), 1'000'000);
}

TEST(WireTimeTest, TheBoundsAreIncluded) {
  EXPECT_EQ(*Parse(0, 1'000'000), 1'000);
  EXPECT_THAT(Parse(0, 999'999).status(), IsInvalid("window"));
  EXPECT_EQ(*Parse(366 * 86'400, 0), 366ll * 86'400 * 1'000'000);
  EXPECT_THAT(Parse(366 * 86'400, 1).status(), IsInvalid("window"));
}

TEST(WireTimeTest, WhatIsNoWellFormedDurationIsRefused) {
  EXPECT_THAT(Parse(0, 0).status(), IsInvalid("window"));
  EXPECT_THAT(Parse(-1, 0).status(), IsInvalid("window"));
  EXPECT_THAT(Parse(0, -1'000'000).status(), IsInvalid("window"));
  EXPECT_THAT(Parse(1, -1).status(), IsInvalid("window"));
  EXPECT_THAT(Parse(5, 1'000'000'000).status(), IsInvalid("window"));
  EXPECT_THAT(Parse(5, std::numeric_limits<int32_t>::max()).status(), IsInvalid("window"));
  EXPECT_THAT(Parse(5, std::numeric_limits<int32_t>::min()).status(), IsInvalid("window"));
  EXPECT_THAT(Parse(std::numeric_limits<int64_t>::max(), 999'999'999).status(), IsInvalid("window"));
  EXPECT_THAT(Parse(std::numeric_limits<int64_t>::min(), -999'999'999).status(), IsInvalid("window"));
}

absl::StatusOr<int64_t> ParseTime(int64_t seconds, int32_t nanos) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(nanos);
  return MicrosOf(timestamp, "time");
}

TEST(WireTimeTest, TimestampsRoundUpToAMicrosecond) {
  EXPECT_EQ(*ParseTime(1, 1), 1'000'001);
  EXPECT_EQ(*ParseTime(-1, 999'999'001), 0);
}

TEST(WireTimeTest, TimestampsAreFromTheYear1ToTheYear9999AfterTheyAreRoundedToo) {
  constexpr int64_t kFirst = -62'135'596'800;
  constexpr int64_t kLast = 253'402'300'799;
  EXPECT_EQ(*ParseTime(kFirst, 0), kFirst * kMicrosPerSecond);
  EXPECT_THAT(ParseTime(kFirst - 1, 999'999'999).status(), IsInvalid("time"));
  EXPECT_EQ(*ParseTime(kLast, 999'999'000), kLast * kMicrosPerSecond + 999'999);
  EXPECT_THAT(ParseTime(kLast, 999'999'001).status(), IsInvalid("time"));
  EXPECT_THAT(ParseTime(kLast, 999'999'999).status(), IsInvalid("time"));
  EXPECT_THAT(ParseTime(kLast + 1, 0).status(), IsInvalid("time"));
}

TEST(WireTimeTest, TimestampsHaveNanosecondsFrom0To999999999) {
  google::protobuf::Timestamp timestamp;
  SetTimestamp(1'700'000'000'123'456, &timestamp);
  EXPECT_EQ(timestamp.seconds(), 1'700'000'000);
  EXPECT_EQ(timestamp.nanos(), 123'456'000);
  SetTimestamp(-1, &timestamp);
  EXPECT_EQ(timestamp.seconds(), -1);
  EXPECT_EQ(timestamp.nanos(), 999'999'000);
  SetTimestamp(-1'000'000, &timestamp);
  EXPECT_EQ(timestamp.seconds(), -1);
  EXPECT_EQ(timestamp.nanos(), 0);
}

TEST(WireTimeTest, DurationsComeBackAsTheyWere) {
  for (int64_t micros : {1'000ll, 1'001ll, 999'999ll, 1'000'000ll, 31'622'400'000'000ll}) {
    google::protobuf::Duration duration;
    SetDuration(micros, &duration);
    EXPECT_EQ(*MicrosOf(duration, "window", absl::Milliseconds(1), kLongestDuration), micros);
  }
}

}  // namespace
}  // namespace holdfast::actors
