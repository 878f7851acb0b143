// The HTTP endpoint of the metrics: GET /metrics in the text format of Prometheus. It has no TLS and asks nobody who he
// is, so it listens on loopback unless the configuration says otherwise.
//
// It stands beside the listener of gRPC on threads of its own, which give way to all others (nice). A client that wants
// harm can keep these threads busy, up to request_time_limit_ms for each request, so that others get no metrics; it
// cannot hold calls up. Bounds: metrics.threads requests at a time, kQueued connections that wait, kRequestBytes of one
// request. Its descriptors come out of the reserve (service/descriptors.h).
//
// Threading: Start and the destructor on one thread. The destructor waits for the requests in progress.

#ifndef HOLDFAST_SERVICE_METRICS_EXPORTER_H_
#define HOLDFAST_SERVICE_METRICS_EXPORTER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/metrics/collector.h"

namespace prometheus {
class Exposer;
}  // namespace prometheus

namespace holdfast::service {

class Exporter {
 public:
  static constexpr int kQueued = 8;
  static constexpr int kRequestBytes = 8 << 10;

  // `config` is complete and has an address. UNAVAILABLE, which names the address, if it can't listen.
  static absl::StatusOr<std::unique_ptr<Exporter>> Start(const config::v1::MetricsConfig& config,
                                                         std::shared_ptr<Collector> collector);
  ~Exporter();

  // Returns ADDRESS:PORT, with the port that was chosen if the configuration has 0.
  const std::string& address() const { return address_; }

 private:
  Exporter() = default;

  std::shared_ptr<Collector> collector_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string address_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_EXPORTER_H_
