// The table of all metrics: a row for each, with its name, type, labels and help. Everything that reads or shows
// metrics goes by this table: the recorder (recorder.h), the endpoint (collector.h), docs/metrics.md, the dashboard and
// the alerts, whose queries are checked against it.
//
// Conventions are those of Prometheus: base units (seconds, bytes), `_total` for counters. A label has few values, all
// known beforehand: methods, classes, codes, reasons. Names of objects and of namespaces are no labels, since clients
// choose them.

#ifndef HOLDFAST_SERVICE_METRICS_METRIC_TABLE_H_
#define HOLDFAST_SERVICE_METRICS_METRIC_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace holdfast::service {

enum class Metric : size_t {
  // --- Calls.
  kRequests,
  kRequestDuration,
  kRequestsInProgress,
  kStreamsInProgress,
  kCallBytes,
  kReceivedBytes,
  kSentBytes,
  kConnections,
  kHttpConnections,
  kHttpRequests,
  kHttpReceivedBytes,
  kHttpSentBytes,
  kRefusals,
  kDraining,
  // --- Objects.
  kActiveObjects,
  kActiveObjectBytes,
  kLoadDuration,
  kLoadFailures,
  kPassivations,
  kMailboxDepth,
  kTurnDuration,
  kTurnsInProgress,
  kTurnErrors,
  kExecutors,
  kExecutorsUnresponsive,
  kExecutorCpu,
  // --- Commits, the log and the fold.
  kCommitDuration,
  kCommitBytes,
  kCommitKeyspaces,
  kCommitFailures,
  kPendingCommitBytes,
  kLogSyncDuration,
  kLogBytes,
  kFoldDuration,
  kFoldBytes,
  kUnfoldedBytes,
  kUnfoldedBytesMax,
  // --- A cluster on PostgreSQL.
  kClusterNodes,
  kClusterShards,
  kClusterLeaseAge,
  kClusterShardsMoved,
  kClusterRecoveries,
  kClusterForwarded,
  kClusterCommitsResolved,
  // --- The store below and its disk.
  kStoreStalls,
  kStoreStalledFamilies,
  kFlushes,
  kFlushedBytes,
  kCompactions,
  kCompactionSeconds,
  kCompactionReadBytes,
  kCompactionWrittenBytes,
  kPendingCompactionBytes,
  kMemtableBytes,
  kTableBytes,
  kBlockCacheBytes,
  kBlockCacheBytesMax,
  kBlockCacheHits,
  kBlockCacheMisses,
  kFamilies,
  kFamiliesMax,
  kMoves,
  kDiskFreeBytes,
  kDiskReserveBytes,
  // --- Alarms.
  kAlarmLateness,
  kAlarmFailures,
  kAlarmsDropped,
  kAlarmsRunning,
  kAlarmsWaiting,
  kAlarmBacklog,
  kAlarmWatchers,
  // --- SQL and records of requests.
  kSqlDuration,
  kSqlWait,
  kSqlWaiting,
  kRequestRecords,
  kRequestRecordBytes,
  kRequestRecordBytesMax,
  // --- Envoy's rate limit service.
  kRateLimitDescriptors,
  kRateLimitRuleChanges,
  kRateLimitRulesRefused,
  // --- Traces.
  kTraceSpans,
  kTraceSpansDropped,
  kTracesLeftOut,
  // --- The process.
  kBuildInfo,
  kStartTime,
  kProcessCpu,
  kResidentMemory,
  kOpenDescriptors,
  kDescriptorsMax,
  kCount,
};
inline constexpr size_t kMetricCount = static_cast<size_t>(Metric::kCount);

enum class MetricKind { kCounter, kGauge, kHistogram };

// The upper bounds of the buckets of a histogram; one more bucket has what is larger.
struct Buckets {
  absl::Span<const uint64_t> bounds;  // in the unit in which values are recorded, ascending
  double per_unit = 1;                // of the metric: a bound divided by this is what the endpoint shows
};

struct MetricRow {
  Metric metric;
  absl::string_view name;
  MetricKind kind;
  // The names of the labels, as they come in the series; empty: the metric is one series.
  absl::Span<const absl::string_view> labels;
  absl::string_view help;
  const Buckets* buckets = nullptr;  // of a histogram
};

// Returns the rows in the order of Metric.
absl::Span<const MetricRow> MetricTable();
inline const MetricRow& RowOf(Metric metric) { return MetricTable()[static_cast<size_t>(metric)]; }

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_METRIC_TABLE_H_
