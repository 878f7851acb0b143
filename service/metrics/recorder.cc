#include "service/metrics/recorder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/strip.h"
#include "actors/wire/errors.h"

namespace holdfast::service {
namespace {

// gRPC's codes, from OK to UNAUTHENTICATED.
constexpr size_t kCodes = 17;
constexpr size_t kReasons = v1::ErrorReason_ARRAYSIZE;
constexpr absl::string_view kOtherClass = "other";

// The places of SQL, and the ends of moves, in the order of their series.
constexpr absl::string_view kSqlPlaces[] = {"executor", "worker"};
constexpr absl::string_view kMoveTo[] = {"family", "packed"};
constexpr absl::string_view kMoveOutcomes[] = {"done", "failed"};

// The metrics that are read from the server at a scrape, and not counted here.
constexpr Metric kReadAtScrape[] = {
    Metric::kRequestsInProgress,
    Metric::kStreamsInProgress,
    Metric::kCallBytes,
    Metric::kConnections,
    Metric::kHttpConnections,
    Metric::kHttpRequests,
    Metric::kHttpReceivedBytes,
    Metric::kHttpSentBytes,
    Metric::kDraining,
    Metric::kActiveObjectBytes,
    Metric::kExecutors,
    Metric::kExecutorsUnresponsive,
    Metric::kExecutorCpu,
    Metric::kPendingCommitBytes,
    Metric::kUnfoldedBytes,
    Metric::kUnfoldedBytesMax,
    Metric::kClusterNodes,
    Metric::kClusterShards,
    Metric::kClusterLeaseAge,
    Metric::kClusterShardsMoved,
    Metric::kClusterRecoveries,
    Metric::kClusterForwarded,
    Metric::kClusterCommitsResolved,
    Metric::kPendingCompactionBytes,
    Metric::kMemtableBytes,
    Metric::kTableBytes,
    Metric::kBlockCacheBytes,
    Metric::kBlockCacheBytesMax,
    Metric::kBlockCacheHits,
    Metric::kBlockCacheMisses,
    Metric::kFamilies,
    Metric::kFamiliesMax,
    Metric::kDiskFreeBytes,
    Metric::kDiskReserveBytes,
    Metric::kAlarmsRunning,
    Metric::kAlarmsWaiting,
    Metric::kAlarmBacklog,
    Metric::kAlarmWatchers,
    Metric::kSqlWaiting,
    Metric::kRequestRecords,
    Metric::kRequestRecordBytes,
    Metric::kRequestRecordBytesMax,
    Metric::kRateLimitDescriptors,
    Metric::kRateLimitRuleChanges,
    Metric::kRateLimitRulesRefused,
    Metric::kTraceSpans,
    Metric::kTraceSpansDropped,
    Metric::kTracesLeftOut,
    Metric::kBuildInfo,
    Metric::kStartTime,
    Metric::kProcessCpu,
    Metric::kResidentMemory,
    Metric::kOpenDescriptors,
    Metric::kDescriptorsMax,
};

// Most calls have few codes, so a series of the others is there once it counts. DATA_LOSS is there from the start: an
// alert sees the first one only as an increase.
bool IsAlwaysShown(size_t code) {
  return code == static_cast<size_t>(absl::StatusCode::kOk) || code == static_cast<size_t>(absl::StatusCode::kDataLoss);
}

std::string ServiceOf(absl::string_view method) { return std::string(method.substr(0, method.rfind('.'))); }
std::string NameOf(absl::string_view method) { return std::string(method.substr(method.rfind('.') + 1)); }

std::string ReasonName(size_t reason) {
  const std::string& name = v1::ErrorReason_Name(static_cast<v1::ErrorReason>(reason));
  return std::string(absl::StripPrefix(name, "ERROR_REASON_"));
}

}  // namespace

Recorder::Recorder(std::vector<std::string> methods, const std::vector<const actors::ObjectClass*>& classes,
                   size_t copies)
    : methods_(std::move(methods)),
      classes_([&classes] {
        std::vector<absl::string_view> names;
        names.reserve(classes.size() + 1);
        for (const actors::ObjectClass* object_class : classes) names.emplace_back(object_class->name);
        names.push_back(kOtherClass);
        return names;
      }()),
      cells_(Divide(), copies) {}

size_t Recorder::Divide() {
  size_t cells = 0;
  for (const MetricRow& row : MetricTable()) {
    Place& place = places_[static_cast<size_t>(row.metric)];
    if (std::find(std::begin(kReadAtScrape), std::end(kReadAtScrape), row.metric) != std::end(kReadAtScrape)) continue;
    // A histogram has a cell for each bucket, for what is larger, and for the sum.
    place = {cells, SeriesOf(row), row.kind == MetricKind::kHistogram ? row.buckets->bounds.size() + 2 : 1};
    cells += place.series * place.width;
  }
  return cells;
}

size_t Recorder::SeriesOf(const MetricRow& row) const {
  if (row.labels.empty()) return 1;
  if (row.metric == Metric::kMoves) return std::size(kMoveTo) * std::size(kMoveOutcomes);
  if (row.metric == Metric::kSqlDuration) return std::size(kSqlPlaces);
  if (row.labels[0] == "service") return methods_.size() * (row.labels.size() == 3 ? kCodes : 1);
  return row.labels[0] == "reason" ? kReasons : classes_.size();
}

std::vector<std::string> Recorder::LabelsOf(const MetricRow& row, size_t series) const {
  if (row.labels.empty()) return {};
  if (row.metric == Metric::kMoves) {
    return {std::string(kMoveTo[series / std::size(kMoveOutcomes)]),
            std::string(kMoveOutcomes[series % std::size(kMoveOutcomes)])};
  }
  if (row.metric == Metric::kSqlDuration) return {std::string(kSqlPlaces[series])};
  if (row.labels.size() == 3) {
    const std::string& method = methods_[series / kCodes];
    return {ServiceOf(method), NameOf(method),
            absl::StatusCodeToString(static_cast<absl::StatusCode>(series % kCodes))};
  }
  if (row.labels[0] == "service") return {ServiceOf(methods_[series]), NameOf(methods_[series])};
  return {row.labels[0] == "reason" ? ReasonName(series) : std::string(classes_[series])};
}

std::vector<Series> Recorder::Read(Metric metric) const {
  const MetricRow& row = RowOf(metric);
  const Place& place = places_[static_cast<size_t>(metric)];
  std::vector<Series> all;
  for (size_t i = 0; i < place.series; ++i) {
    Series series;
    const size_t cell = CellOf(metric, i);
    if (row.kind == MetricKind::kHistogram) {
      for (size_t bucket = 0; bucket + 1 < place.width; ++bucket) series.counts.push_back(cells_.Sum(cell + bucket));
      series.sum = static_cast<double>(cells_.Sum(cell + place.width - 1)) / row.buckets->per_unit;
    } else if (row.kind == MetricKind::kGauge) {
      // A gauge may be read between the two halves of a change.
      series.value = static_cast<double>(std::max(int64_t{0}, static_cast<int64_t>(cells_.Sum(cell))));
    } else {
      series.value = static_cast<double>(cells_.Sum(cell));
      if (metric == Metric::kCompactionSeconds) series.value /= 1e9;
      if (metric == Metric::kRequests && series.value == 0 && !IsAlwaysShown(i % kCodes)) continue;
    }
    series.labels = LabelsOf(row, i);
    all.push_back(std::move(series));
  }
  return all;
}

uint64_t Recorder::Total(Metric metric) const {
  const Place& place = places_[static_cast<size_t>(metric)];
  const size_t counts = RowOf(metric).kind == MetricKind::kHistogram ? place.width - 1 : 1;
  uint64_t total = 0;
  for (size_t i = 0; i < place.series; ++i) {
    for (size_t cell = 0; cell < counts; ++cell) total += cells_.Sum(CellOf(metric, i) + cell);
  }
  return total;
}

size_t Recorder::ClassOf(absl::string_view name) const {
  // The runtime names a class by the text in the class itself, so that its address is enough.
  for (size_t i = 0; i + 1 < classes_.size(); ++i) {
    if (classes_[i].data() == name.data()) return i;
  }
  return static_cast<size_t>(std::find(classes_.begin(), classes_.end() - 1, name) - classes_.begin());
}

void Recorder::Observe(Metric metric, size_t series, uint64_t value) {
  const absl::Span<const uint64_t> bounds = RowOf(metric).buckets->bounds;
  size_t bucket = 0;
  while (bucket < bounds.size() && value > bounds[bucket]) ++bucket;
  const size_t cell = CellOf(metric, series);
  cells_.Add(cell + bucket);
  cells_.Add(cell + bounds.size() + 1, value);
}

// --- Calls.

void Recorder::CountRefusal(const absl::Status& why) {
  Count(Metric::kRefusals, std::min(static_cast<size_t>(actors::ReasonOf(why)), kReasons - 1));
}

void Recorder::CallRefused(absl::string_view, const absl::Status& why) { CountRefusal(why); }

void Recorder::CallEnded(const CallStats& stats) {
  if (stats.method >= methods_.size()) return;
  const auto code = static_cast<size_t>(stats.code);
  Count(Metric::kRequests, stats.method * kCodes + (code < kCodes ? code : size_t{2}));  // 2: UNKNOWN
  if (!stats.stream) Observe(Metric::kRequestDuration, stats.method, stats.time);
}

void Recorder::CallBytes(size_t method, size_t received, size_t sent) {
  if (method >= methods_.size()) return;
  if (received > 0) Count(Metric::kReceivedBytes, method, received);
  if (sent > 0) Count(Metric::kSentBytes, method, sent);
}

// --- Objects and alarms.

void Recorder::RequestQueued(absl::string_view object_class, size_t mailbox_depth) {
  Observe(Metric::kMailboxDepth, ClassOf(object_class), uint64_t{mailbox_depth});
}

void Recorder::RequestRefused(absl::string_view, const absl::Status& why) { CountRefusal(why); }

void Recorder::RequestBegun(absl::string_view object_class) { Count(Metric::kTurnsInProgress, ClassOf(object_class)); }

void Recorder::RequestEnded(absl::string_view object_class, const absl::Status& outcome, absl::Duration time) {
  const size_t series = ClassOf(object_class);
  cells_.Subtract(CellOf(Metric::kTurnsInProgress, series));
  Observe(Metric::kTurnDuration, series, time);
  if (!outcome.ok()) Count(Metric::kTurnErrors, series);
}

void Recorder::Activated(absl::string_view object_class, absl::Duration time) {
  Count(Metric::kActiveObjects, ClassOf(object_class));
  Observe(Metric::kLoadDuration, 0, time);
}

void Recorder::LoadFailed(absl::string_view object_class) { Count(Metric::kLoadFailures, ClassOf(object_class)); }

void Recorder::Passivated(absl::string_view object_class) {
  const size_t series = ClassOf(object_class);
  cells_.Subtract(CellOf(Metric::kActiveObjects, series));
  Count(Metric::kPassivations, series);
}

void Recorder::Moved(bool packed, bool done) {
  // An object that did not move is where it was: it was to go to the other place.
  const size_t to = packed == done ? 1 : 0;
  Count(Metric::kMoves, to * std::size(kMoveOutcomes) + (done ? 0 : 1));
}

void Recorder::SqlEnded(const SqlStats& stats) {
  Observe(Metric::kSqlDuration, stats.on_worker ? 1 : 0, stats.time);
  if (stats.on_worker) Observe(Metric::kSqlWait, 0, stats.waited);
}

void Recorder::AlarmBegun(absl::string_view object_class, absl::Duration late) {
  Observe(Metric::kAlarmLateness, ClassOf(object_class), late);
}

void Recorder::AlarmFailed(absl::string_view object_class, int, bool dropped) {
  const size_t series = ClassOf(object_class);
  Count(Metric::kAlarmFailures, series);
  if (dropped) Count(Metric::kAlarmsDropped, series);
}

// --- Commits and the store.

void Recorder::CommitEnded(const CommitStats& stats) {
  if (!stats.ok) return Count(Metric::kCommitFailures);
  Observe(Metric::kCommitDuration, 0, stats.time);
  Observe(Metric::kCommitBytes, 0, uint64_t{stats.bytes});
  Observe(Metric::kCommitKeyspaces, 0, uint64_t{stats.keyspaces});
}

void Recorder::LogAppended(const LogStats& stats) {
  if (!stats.ok) return;
  Observe(Metric::kLogSyncDuration, 0, stats.time);
  Count(Metric::kLogBytes, 0, stats.bytes);
}

void Recorder::FoldEnded(const CommitStats& stats) {
  if (!stats.ok) return Count(Metric::kCommitFailures);
  Observe(Metric::kFoldDuration, 0, stats.time);
  Count(Metric::kFoldBytes, 0, stats.bytes);
}

void Recorder::StoreStalled(absl::string_view, bool stalled) {
  if (!stalled) return cells_.Subtract(CellOf(Metric::kStoreStalledFamilies, 0));
  Count(Metric::kStoreStalls);
  Count(Metric::kStoreStalledFamilies);
}

void Recorder::TableWritten(const TableStats& stats) {
  if (!stats.compaction) {
    Count(Metric::kFlushes);
    return Count(Metric::kFlushedBytes, 0, stats.bytes_written);
  }
  Count(Metric::kCompactions);
  Count(Metric::kCompactionSeconds, 0, static_cast<uint64_t>(absl::ToInt64Nanoseconds(stats.time)));
  Count(Metric::kCompactionReadBytes, 0, stats.bytes_read);
  Count(Metric::kCompactionWrittenBytes, 0, stats.bytes_written);
}

}  // namespace holdfast::service
