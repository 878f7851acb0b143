#include "service/metrics/metric_table.h"

#include <iterator>

namespace holdfast::service {
namespace {

using absl::string_view;

constexpr uint64_t kUs = 1'000;
constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kS = 1'000'000'000;

// Times are recorded in nanoseconds and shown in seconds.
constexpr uint64_t kTimeBounds[] = {50 * kUs, 100 * kUs, 250 * kUs, 500 * kUs, 1 * kMs,   2500 * kUs, 5 * kMs, 10 * kMs,
                                    25 * kMs, 50 * kMs,  100 * kMs, 250 * kMs, 500 * kMs, 1 * kS,     5 * kS,  30 * kS};
constexpr uint64_t kLateBounds[] = {1 * kMs, 5 * kMs, 10 * kMs, 50 * kMs, 100 * kMs, 500 * kMs,
                                    1 * kS,  5 * kS,  10 * kS,  60 * kS,  600 * kS,  3600 * kS};
constexpr uint64_t kByteBounds[] = {256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 64 << 20};
constexpr uint64_t kNumberBounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

constexpr Buckets kTimes{kTimeBounds, 1e9};
constexpr Buckets kLate{kLateBounds, 1e9};
constexpr Buckets kBytes{kByteBounds};
constexpr Buckets kNumbers{kNumberBounds};

constexpr string_view kByMethod[] = {"service", "method"};
constexpr string_view kByMethodAndCode[] = {"service", "method", "code"};
constexpr string_view kByAnswer[] = {"answer"};
constexpr string_view kByReason[] = {"reason"};
constexpr string_view kByClass[] = {"class"};
constexpr string_view kByExecutor[] = {"executor"};
constexpr string_view kByEnd[] = {"to", "outcome"};
constexpr string_view kByOutcome[] = {"outcome"};
constexpr string_view kByPlace[] = {"place"};
constexpr string_view kByDirection[] = {"direction"};
constexpr string_view kByVersion[] = {"version", "storage_format"};

constexpr MetricKind kCounter = MetricKind::kCounter;
constexpr MetricKind kGauge = MetricKind::kGauge;
constexpr MetricKind kHistogram = MetricKind::kHistogram;

constexpr MetricRow kRows[] = {
    {Metric::kRequests, "holdfast_requests_total", kCounter, kByMethodAndCode, "Calls that have their outcome."},
    {Metric::kRequestDuration, "holdfast_request_duration_seconds", kHistogram, kByMethod,
     "Time of a call from its arrival to its outcome. Streams are left out, since their clients decide how long they "
     "live.",
     &kTimes},
    {Metric::kRequestsInProgress, "holdfast_requests_in_progress", kGauge, {}, "Calls in progress, streams included."},
    {Metric::kStreamsInProgress, "holdfast_streams_in_progress", kGauge, {}, "Streams in progress."},
    {Metric::kCallBytes,
     "holdfast_call_memory_bytes",
     kGauge,
     {},
     "Bytes of the requests and replies of all calls in progress."},
    {Metric::kReceivedBytes, "holdfast_received_bytes_total", kCounter, kByMethod, "Bytes of the messages received."},
    {Metric::kSentBytes, "holdfast_sent_bytes_total", kCounter, kByMethod,
     "Bytes of the messages sent, without errors."},
    {Metric::kConnections, "holdfast_connections", kGauge, {}, "Connections of gRPC."},
    {Metric::kHttpConnections, "holdfast_http_connections", kGauge, {}, "Connections of the HTTP port."},
    {Metric::kHttpRequests, "holdfast_http_requests_total", kCounter, kByAnswer,
     "Requests of the HTTP port, by the class of the status of their answers; \"none\" if the client was gone before."},
    {Metric::kHttpReceivedBytes,
     "holdfast_http_received_bytes_total",
     kCounter,
     {},
     "Bytes received by the HTTP port, without those of TLS."},
    {Metric::kHttpSentBytes,
     "holdfast_http_sent_bytes_total",
     kCounter,
     {},
     "Bytes sent by the HTTP port, without those of TLS."},
    {Metric::kRefusals, "holdfast_refusals_total", kCounter, kByReason,
     "Calls, and items of batches and streams, that were refused before they began, by the reason in their ErrorInfo."},
    {Metric::kDraining, "holdfast_draining", kGauge, {}, "1 while the server drains, 0 otherwise."},

    {Metric::kActiveObjects, "holdfast_active_objects", kGauge, kByClass, "Objects in memory."},
    {Metric::kActiveObjectBytes,
     "holdfast_active_object_bytes",
     kGauge,
     {},
     "Memory of the objects in memory, as the server estimates it."},
    {Metric::kLoadDuration,
     "holdfast_load_duration_seconds",
     kHistogram,
     {},
     "Time in which an object was loaded into memory, its migrations included.",
     &kTimes},
    {Metric::kLoadFailures, "holdfast_load_failures_total", kCounter, kByClass, "Loads of objects that failed."},
    {Metric::kPassivations, "holdfast_passivations_total", kCounter, kByClass,
     "Objects that left memory: idle, over the bound on memory, or reset."},
    {Metric::kMailboxDepth, "holdfast_mailbox_depth", kHistogram, kByClass,
     "Deliveries that wait in a mailbox when a request is put into it, the request included.", &kNumbers},
    {Metric::kTurnDuration, "holdfast_turn_duration_seconds", kHistogram, kByClass,
     "Time of a turn, without the wait for the disk that follows it.", &kTimes},
    {Metric::kTurnsInProgress, "holdfast_turns_in_progress", kGauge, kByClass, "Turns that have begun and not ended."},
    {Metric::kTurnErrors, "holdfast_turn_errors_total", kCounter, kByClass, "Turns that ended with an error."},
    {Metric::kExecutors, "holdfast_executors", kGauge, {}, "Executors, each of which is a thread that runs objects."},
    {Metric::kExecutorsUnresponsive,
     "holdfast_executors_unresponsive",
     kGauge,
     {},
     "Executors that did not answer this scrape in time. Their gauges are left out of the sums."},
    {Metric::kExecutorCpu, "holdfast_executor_cpu_seconds_total", kCounter, kByExecutor,
     "Processor time of an executor's thread."},

    {Metric::kCommitDuration,
     "holdfast_commit_duration_seconds",
     kHistogram,
     {},
     "Time of a commit: until its batch is in the log and synced.",
     &kTimes},
    {Metric::kCommitBytes, "holdfast_commit_bytes", kHistogram, {}, "Bytes of a batch of commits.", &kBytes},
    {Metric::kCommitKeyspaces,
     "holdfast_commit_keyspaces",
     kHistogram,
     {},
     "Objects, and lists of the node, that a batch of commits writes to.",
     &kNumbers},
    {Metric::kCommitFailures, "holdfast_commit_failures_total", kCounter, {}, "Commits and folds that failed."},
    {Metric::kPendingCommitBytes,
     "holdfast_pending_commit_bytes",
     kGauge,
     {},
     "Bytes of writes that wait for their commit."},
    {Metric::kLogSyncDuration,
     "holdfast_log_sync_duration_seconds",
     kHistogram,
     {},
     "Time in which a batch was written to a commit log and synced.",
     &kTimes},
    {Metric::kLogBytes, "holdfast_log_bytes_total", kCounter, {}, "Bytes written to the commit logs."},
    {Metric::kFoldDuration,
     "holdfast_fold_duration_seconds",
     kHistogram,
     {},
     "Time in which the commits of a while were written to the store below the log.",
     &kTimes},
    {Metric::kFoldBytes, "holdfast_fold_bytes_total", kCounter, {}, "Bytes that folds have written."},
    {Metric::kUnfoldedBytes,
     "holdfast_unfolded_bytes",
     kGauge,
     {},
     "Bytes of writes in memory that no fold has written yet."},
    {Metric::kUnfoldedBytesMax,
     "holdfast_unfolded_limit_bytes",
     kGauge,
     {},
     "The bound on holdfast_unfolded_bytes, at which commits wait."},

    {Metric::kClusterNodes,
     "holdfast_cluster_nodes",
     kGauge,
     {},
     "Nodes that take shards, as this one has last seen; 0 for a server whose objects are in its data directory."},
    {Metric::kClusterShards, "holdfast_cluster_shards", kGauge, {}, "Shards whose objects this node runs."},
    {Metric::kClusterLeaseAge,
     "holdfast_cluster_lease_age_seconds",
     kGauge,
     {},
     "Time since the node has sent the last write to the database that was acknowledged; of several databases the "
     "longest. At postgres.lease_ms it answers nothing more until it can write, and others may take it over."},
    {Metric::kClusterShardsMoved, "holdfast_cluster_shards_moved_total", kCounter, kByDirection,
     "Shards that this node has gained, and those that it has given away."},
    {Metric::kClusterRecoveries,
     "holdfast_cluster_recoveries_total",
     kCounter,
     {},
     "Dead nodes that this one has taken over; in each of several databases one."},
    {Metric::kClusterForwarded,
     "holdfast_cluster_forwarded_total",
     kCounter,
     {},
     "Requests, and items of batches and streams, that were sent on to other nodes."},
    {Metric::kClusterCommitsResolved,
     "holdfast_cluster_commits_resolved_total",
     kCounter,
     {},
     "Commits whose outcome the database did not tell, and that were looked for on a new connection."},

    {Metric::kStoreStalls,
     "holdfast_store_stalls_total",
     kCounter,
     {},
     "Times that the store began to hold back writes to a family."},
    {Metric::kStoreStalledFamilies,
     "holdfast_store_stalled_families",
     kGauge,
     {},
     "Families to which the store holds back writes now."},
    {Metric::kFlushes, "holdfast_flushes_total", kCounter, {}, "Tables that were written from memory."},
    {Metric::kFlushedBytes, "holdfast_flushed_bytes_total", kCounter, {}, "Bytes of the tables written from memory."},
    {Metric::kCompactions, "holdfast_compactions_total", kCounter, {}, "Compactions that have ended."},
    {Metric::kCompactionSeconds, "holdfast_compaction_seconds_total", kCounter, {}, "Time of all compactions."},
    {Metric::kCompactionReadBytes,
     "holdfast_compaction_read_bytes_total",
     kCounter,
     {},
     "Bytes that compactions read."},
    {Metric::kCompactionWrittenBytes,
     "holdfast_compaction_written_bytes_total",
     kCounter,
     {},
     "Bytes that compactions wrote."},
    {Metric::kPendingCompactionBytes,
     "holdfast_pending_compaction_bytes",
     kGauge,
     {},
     "Bytes that compactions still have to rewrite, as RocksDB estimates."},
    {Metric::kMemtableBytes, "holdfast_memtable_bytes", kGauge, {}, "Bytes of the store's writes in memory."},
    {Metric::kTableBytes, "holdfast_table_bytes", kGauge, {}, "Bytes of the store's tables on disk."},
    {Metric::kBlockCacheBytes, "holdfast_block_cache_bytes", kGauge, {}, "Bytes of blocks in the block cache."},
    {Metric::kBlockCacheBytesMax, "holdfast_block_cache_limit_bytes", kGauge, {}, "The bound of the block cache."},
    {Metric::kBlockCacheHits, "holdfast_block_cache_hits_total", kCounter, {}, "Blocks that were found in the cache."},
    {Metric::kBlockCacheMisses,
     "holdfast_block_cache_misses_total",
     kCounter,
     {},
     "Blocks that were not found in the cache."},
    {Metric::kFamilies, "holdfast_families", kGauge, {}, "Column families that belong to one object each."},
    {Metric::kFamiliesMax, "holdfast_families_limit", kGauge, {}, "The bound of those families."},
    {Metric::kMoves, "holdfast_moves_total", kCounter, kByEnd,
     "Moves of objects: to a family of their own or to the packed family, done or failed."},
    {Metric::kDiskFreeBytes,
     "holdfast_disk_free_bytes",
     kGauge,
     {},
     "Bytes of the data directory's disk that are free."},
    {Metric::kDiskReserveBytes,
     "holdfast_disk_reserve_bytes",
     kGauge,
     {},
     "With less than this free, requests that write are refused with DISK_FULL."},

    {Metric::kAlarmLateness, "holdfast_alarm_lateness_seconds", kHistogram, kByClass,
     "How late the turn of an alarm began.", &kLate},
    {Metric::kAlarmFailures, "holdfast_alarm_failures_total", kCounter, kByClass,
     "Attempts of alarms that failed; each is repeated, but for those that are dropped."},
    {Metric::kAlarmsDropped, "holdfast_alarms_dropped_total", kCounter, kByClass,
     "Alarms that were dropped after their last attempt."},
    {Metric::kAlarmsRunning, "holdfast_alarms_running", kGauge, {}, "Alarms that are being delivered."},
    {Metric::kAlarmsWaiting,
     "holdfast_alarms_waiting",
     kGauge,
     {},
     "Alarms that are due and taken by no client: all that watch for them are busy, or none does."},
    {Metric::kAlarmBacklog,
     "holdfast_alarm_backlog_seconds",
     kGauge,
     {},
     "How late the next alarm is that only the bound on alarms a second holds back."},
    {Metric::kAlarmWatchers, "holdfast_alarm_watchers", kGauge, {}, "Clients that watch for alarms."},

    {Metric::kSqlDuration, "holdfast_sql_duration_seconds", kHistogram, kByPlace,
     "Time of a transaction of SQL, on the executor or on a thread for SQL.", &kTimes},
    {Metric::kSqlWait,
     "holdfast_sql_wait_seconds",
     kHistogram,
     {},
     "Time that a transaction of SQL waited for a thread.",
     &kTimes},
    {Metric::kSqlWaiting,
     "holdfast_sql_waiting",
     kGauge,
     {},
     "Transactions of SQL that wait for their turn on the threads for SQL."},
    {Metric::kRequestRecords,
     "holdfast_request_records",
     kGauge,
     {},
     "Replies that are kept for requests with a request_id."},
    {Metric::kRequestRecordBytes, "holdfast_request_record_bytes", kGauge, {}, "Bytes of those replies."},
    {Metric::kRequestRecordBytesMax,
     "holdfast_request_record_limit_bytes",
     kGauge,
     {},
     "The bound on the bytes of those replies, over all executors."},

    {Metric::kRateLimitDescriptors, "holdfast_rate_limit_descriptors_total", kCounter, kByOutcome,
     "Descriptors that Envoy's rate limit service has answered: ok, over_limit, over_limit_in_shadow, unlimited, or "
     "without_rule."},
    {Metric::kRateLimitRuleChanges,
     "holdfast_rate_limit_rule_changes_total",
     kCounter,
     {},
     "Times that new rules of Envoy's rate limit service came into effect after the start."},
    {Metric::kRateLimitRulesRefused,
     "holdfast_rate_limit_rules_refused",
     kGauge,
     {},
     "1 while the files of rules are not valid and the rules of before stay in effect, 0 otherwise."},

    {Metric::kTraceSpans,
     "holdfast_trace_spans_exported_total",
     kCounter,
     {},
     "Spans that the collector of traces has taken."},
    {Metric::kTraceSpansDropped, "holdfast_trace_spans_dropped_total", kCounter, kByReason,
     "Spans that were dropped: the queue was full, or the collector has not taken them."},
    {Metric::kTracesLeftOut,
     "holdfast_traces_left_out_total",
     kCounter,
     {},
     "Calls that were to be traced and were not, since too many were in one second."},

    {Metric::kBuildInfo, "holdfast_build_info", kGauge, kByVersion, "Always 1; the labels say what this server is."},
    {Metric::kStartTime,
     "process_start_time_seconds",
     kGauge,
     {},
     "When the server started, in seconds since 1970-01-01 UTC."},
    {Metric::kProcessCpu, "process_cpu_seconds_total", kCounter, {}, "Processor time of the process."},
    {Metric::kResidentMemory, "process_resident_memory_bytes", kGauge, {}, "Memory of the process."},
    {Metric::kOpenDescriptors, "process_open_fds", kGauge, {}, "Open file descriptors of the process."},
    {Metric::kDescriptorsMax, "process_max_fds", kGauge, {}, "The limit of the process on open file descriptors."},
};

constexpr bool InOrder() {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (kRows[i].metric != static_cast<Metric>(i)) return false;
    if ((kRows[i].kind == kHistogram) != (kRows[i].buckets != nullptr)) return false;
  }
  return std::size(kRows) == kMetricCount;
}
static_assert(InOrder(), "each metric has one row, in the order of Metric, and each histogram its buckets");

}  // namespace

absl::Span<const MetricRow> MetricTable() { return kRows; }

}  // namespace holdfast::service
