#include "service/node_admin.h"

#include <utility>

#include "absl/time/clock.h"
#include "actors/executor/clock.h"
#include "service/metrics/process_usage.h"
#include "storage/base/log.h"

namespace holdfast::service {

NodeAdmin::NodeAdmin(const config::v1::Config& config, NodeReader::Sources sources, const Recorder* recorder,
                     const ServerData& data, absl::Time started)
    : config_(config.metrics()),
      recorder_(recorder),
      reader_(std::move(sources), absl::Milliseconds(config_.executor_time_limit_ms()), actors::SteadyNow),
      collector_(std::make_shared<Collector>(
          recorder, [this] { return reader_.Read(); }, started)),
      services_{.recorder = recorder,
                .history = &history_,
                .node = &reader_,
                .thread = nullptr,
                .maintenance = &maintenance_,
                .backups = data.backups(),
                .namespace_usage = data.namespace_usage(),
                .started = started,
                .activation_bytes_max = config.actors().activation_bytes_max(),
                .call_bytes_max = config.server().call_bytes_max(),
                .memtable_bytes = config.storage().memtable_bytes()} {}

absl::Status NodeAdmin::Start() {
  thread_ = std::make_unique<AdminThread>(History::kStep, [this] {
    history_.Add(*recorder_, reader_.Read(), ReadProcessUsage(), absl::Now(), actors::SteadyNow());
  });
  services_.thread = thread_.get();
  if (config_.listen().empty()) return absl::OkStatus();
  auto exporter = Exporter::Start(config_, collector_);
  if (!exporter.ok()) return exporter.status();
  exporter_ = *std::move(exporter);
  Log(LogLevel::kInfo, "metrics", {{"listen", exporter_->address()}});
  return absl::OkStatus();
}

void NodeAdmin::Stop() {
  exporter_ = nullptr;
  maintenance_.Stop();
  if (thread_ != nullptr) thread_->Stop();
}

}  // namespace holdfast::service
