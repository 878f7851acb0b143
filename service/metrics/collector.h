// Makes the families of the endpoint from the table of metrics, the recorder and the load of the node.
//
// Threading: any thread, several at once. Ownership: the recorder outlives the collector. `load` is called for each
// scrape and may block; it must be callable as long as the collector is.

#ifndef HOLDFAST_SERVICE_METRICS_COLLECTOR_H_
#define HOLDFAST_SERVICE_METRICS_COLLECTOR_H_

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/metrics/node_load.h"
#include "service/metrics/recorder.h"

namespace holdfast::service {

class Collector final : public prometheus::Collectable {
 public:
  Collector(const Recorder* recorder, std::function<NodeLoad()> load, absl::Time started)
      : recorder_(recorder), load_(std::move(load)), started_(started) {}

  // Returns one family for each row of the table, in its order.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Recorder* const recorder_;
  const std::function<NodeLoad()> load_;
  const absl::Time started_;
};

// Returns the metrics in the text format of Prometheus.
std::string TextOf(const Collector& collector);

// Returns the series of a metric that is read at a scrape; none for one that the recorder has.
std::vector<Series> ReadLoad(Metric metric, const NodeLoad& load);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_COLLECTOR_H_
