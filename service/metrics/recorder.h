// Counts the events that the runtime and the store tell of, for the metrics.
//
// An event adds to a few cells (cells.h) whose places are known beforehand: a method has a number, and a class is found
// among a handful by the address of its name. Nothing is allocated or locked. The number of series is fixed when the
// recorder is made: methods, classes, codes and reasons are known then.
//
// Threading: any thread. Ownership: outlives everything that has it as its observer.

#ifndef HOLDFAST_SERVICE_METRICS_RECORDER_H_
#define HOLDFAST_SERVICE_METRICS_RECORDER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/object.h"
#include "service/metrics/cells.h"
#include "service/metrics/metric_table.h"
#include "storage/base/observer.h"

namespace holdfast::service {

// One series of a metric. A counter or gauge has `value`, a histogram the rest.
struct Series {
  std::vector<std::string> labels;  // the values of the row's labels
  double value = 0;
  std::vector<uint64_t> counts;  // of the buckets, and of what is larger than their bounds
  double sum = 0;
};

class Recorder final : public storage::Observer {
 public:
  // `methods` has the name of each method at its number: "holdfast.v1.CounterService.Increment". The classes outlive
  // the recorder. `copies` is the number of threads that are to add without sharing.
  Recorder(std::vector<std::string> methods, const std::vector<const actors::ObjectClass*>& classes, size_t copies);

  // Returns the series of a metric that is recorded here; none for one that is read from the server at a scrape
  // (node_load.h). Of calls with an error the series are there once there was one, but for DATA_LOSS.
  std::vector<Series> Read(Metric metric) const;
  // Returns the sum over all series of a counter or gauge, or the number of values of a histogram.
  uint64_t Total(Metric metric) const;

  // Observer.
  void CallRefused(absl::string_view method, const absl::Status& why) override;
  void CallEnded(const CallStats& stats) override;
  void CallBytes(size_t method, size_t received, size_t sent) override;
  void RequestQueued(absl::string_view object_class, size_t mailbox_depth) override;
  void RequestRefused(absl::string_view object_class, const absl::Status& why) override;
  void RequestBegun(absl::string_view object_class) override;
  void RequestEnded(absl::string_view object_class, const absl::Status& outcome, absl::Duration time) override;
  void Activated(absl::string_view object_class, absl::Duration time) override;
  void LoadFailed(absl::string_view object_class) override;
  void Passivated(absl::string_view object_class) override;
  void Moved(bool packed, bool done) override;
  void SqlEnded(const SqlStats& stats) override;
  void AlarmBegun(absl::string_view object_class, absl::Duration late) override;
  void AlarmFailed(absl::string_view object_class, int attempt, bool dropped) override;
  void CommitEnded(const CommitStats& stats) override;
  void LogAppended(const LogStats& stats) override;
  void FoldEnded(const CommitStats& stats) override;
  void StoreStalled(absl::string_view family, bool stalled) override;
  void TableWritten(const TableStats& stats) override;

 private:
  // The cells of a metric: its series, one after the other.
  struct Place {
    size_t first = 0;
    size_t series = 0;  // 0: the metric is not recorded
    size_t width = 1;   // cells of one series
  };

  // Gives each metric that is recorded its cells; returns the number of cells.
  size_t Divide();
  size_t SeriesOf(const MetricRow& row) const;
  std::vector<std::string> LabelsOf(const MetricRow& row, size_t series) const;
  // The last class stands for those that are not known.
  size_t ClassOf(absl::string_view name) const;
  size_t CellOf(Metric metric, size_t series) const {
    const Place& place = places_[static_cast<size_t>(metric)];
    return place.first + series * place.width;
  }
  void Count(Metric metric, size_t series = 0, uint64_t number = 1) { cells_.Add(CellOf(metric, series), number); }
  void Observe(Metric metric, size_t series, uint64_t value);
  void Observe(Metric metric, size_t series, absl::Duration time) {
    Observe(metric, series, static_cast<uint64_t>(std::max(int64_t{0}, absl::ToInt64Nanoseconds(time))));
  }
  void CountRefusal(const absl::Status& why);

  const std::vector<std::string> methods_;
  std::vector<absl::string_view> classes_;
  std::array<Place, kMetricCount> places_;
  Cells cells_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_RECORDER_H_
