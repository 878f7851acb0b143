#include "service/traces/traces.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/time/time.h"
#include "service/traces/otlp_sender.h"

namespace holdfast::service {

absl::StatusOr<std::unique_ptr<Traces>> Traces::Start(const config::v1::TracesConfig& config,
                                                      const actors::Clock* clock, const std::string& version) {
  if (config.endpoint().empty()) return nullptr;
  auto sender = MakeOtlpSender(config.endpoint(), config.ca_file());
  if (!sender.ok()) return sender.status();
  return absl::WrapUnique(new Traces(config, clock, version, *std::move(sender)));
}

Traces::Traces(const config::v1::TracesConfig& config, const actors::Clock* clock, const std::string& version,
               std::unique_ptr<SpanSender> sender)
    : exporter_({.queue_spans_max = static_cast<size_t>(config.queue_spans_max()),
                 .batch_spans_max = static_cast<size_t>(config.batch_spans_max()),
                 .batch_interval = absl::Milliseconds(config.batch_interval_ms()),
                 .export_time_limit = absl::Milliseconds(config.export_time_limit_ms()),
                 .service_name = config.service_name(),
                 .service_version = version},
                std::move(sender), RandomTraceBits),
      tracer_(
          {.sampling_per_mille = config.sampling_per_mille(), .calls_per_second_max = config.calls_per_second_max()},
          clock, RandomTraceBits, [this](std::unique_ptr<CallTrace> trace) { exporter_.Add(std::move(trace)); }) {}

}  // namespace holdfast::service
