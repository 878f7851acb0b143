// A server's knowledge of itself: its load now and over the last 15 minutes, the page of the metrics, and the port that
// shows it (metrics.listen).
//
// Threading: Start and Stop on one thread, MetricsPage on any that may wait for the executors. Ownership: everything in
// the sources outlives it; it ends before the executors that it asks.

#ifndef HOLDFAST_SERVICE_NODE_ADMIN_H_
#define HOLDFAST_SERVICE_NODE_ADMIN_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/call/admin_services.h"
#include "service/call/admin_thread.h"
#include "service/call/maintenance.h"
#include "service/call/node_reader.h"
#include "service/metrics/collector.h"
#include "service/metrics/exporter.h"
#include "service/metrics/history.h"
#include "service/metrics/recorder.h"
#include "service/server_data.h"

namespace holdfast::service {

class NodeAdmin {
 public:
  NodeAdmin(const config::v1::Config& config, NodeReader::Sources sources, const Recorder* recorder,
            const ServerData& data, absl::Time started);
  NodeAdmin(const NodeAdmin&) = delete;
  NodeAdmin& operator=(const NodeAdmin&) = delete;

  // The services of the calls of administration.
  AdminServices* services() { return &services_; }
  std::string MetricsPage() const { return TextOf(*collector_); }

  // Begins to record the load, and serves the metrics if they have a port. The executors run. Errors name the setting.
  absl::Status Start();
  void Stop();

 private:
  const config::v1::MetricsConfig config_;
  const Recorder* const recorder_;
  NodeReader reader_;
  History history_;
  const std::shared_ptr<Collector> collector_;
  AdminServices services_;
  std::unique_ptr<Exporter> exporter_;
  std::unique_ptr<AdminThread> thread_;
  Maintenance maintenance_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_NODE_ADMIN_H_
