#include "service/metrics/exporter.h"

#include <CivetServer.h>
#include <prometheus/exposer.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <exception>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

constexpr int kNice = 10;

void* BeginThread(const mg_context*, int) {
  pthread_setname_np(pthread_self(), "metrics");
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  return nullptr;
}

int LogMessage(const mg_connection*, const char* message) {
  Log(LogLevel::kDebug, "metrics_endpoint", {{"message", message}});
  return 1;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Exporter>> Exporter::Start(const config::v1::MetricsConfig& config,
                                                          std::shared_ptr<Collector> collector) {
  CivetCallbacks callbacks;
  callbacks.init_thread = BeginThread;
  callbacks.log_message = LogMessage;
  const std::vector<std::string> options = {
      "listening_ports",
      config.listen(),
      "num_threads",
      absl::StrCat(config.threads()),
      "request_timeout_ms",
      absl::StrCat(config.request_time_limit_ms()),
      // Requests that wait in a connection would each have the time limit.
      "enable_keep_alive",
      "no",
      "connection_queue",
      absl::StrCat(kQueued),
      "listen_backlog",
      absl::StrCat(kQueued),
      "max_request_size",
      absl::StrCat(kRequestBytes),
      "enable_directory_listing",
      "no",
  };
  std::unique_ptr<Exporter> exporter(new Exporter());
  try {
    exporter->exposer_ = std::make_unique<prometheus::Exposer>(options, &callbacks);
    const std::vector<int> ports = exporter->exposer_->GetListeningPorts();
    if (ports.empty()) return absl::UnavailableError(absl::StrCat("metrics.listen: no port of ", config.listen()));
    const absl::string_view listen = config.listen();
    exporter->address_ = absl::StrCat(listen.substr(0, listen.rfind(':')), ":", ports.front());
    exporter->collector_ = std::move(collector);
    exporter->exposer_->RegisterCollectable(exporter->collector_);
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("metrics.listen: cannot bind ", config.listen(), " (", error.what(), "); is the port in use?"));
  }
  return exporter;
}

Exporter::~Exporter() = default;

}  // namespace holdfast::service
