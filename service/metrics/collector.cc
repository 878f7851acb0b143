#include "service/metrics/collector.h"

#include <prometheus/text_serializer.h>

#include <iterator>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/metrics/process_usage.h"
#include "service/metrics/version.h"
#include "storage/store/format.h"

namespace holdfast::service {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricType TypeOf(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return MetricType::Counter;
    case MetricKind::kGauge:
      return MetricType::Gauge;
    case MetricKind::kHistogram:
      return MetricType::Histogram;
  }
  return MetricType::Untyped;
}

std::vector<Series> One(double value) { return {{.labels = {}, .value = value}}; }
std::vector<Series> One(uint64_t value) { return One(static_cast<double>(value)); }
std::vector<Series> One(int64_t value) { return One(static_cast<double>(value)); }

template <typename Number>
std::vector<Series> SumOf(const NodeLoad& load, Number (*number)(const NodeLoad::Executor&)) {
  Number sum{};
  for (const NodeLoad::Executor& executor : load.executors) sum += number(executor);
  return One(static_cast<double>(sum));
}

std::vector<Series> ReadProcess(Metric metric, const ProcessUsage& usage, absl::Time started) {
  switch (metric) {
    case Metric::kBuildInfo:
      return {{.labels = {ServerVersion(), absl::StrCat(storage::kFormatVersion)}, .value = 1}};
    case Metric::kStartTime:
      return One(absl::ToDoubleSeconds(started - absl::UnixEpoch()));
    case Metric::kProcessCpu:
      return One(absl::ToDoubleSeconds(usage.cpu_time));
    case Metric::kResidentMemory:
      return One(usage.resident_bytes);
    case Metric::kOpenDescriptors:
      return One(usage.open_descriptors);
    case Metric::kDescriptorsMax:
      return One(usage.descriptors_max);
    default:
      return {};
  }
}

ClientMetric ToClient(const MetricRow& row, Series series) {
  ClientMetric metric;
  for (size_t i = 0; i < row.labels.size(); ++i) {
    metric.label.push_back({std::string(row.labels[i]), std::move(series.labels[i])});
  }
  switch (row.kind) {
    case MetricKind::kCounter:
      metric.counter.value = series.value;
      break;
    case MetricKind::kGauge:
      metric.gauge.value = series.value;
      break;
    case MetricKind::kHistogram:
      uint64_t count = 0;
      for (size_t i = 0; i < series.counts.size(); ++i) {
        count += series.counts[i];
        const double bound = i < row.buckets->bounds.size()
                                 ? static_cast<double>(row.buckets->bounds[i]) / row.buckets->per_unit
                                 : std::numeric_limits<double>::infinity();
        metric.histogram.bucket.push_back({count, bound});
      }
      metric.histogram.sample_count = count;
      metric.histogram.sample_sum = series.sum;
      break;
  }
  return metric;
}

// The labels of DescriptorOutcome.
constexpr absl::string_view kDescriptorOutcomes[] = {"ok", "over_limit", "over_limit_in_shadow", "unlimited",
                                                     "without_rule"};
static_assert(std::size(kDescriptorOutcomes) == std::tuple_size_v<DescriptorCounts>);

// The metrics of Envoy's rate limit service.
std::vector<Series> ReadRateLimits(Metric metric, const RateLimitLoad& load) {
  std::vector<Series> all;
  switch (metric) {
    case Metric::kRateLimitDescriptors:
      for (size_t i = 0; i < load.descriptors.size(); ++i) {
        all.push_back(
            {.labels = {std::string(kDescriptorOutcomes[i])}, .value = static_cast<double>(load.descriptors[i])});
      }
      return all;
    case Metric::kRateLimitRuleChanges:
      return One(load.rule_changes);
    case Metric::kRateLimitRulesRefused:
      return One(load.rules_refused ? 1.0 : 0.0);
    default:
      return {};
  }
}

// The metrics of a member of a cluster.
std::vector<Series> ReadCluster(Metric metric, const ClusterLoad& load) {
  switch (metric) {
    case Metric::kClusterNodes:
      return One(uint64_t{load.nodes});
    case Metric::kClusterShards:
      return One(uint64_t{load.shards});
    case Metric::kClusterLeaseAge:
      return One(absl::ToDoubleSeconds(load.lease_age));
    case Metric::kClusterShardsMoved:
      return {{.labels = {"gained"}, .value = static_cast<double>(load.shards_gained)},
              {.labels = {"given"}, .value = static_cast<double>(load.shards_given)}};
    case Metric::kClusterRecoveries:
      return One(load.recoveries);
    case Metric::kClusterForwarded:
      return One(load.forwarded);
    case Metric::kClusterCommitsResolved:
      return One(load.commits_resolved);
    default:
      return {};
  }
}

// The metrics of the HTTP port.
std::vector<Series> ReadHttp(Metric metric, const HttpLoad& load) {
  static constexpr const char* kAnswers[HttpLoad::kAnswers] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  std::vector<Series> answers;
  switch (metric) {
    case Metric::kHttpConnections:
      return One(load.connections);
    case Metric::kHttpRequests:
      for (size_t i = 0; i < HttpLoad::kAnswers; ++i) {
        answers.push_back({.labels = {kAnswers[i]}, .value = static_cast<double>(load.answers[i])});
      }
      return answers;
    case Metric::kHttpReceivedBytes:
      return One(load.received_bytes);
    case Metric::kHttpSentBytes:
      return One(load.sent_bytes);
    default:
      return {};
  }
}

}  // namespace

std::vector<Series> ReadLoad(Metric metric, const NodeLoad& load) {
  using Executor = NodeLoad::Executor;
  switch (metric) {
    case Metric::kRequestsInProgress:
      return One(load.calls);
    case Metric::kStreamsInProgress:
      return One(load.streams);
    case Metric::kCallBytes:
      return One(load.call_bytes);
    case Metric::kConnections:
      return One(load.connections);
    case Metric::kDraining:
      return One(load.draining ? 1.0 : 0.0);
    case Metric::kActiveObjectBytes:
      return SumOf<size_t>(load, [](const Executor& e) { return e.load.active_object_bytes; });
    case Metric::kExecutors:
      return One(uint64_t{load.executors.size()});
    case Metric::kExecutorsUnresponsive:
      return SumOf<int>(load, [](const Executor& e) { return e.answered ? 0 : 1; });
    case Metric::kExecutorCpu: {
      std::vector<Series> all;
      for (size_t i = 0; i < load.executors.size(); ++i) {
        all.push_back({.labels = {absl::StrCat(i)}, .value = absl::ToDoubleSeconds(load.executors[i].cpu_time)});
      }
      return all;
    }
    case Metric::kPendingCommitBytes:
      return SumOf<size_t>(load, [](const Executor& e) { return e.load.pending_commit_bytes; });
    case Metric::kUnfoldedBytes:
      return One(load.store.unfolded_bytes);
    case Metric::kUnfoldedBytesMax:
      return One(load.store.unfolded_bytes_max);
    case Metric::kPendingCompactionBytes:
      return One(load.store.pending_compaction_bytes);
    case Metric::kMemtableBytes:
      return One(load.store.memtable_bytes);
    case Metric::kTableBytes:
      return One(load.store.table_bytes);
    case Metric::kBlockCacheBytes:
      return One(load.store.block_cache_bytes);
    case Metric::kBlockCacheBytesMax:
      return One(load.store.block_cache_bytes_max);
    case Metric::kBlockCacheHits:
      return One(load.store.block_cache_hits);
    case Metric::kBlockCacheMisses:
      return One(load.store.block_cache_misses);
    case Metric::kFamilies:
      return One(load.families);
    case Metric::kFamiliesMax:
      return One(load.families_max);
    case Metric::kDiskFreeBytes:
      return One(load.store.disk_free_bytes);
    case Metric::kDiskReserveBytes:
      return One(load.store.disk_reserve_bytes);
    case Metric::kAlarmsRunning:
      return SumOf<size_t>(load, [](const Executor& e) { return e.load.alarms.running; });
    case Metric::kAlarmsWaiting:
      return SumOf<size_t>(load, [](const Executor& e) { return e.load.alarms.waiting; });
    case Metric::kAlarmBacklog: {
      absl::Duration late = absl::ZeroDuration();
      for (const Executor& executor : load.executors) late = std::max(late, executor.load.alarms.late);
      return One(absl::ToDoubleSeconds(late));
    }
    case Metric::kAlarmWatchers:
      return One(uint64_t{load.alarm_watchers});
    case Metric::kSqlWaiting:
      return SumOf<int>(load, [](const Executor& e) { return e.sql_waiting; });
    case Metric::kRequestRecords:
      return SumOf<int64_t>(load, [](const Executor& e) { return e.load.request_records; });
    case Metric::kRequestRecordBytes:
      return SumOf<int64_t>(load, [](const Executor& e) { return e.load.request_record_bytes; });
    case Metric::kRequestRecordBytesMax:
      return One(load.request_record_bytes_max);
    case Metric::kRateLimitDescriptors:
    case Metric::kRateLimitRuleChanges:
    case Metric::kRateLimitRulesRefused:
      return ReadRateLimits(metric, load.rate_limits);
    case Metric::kTraceSpans:
      return One(load.spans_exported);
    case Metric::kTraceSpansDropped:
      return {{.labels = {"queue_full"}, .value = static_cast<double>(load.spans_dropped_queue_full)},
              {.labels = {"not_taken"}, .value = static_cast<double>(load.spans_dropped_not_taken)}};
    case Metric::kTracesLeftOut:
      return One(load.traces_left_out);
    default:
      break;
  }
  std::vector<Series> http = ReadHttp(metric, load.http);
  return http.empty() ? ReadCluster(metric, load.cluster) : http;
}

std::string TextOf(const Collector& collector) { return prometheus::TextSerializer().Serialize(collector.Collect()); }

std::vector<MetricFamily> Collector::Collect() const {
  const NodeLoad load = load_();
  const ProcessUsage usage = ReadProcessUsage();
  std::vector<MetricFamily> families;
  for (const MetricRow& row : MetricTable()) {
    std::vector<Series> all = recorder_->Read(row.metric);
    if (all.empty()) all = ReadLoad(row.metric, load);
    if (all.empty()) all = ReadProcess(row.metric, usage, started_);
    MetricFamily& family = families.emplace_back();
    family.name = std::string(row.name);
    family.help = std::string(row.help);
    family.type = TypeOf(row.kind);
    for (Series& series : all) family.metric.push_back(ToClient(row, std::move(series)));
  }
  return families;
}

}  // namespace holdfast::service
