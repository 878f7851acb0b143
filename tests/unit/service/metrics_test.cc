// The table of metrics, what the recorder counts of events, and the families that the endpoint shows.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "actors/objects/counter.h"
#include "actors/objects/plain_object.h"
#include "actors/wire/errors.h"
#include "service/metrics/cells.h"
#include "service/metrics/collector.h"
#include "service/metrics/metric_table.h"
#include "service/metrics/observers.h"
#include "service/metrics/recorder.h"

namespace holdfast::service {
namespace {

// --- The table.

TEST(MetricTableTest, NamesFollowTheConventions) {
  std::set<absl::string_view> names;
  for (const MetricRow& row : MetricTable()) {
    SCOPED_TRACE(std::string(row.name));
    EXPECT_TRUE(names.insert(row.name).second);
    EXPECT_TRUE(absl::StartsWith(row.name, "holdfast_") || absl::StartsWith(row.name, "process_"));
    EXPECT_EQ(absl::EndsWith(row.name, "_total"), row.kind == MetricKind::kCounter);
    EXPECT_EQ(row.name, absl::AsciiStrToLower(row.name));
    EXPECT_TRUE(absl::EndsWith(row.help, ".")) << "help is a sentence";
    for (absl::string_view label : row.labels) {
      EXPECT_THAT((std::set<absl::string_view>{"service", "method", "code", "answer", "reason", "class", "executor",
                                               "to", "outcome", "place", "direction", "version", "storage_format"}),
                  ::testing::Contains(label))
          << "a label must have few values, which clients don't choose";
    }
  }
}

TEST(MetricTableTest, BucketsAscend) {
  for (const MetricRow& row : MetricTable()) {
    if (row.buckets == nullptr) continue;
    SCOPED_TRACE(std::string(row.name));
    uint64_t last = 0;
    for (const uint64_t bound : row.buckets->bounds) {
      EXPECT_GT(bound, last);
      last = bound;
    }
  }
}

// --- Cells.

TEST(CellsTest, NothingIsLostThatThreadsAddAtTheSameTime) {
  constexpr int kThreads = 8;
  constexpr int kTimes = 20'000;
  // Fewer copies than threads, so that some share one.
  Cells cells(3, 2);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&cells] {
      for (int n = 0; n < kTimes; ++n) {
        cells.Add(0);
        cells.Add(1, 5);
        cells.Add(2);
        cells.Subtract(2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cells.Sum(0), uint64_t{kThreads} * kTimes);
  EXPECT_EQ(cells.Sum(1), uint64_t{kThreads} * kTimes * 5);
  EXPECT_EQ(cells.Sum(2), 0u);
}

// --- The recorder.

class RecorderTest : public ::testing::Test {
 protected:
  static constexpr size_t kIncrement = 0;
  static constexpr size_t kWatch = 1;

  // Returns the value of the series with these labels; fails if there is none.
  Series With(Metric metric, const std::vector<std::string>& labels) const {
    for (Series& series : recorder.Read(metric)) {
      if (series.labels == labels) return series;
    }
    ADD_FAILURE() << RowOf(metric).name << " has no such series";
    return {};
  }
  double ValueOf(Metric metric, const std::vector<std::string>& labels = {}) const {
    return With(metric, labels).value;
  }

  const std::string& counters = actors::Counter::Class().name;
  Recorder recorder{{"holdfast.v1.CounterService.Increment", "holdfast.v1.ObjectService.WatchAlarms"},
                    {&actors::Counter::Class(), &actors::PlainObject::Class()},
                    4};
};

TEST_F(RecorderTest, ACallIsCountedByMethodAndCode) {
  recorder.CallEnded({kIncrement, false, absl::StatusCode::kOk, absl::Milliseconds(3)});
  recorder.CallEnded({kIncrement, false, absl::StatusCode::kOk, absl::Milliseconds(7)});
  recorder.CallEnded({kIncrement, false, absl::StatusCode::kUnauthenticated, absl::Milliseconds(1)});
  const std::string service = "holdfast.v1.CounterService";
  EXPECT_EQ(ValueOf(Metric::kRequests, {service, "Increment", "OK"}), 2);
  EXPECT_EQ(ValueOf(Metric::kRequests, {service, "Increment", "UNAUTHENTICATED"}), 1);
  const Series times = With(Metric::kRequestDuration, {service, "Increment"});
  EXPECT_NEAR(times.sum, 0.011, 1e-9);
  EXPECT_EQ(recorder.Total(Metric::kRequestDuration), 3u);
  EXPECT_EQ(recorder.Total(Metric::kRequests), 3u);
}

TEST_F(RecorderTest, SeriesOfErrorsAreThereOnceThereIsOne) {
  EXPECT_EQ(recorder.Read(Metric::kRequests).size(), 4u);  // OK and DATA_LOSS of each method
  recorder.CallEnded({kWatch, true, absl::StatusCode::kCancelled, absl::Hours(1)});
  EXPECT_EQ(recorder.Read(Metric::kRequests).size(), 5u);
  EXPECT_EQ(recorder.Total(Metric::kRequestDuration), 0u) << "a stream has no time";
}

TEST_F(RecorderTest, AMethodOrACodeThatIsNotKnownDoesNoHarm) {
  recorder.CallEnded({77, false, absl::StatusCode::kOk, absl::Milliseconds(1)});
  recorder.CallBytes(77, 1, 1);
  EXPECT_EQ(recorder.Total(Metric::kRequests), 0u);
  recorder.CallEnded({kIncrement, false, static_cast<absl::StatusCode>(99), absl::Milliseconds(-1)});
  EXPECT_EQ(ValueOf(Metric::kRequests, {"holdfast.v1.CounterService", "Increment", "UNKNOWN"}), 1);
}

TEST_F(RecorderTest, AValueIsInTheFirstBucketWhoseBoundItDoesNotExceed) {
  const auto& bounds = RowOf(Metric::kMailboxDepth).buckets->bounds;
  recorder.RequestQueued(counters, bounds[0]);
  recorder.RequestQueued(counters, bounds[3]);
  recorder.RequestQueued(counters, bounds[3] + 1);
  recorder.RequestQueued(counters, bounds.back() + 1);
  const Series depths = With(Metric::kMailboxDepth, {"Counter"});
  ASSERT_EQ(depths.counts.size(), bounds.size() + 1);
  EXPECT_EQ(depths.counts[0], 1u);
  EXPECT_EQ(depths.counts[3], 1u);
  EXPECT_EQ(depths.counts[4], 1u);
  EXPECT_EQ(depths.counts.back(), 1u);
}

TEST_F(RecorderTest, AClassIsFoundByItsNameAndOthersShareOneSeries) {
  recorder.RequestQueued(counters, 1);
  recorder.RequestQueued(std::string("Counter"), 1);  // at another address
  recorder.RequestQueued("Unheard", 1);
  recorder.RequestQueued("OfToo", 1);
  EXPECT_EQ(With(Metric::kMailboxDepth, {"Counter"}).counts[0], 2u);
  EXPECT_EQ(With(Metric::kMailboxDepth, {"Object"}).counts[0], 0u);
  EXPECT_EQ(With(Metric::kMailboxDepth, {"other"}).counts[0], 2u);
}

TEST_F(RecorderTest, WhatBeganAndWhatIsInMemoryGoUpAndDown) {
  recorder.Activated(counters, absl::Milliseconds(1));
  recorder.Activated(counters, absl::Milliseconds(1));
  recorder.Passivated(counters);
  recorder.RequestBegun(counters);
  recorder.RequestBegun(counters);
  recorder.RequestEnded(counters, absl::InternalError("x"), absl::Milliseconds(1));
  EXPECT_EQ(ValueOf(Metric::kActiveObjects, {"Counter"}), 1);
  EXPECT_EQ(ValueOf(Metric::kPassivations, {"Counter"}), 1);
  EXPECT_EQ(ValueOf(Metric::kTurnsInProgress, {"Counter"}), 1);
  EXPECT_EQ(ValueOf(Metric::kTurnErrors, {"Counter"}), 1);
  recorder.StoreStalled("packed", true);
  EXPECT_EQ(ValueOf(Metric::kStoreStalledFamilies), 1);
  recorder.StoreStalled("packed", false);
  EXPECT_EQ(ValueOf(Metric::kStoreStalledFamilies), 0);
  EXPECT_EQ(ValueOf(Metric::kStoreStalls), 1);
}

TEST_F(RecorderTest, RefusalsOfTheGateAndOfTheRuntimeAreCountedByReason) {
  const absl::Status full = actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL, "x",
                                              absl::Milliseconds(1));
  const absl::Status overloaded = actors::Retryable(absl::StatusCode::kResourceExhausted,
                                                    v1::ERROR_REASON_SERVER_OVERLOADED, "x", absl::Milliseconds(1));
  recorder.RequestRefused(counters, full);
  recorder.CallRefused("holdfast.v1.CounterService.Increment", overloaded);
  recorder.CallRefused("holdfast.v1.CounterService.Increment", overloaded);
  recorder.CallRefused("holdfast.v1.CounterService.Increment", absl::UnknownError("without a reason"));
  EXPECT_EQ(ValueOf(Metric::kRefusals, {"MAILBOX_FULL"}), 1);
  EXPECT_EQ(ValueOf(Metric::kRefusals, {"SERVER_OVERLOADED"}), 2);
  EXPECT_EQ(ValueOf(Metric::kRefusals, {"UNSPECIFIED"}), 1);
}

TEST_F(RecorderTest, MovesAreCountedByWhereTheyWentAndWereToGo) {
  recorder.Moved(/*packed=*/false, /*done=*/true);
  recorder.Moved(/*packed=*/true, /*done=*/true);
  recorder.Moved(/*packed=*/true, /*done=*/false);  // it is packed still, and was to get a family
  EXPECT_EQ(ValueOf(Metric::kMoves, {"family", "done"}), 1);
  EXPECT_EQ(ValueOf(Metric::kMoves, {"packed", "done"}), 1);
  EXPECT_EQ(ValueOf(Metric::kMoves, {"family", "failed"}), 1);
  EXPECT_EQ(ValueOf(Metric::kMoves, {"packed", "failed"}), 0);
}

TEST_F(RecorderTest, CommitsFoldsTablesSqlAndAlarms) {
  recorder.CommitEnded({.bytes = 300, .keyspaces = 3, .time = absl::Milliseconds(2), .ok = true});
  recorder.CommitEnded({.bytes = 300, .keyspaces = 3, .time = absl::Milliseconds(2), .ok = false});
  recorder.LogAppended({.bytes = 512, .time = absl::Milliseconds(1), .ok = true});
  recorder.FoldEnded({.bytes = 1000, .keyspaces = 3, .time = absl::Milliseconds(2), .ok = true});
  recorder.TableWritten({.compaction = false, .bytes_read = 0, .bytes_written = 7, .time = {}, .ok = true});
  recorder.TableWritten(
      {.compaction = true, .bytes_read = 10, .bytes_written = 9, .time = absl::Milliseconds(500), .ok = true});
  recorder.SqlEnded({.on_worker = false, .waited = {}, .time = absl::Milliseconds(1)});
  recorder.SqlEnded({.on_worker = true, .waited = absl::Milliseconds(2), .time = absl::Milliseconds(1)});
  recorder.AlarmBegun(counters, absl::Seconds(2));
  recorder.AlarmFailed(counters, 1, false);
  recorder.AlarmFailed(counters, 2, true);
  EXPECT_EQ(recorder.Total(Metric::kCommitDuration), 1u);
  EXPECT_EQ(recorder.Total(Metric::kCommitFailures), 1u);
  EXPECT_EQ(ValueOf(Metric::kLogBytes), 512);
  EXPECT_EQ(ValueOf(Metric::kFoldBytes), 1000);
  EXPECT_EQ(ValueOf(Metric::kFlushedBytes), 7);
  EXPECT_EQ(ValueOf(Metric::kCompactionReadBytes), 10);
  EXPECT_EQ(ValueOf(Metric::kCompactionWrittenBytes), 9);
  EXPECT_EQ(ValueOf(Metric::kCompactionSeconds), 0.5);
  EXPECT_EQ(recorder.Total(Metric::kSqlWait), 1u);
  EXPECT_EQ(recorder.Total(Metric::kSqlDuration), 2u);
  EXPECT_EQ(With(Metric::kAlarmLateness, {"Counter"}).sum, 2);
  EXPECT_EQ(ValueOf(Metric::kAlarmFailures, {"Counter"}), 2);
  EXPECT_EQ(ValueOf(Metric::kAlarmsDropped, {"Counter"}), 1);
}

TEST_F(RecorderTest, TwoObserversAreToldTheSame) {
  Recorder other{{"S.M"}, {}, 1};
  Observers both(&recorder, &other);
  both.CommitEnded({.bytes = 300, .keyspaces = 3, .time = absl::Milliseconds(2), .ok = true});
  both.CallBytes(0, 3, 4);
  for (const Recorder* each : {&recorder, &other}) {
    EXPECT_EQ(each->Total(Metric::kCommitBytes), 1u);
    EXPECT_EQ(each->Total(Metric::kReceivedBytes), 3u);
    EXPECT_EQ(each->Total(Metric::kSentBytes), 4u);
  }
}

// --- The families of the endpoint.

TEST_F(RecorderTest, EachRowIsAFamilyWithASeriesForAllOfItsLabels) {
  NodeLoad load;
  load.executors.resize(2);
  load.executors[0] = {.answered = true, .load = {.active_object_bytes = 5}, .cpu_time = absl::Seconds(3)};
  load.rate_limits.descriptors[static_cast<size_t>(DescriptorOutcome::kOverInShadow)] = 4;
  load.rate_limits.rules_refused = true;
  const Collector collector(
      &recorder, [&load] { return load; }, absl::UnixEpoch() + absl::Seconds(7));
  const auto families = collector.Collect();
  ASSERT_EQ(families.size(), kMetricCount);
  std::map<std::string, const prometheus::MetricFamily*> by_name;
  for (size_t i = 0; i < families.size(); ++i) {
    const MetricRow& row = MetricTable()[i];
    EXPECT_EQ(families[i].name, row.name);
    EXPECT_FALSE(families[i].metric.empty()) << row.name << " is neither recorded nor read";
    for (const auto& metric : families[i].metric) EXPECT_EQ(metric.label.size(), row.labels.size()) << row.name;
    by_name[families[i].name] = &families[i];
  }
  EXPECT_EQ(by_name.at("holdfast_active_object_bytes")->metric[0].gauge.value, 5);
  EXPECT_EQ(by_name.at("holdfast_executors")->metric[0].gauge.value, 2);
  EXPECT_EQ(by_name.at("holdfast_rate_limit_descriptors_total")->metric.size(), 5u);
  EXPECT_EQ(by_name.at("holdfast_rate_limit_descriptors_total")->metric[2].label[0].value, "over_limit_in_shadow");
  EXPECT_EQ(by_name.at("holdfast_rate_limit_descriptors_total")->metric[2].counter.value, 4);
  EXPECT_EQ(by_name.at("holdfast_rate_limit_rules_refused")->metric[0].gauge.value, 1);
  EXPECT_EQ(by_name.at("holdfast_executors_unresponsive")->metric[0].gauge.value, 1);
  EXPECT_EQ(by_name.at("holdfast_executor_cpu_seconds_total")->metric.size(), 2u);
  EXPECT_EQ(by_name.at("process_start_time_seconds")->metric[0].gauge.value, 7);
  EXPECT_GT(by_name.at("process_resident_memory_bytes")->metric[0].gauge.value, 1 << 20);
  EXPECT_GT(by_name.at("process_open_fds")->metric[0].gauge.value, 2);
}

TEST_F(RecorderTest, TheBucketsOfAHistogramAreCumulative) {
  recorder.CommitEnded({.bytes = 1, .keyspaces = 1, .time = absl::Milliseconds(2), .ok = true});
  recorder.CommitEnded({.bytes = 300, .keyspaces = 2, .time = absl::Hours(2), .ok = true});
  const Collector collector(
      &recorder, [] { return NodeLoad(); }, absl::UnixEpoch());
  const auto families = collector.Collect();
  const auto& histogram = families[static_cast<size_t>(Metric::kCommitDuration)].metric[0].histogram;
  EXPECT_EQ(histogram.sample_count, 2u);
  EXPECT_EQ(histogram.bucket.back().cumulative_count, 2u);
  EXPECT_TRUE(std::isinf(histogram.bucket.back().upper_bound));
  EXPECT_EQ((histogram.bucket.end() - 2)->cumulative_count, 1u);
  EXPECT_EQ(histogram.bucket.front().cumulative_count, 0u);
  EXPECT_DOUBLE_EQ(histogram.bucket.front().upper_bound, 50e-6);
}

TEST_F(RecorderTest, ClientsCannotMakeSeries) {
  const auto count = [this] {
    size_t series = 0;
    for (const MetricRow& row : MetricTable()) series += recorder.Read(row.metric).size();
    return series;
  };
  const size_t before = count();
  for (int i = 0; i < 10'000; ++i) {
    recorder.RequestQueued(absl::StrCat("class-", i), 1);
    recorder.Activated(absl::StrCat("class-", i), absl::Milliseconds(1));
    recorder.StoreStalled(absl::StrCat("family-", i), true);
    recorder.CallRefused(absl::StrCat("method-", i), absl::UnknownError(absl::StrCat(i)));
  }
  EXPECT_EQ(count(), before);
}

}  // namespace
}  // namespace holdfast::service
