// The main series of the last 15 minutes, for a page to draw: a point for each 10 s, and no more than kPoints of them.
//
// Threading: any thread; Add is called by one. Ownership: owns its points and nothing else.

#ifndef HOLDFAST_SERVICE_METRICS_HISTORY_H_
#define HOLDFAST_SERVICE_METRICS_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "service/metrics/node_load.h"
#include "service/metrics/process_usage.h"
#include "service/metrics/recorder.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

// The time that ends at `time`, since the point before.
struct HistoryPoint {
  absl::Time time;  // by the wall clock
  double requests_per_second = 0;
  double errors_per_second = 0;
  double refusals_per_second = 0;
  absl::Duration request_p50 = absl::ZeroDuration();
  absl::Duration request_p99 = absl::ZeroDuration();
  double commits_per_second = 0;
  absl::Duration commit_p99 = absl::ZeroDuration();
  double log_bytes_per_second = 0;
  double alarms_per_second = 0;
  double cpu = 0;
  uint64_t resident_bytes = 0;
  size_t active_objects = 0;
  uint64_t disk_free_bytes = 0;
};

class History {
 public:
  static constexpr absl::Duration kStep = absl::Seconds(10);
  static constexpr size_t kPoints = 90;

  // Takes a point; the first call only remembers where the counters are. `steady` is the time by a clock that never
  // goes back.
  void Add(const Recorder& recorder, const NodeLoad& load, const ProcessUsage& usage, absl::Time wall,
           absl::Time steady);
  // Returns the points, oldest first.
  std::vector<HistoryPoint> Read() const;

 private:
  // Counters at one moment.
  struct Counts {
    absl::Time steady;
    double requests = 0;
    double errors = 0;
    double refusals = 0;
    double commits = 0;
    double log_bytes = 0;
    double alarms = 0;
    absl::Duration cpu_time;
    std::vector<uint64_t> request_times;  // by bucket
    std::vector<uint64_t> commit_times;
  };

  static Counts CountsOf(const Recorder& recorder, const ProcessUsage& usage, absl::Time steady);

  mutable Mutex mutex_;
  std::optional<Counts> last_ ABSL_GUARDED_BY(mutex_);
  std::deque<HistoryPoint> points_ ABSL_GUARDED_BY(mutex_);
};

// Returns the upper bound of the bucket in which this share of the values is reached, from the numbers of values in
// each bucket before and after; zero if there are no new ones, and the largest bound for values beyond it.
absl::Duration QuantileOf(double share, const std::vector<uint64_t>& before, const std::vector<uint64_t>& after,
                          const Buckets& buckets);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_HISTORY_H_
