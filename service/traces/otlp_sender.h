// Sends spans to a collector of OpenTelemetry, in OTLP over gRPC.
//
// Threading: as SpanSender. Nothing is connected before the first Send.

#ifndef HOLDFAST_SERVICE_TRACES_OTLP_SENDER_H_
#define HOLDFAST_SERVICE_TRACES_OTLP_SENDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "service/traces/span_exporter.h"

namespace holdfast::service {

// `endpoint` is HOST:PORT. With `ca_file` the connection has TLS; NOT_FOUND or INVALID_ARGUMENT, naming the setting, if
// the file has no certificates.
absl::StatusOr<std::unique_ptr<SpanSender>> MakeOtlpSender(const std::string& endpoint, const std::string& ca_file);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_TRACES_OTLP_SENDER_H_
