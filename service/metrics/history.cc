#include "service/metrics/history.h"

#include <algorithm>
#include <utility>

namespace holdfast::service {
namespace {

double SumOf(const Recorder& recorder, Metric metric) { return static_cast<double>(recorder.Total(metric)); }

// Returns the numbers in the buckets of all series together.
std::vector<uint64_t> CountsOfBuckets(const Recorder& recorder, Metric metric) {
  std::vector<uint64_t> counts(RowOf(metric).buckets->bounds.size() + 1);
  for (const Series& series : recorder.Read(metric)) {
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += series.counts[i];
  }
  return counts;
}

}  // namespace

absl::Duration QuantileOf(double share, const std::vector<uint64_t>& before, const std::vector<uint64_t>& after,
                          const Buckets& buckets) {
  uint64_t total = 0;
  for (size_t i = 0; i < after.size(); ++i) total += after[i] - before[i];
  if (total == 0) return absl::ZeroDuration();
  uint64_t so_far = 0;
  for (size_t i = 0; i < buckets.bounds.size(); ++i) {
    so_far += after[i] - before[i];
    if (static_cast<double>(so_far) >= share * static_cast<double>(total)) {
      return absl::Nanoseconds(static_cast<int64_t>(buckets.bounds[i]));
    }
  }
  return absl::Nanoseconds(static_cast<int64_t>(buckets.bounds.back()));
}

History::Counts History::CountsOf(const Recorder& recorder, const ProcessUsage& usage, absl::Time steady) {
  Counts counts;
  counts.steady = steady;
  for (const Series& series : recorder.Read(Metric::kRequests)) {
    counts.requests += series.value;
    if (series.labels.back() != "OK") counts.errors += series.value;
  }
  counts.refusals = SumOf(recorder, Metric::kRefusals);
  counts.commits = SumOf(recorder, Metric::kCommitDuration);
  counts.log_bytes = SumOf(recorder, Metric::kLogBytes);
  counts.alarms = SumOf(recorder, Metric::kAlarmLateness);
  counts.cpu_time = usage.cpu_time;
  counts.request_times = CountsOfBuckets(recorder, Metric::kRequestDuration);
  counts.commit_times = CountsOfBuckets(recorder, Metric::kCommitDuration);
  return counts;
}

void History::Add(const Recorder& recorder, const NodeLoad& load, const ProcessUsage& usage, absl::Time wall,
                  absl::Time steady) {
  Counts now = CountsOf(recorder, usage, steady);
  MutexLock lock(&mutex_);
  const std::optional<Counts> last = std::exchange(last_, now);
  if (!last || steady <= last->steady) return;
  const double seconds = absl::ToDoubleSeconds(steady - last->steady);
  HistoryPoint point;
  point.time = wall;
  point.requests_per_second = (now.requests - last->requests) / seconds;
  point.errors_per_second = (now.errors - last->errors) / seconds;
  point.refusals_per_second = (now.refusals - last->refusals) / seconds;
  const Buckets& times = *RowOf(Metric::kRequestDuration).buckets;
  point.request_p50 = QuantileOf(0.5, last->request_times, now.request_times, times);
  point.request_p99 = QuantileOf(0.99, last->request_times, now.request_times, times);
  point.commits_per_second = (now.commits - last->commits) / seconds;
  point.commit_p99 = QuantileOf(0.99, last->commit_times, now.commit_times, *RowOf(Metric::kCommitDuration).buckets);
  point.log_bytes_per_second = (now.log_bytes - last->log_bytes) / seconds;
  point.alarms_per_second = (now.alarms - last->alarms) / seconds;
  point.cpu = absl::ToDoubleSeconds(now.cpu_time - last->cpu_time) / seconds;
  point.resident_bytes = usage.resident_bytes;
  for (const NodeLoad::Executor& executor : load.executors) point.active_objects += executor.load.active_objects;
  point.disk_free_bytes = load.store.disk_free_bytes;
  points_.push_back(point);
  if (points_.size() > kPoints) points_.pop_front();
}

std::vector<HistoryPoint> History::Read() const {
  MutexLock lock(&mutex_);
  return {points_.begin(), points_.end()};
}

}  // namespace holdfast::service
