// The traces of a server, by its configuration: who is traced (tracer.h), and where the spans go (span_exporter.h).
//
// Threading: Start and the destructor on one thread; the rest on any. Ownership: it outlives the calls.

#ifndef HOLDFAST_SERVICE_TRACES_TRACES_H_
#define HOLDFAST_SERVICE_TRACES_TRACES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "actors/executor/clock.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/traces/span_exporter.h"
#include "service/traces/tracer.h"

namespace holdfast::service {

class Traces {
 public:
  // `config` is complete. Null if it has no endpoint: then nothing is traced. An error names the setting. `clock`
  // outlives the traces; `version` is that of the server.
  static absl::StatusOr<std::unique_ptr<Traces>> Start(const config::v1::TracesConfig& config,
                                                       const actors::Clock* clock, const std::string& version);
  Traces(const Traces&) = delete;
  Traces& operator=(const Traces&) = delete;

  Tracer* tracer() { return &tracer_; }
  SpanExporter::Stats spans() const { return exporter_.stats(); }
  uint64_t left_out() const { return tracer_.left_out(); }

 private:
  Traces(const config::v1::TracesConfig& config, const actors::Clock* clock, const std::string& version,
         std::unique_ptr<SpanSender> sender);

  SpanExporter exporter_;
  Tracer tracer_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_TRACES_TRACES_H_
