#include "service/metrics/history.h"

#include <gtest/gtest.h>

#include "actors/objects/counter.h"
#include "actors/wire/errors.h"

namespace holdfast::service {
namespace {

class HistoryTest : public ::testing::Test {
 protected:
  void Step() {
    steady_ += History::kStep;
    wall_ += History::kStep;
    history_.Add(recorder_, load_, usage_, wall_, steady_);
  }
  void Calls(int count, absl::StatusCode code, absl::Duration time) {
    for (int i = 0; i < count; ++i) recorder_.CallEnded({0, false, code, time});
  }

  Recorder recorder_{{"S.M"}, {&actors::Counter::Class()}, 1};
  NodeLoad load_;
  ProcessUsage usage_;
  absl::Time wall_ = absl::UnixEpoch() + absl::Hours(100);
  absl::Time steady_ = absl::UnixEpoch();
  History history_;
};

TEST_F(HistoryTest, TheFirstLookOnlyRemembers) {
  Calls(5, absl::StatusCode::kOk, absl::Milliseconds(1));
  Step();
  EXPECT_TRUE(history_.Read().empty());
}

TEST_F(HistoryTest, APointIsOfTheTimeSinceTheOneBefore) {
  Calls(1'000, absl::StatusCode::kOk, absl::Seconds(20));
  Step();
  Calls(98, absl::StatusCode::kOk, absl::Microseconds(80));
  Calls(2, absl::StatusCode::kUnavailable, absl::Milliseconds(40));
  recorder_.CallRefused("S.M", absl::UnavailableError("x"));
  recorder_.CommitEnded({.bytes = 10, .keyspaces = 1, .time = absl::Milliseconds(2), .ok = true});
  recorder_.LogAppended({.bytes = 500, .time = absl::Milliseconds(1), .ok = true});
  recorder_.AlarmBegun(actors::Counter::Class().name, absl::ZeroDuration());
  usage_.cpu_time += absl::Seconds(5);
  usage_.resident_bytes = 77;
  load_.store.disk_free_bytes = 88;
  load_.executors.push_back({.answered = true, .load = {.active_objects = 3}, .cpu_time = {}});
  Step();
  ASSERT_EQ(history_.Read().size(), 1u);
  const HistoryPoint point = history_.Read()[0];
  EXPECT_EQ(point.time, wall_);
  EXPECT_DOUBLE_EQ(point.requests_per_second, 10);
  EXPECT_DOUBLE_EQ(point.errors_per_second, 0.2);
  EXPECT_DOUBLE_EQ(point.refusals_per_second, 0.1);
  EXPECT_EQ(point.request_p50, absl::Microseconds(100));
  EXPECT_EQ(point.request_p99, absl::Milliseconds(50));
  EXPECT_DOUBLE_EQ(point.commits_per_second, 0.1);
  EXPECT_EQ(point.commit_p99, absl::Microseconds(2500));
  EXPECT_DOUBLE_EQ(point.log_bytes_per_second, 50);
  EXPECT_DOUBLE_EQ(point.alarms_per_second, 0.1);
  EXPECT_DOUBLE_EQ(point.cpu, 0.5);
  EXPECT_EQ(point.resident_bytes, 77u);
  EXPECT_EQ(point.disk_free_bytes, 88u);
  EXPECT_EQ(point.active_objects, 3u);
}

TEST_F(HistoryTest, ItHasTheLastFifteenMinutes) {
  for (int i = 0; i < 200; ++i) Step();
  const auto points = history_.Read();
  ASSERT_EQ(points.size(), History::kPoints);
  EXPECT_EQ(points.back().time, wall_);
  EXPECT_EQ(points.front().time, wall_ - History::kStep * (History::kPoints - 1));
}

TEST(QuantileTest, IsABoundOfABucket) {
  const uint64_t bounds[] = {10, 20, 30};
  const Buckets buckets{bounds};
  EXPECT_EQ(QuantileOf(0.5, {0, 0, 0, 0}, {0, 0, 0, 0}, buckets), absl::ZeroDuration());
  EXPECT_EQ(QuantileOf(0.5, {5, 0, 0, 0}, {6, 1, 0, 0}, buckets), absl::Nanoseconds(10));
  EXPECT_EQ(QuantileOf(0.99, {5, 0, 0, 0}, {6, 1, 0, 0}, buckets), absl::Nanoseconds(20));
  EXPECT_EQ(QuantileOf(0.99, {0, 0, 0, 0}, {0, 0, 0, 9}, buckets), absl::Nanoseconds(30));
}

}  // namespace
}  // namespace holdfast::service
