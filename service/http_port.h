// The HTTP port of a server: its listener, and what answers there (http/http_server.h).
//
//   Bind -> Start, with the gRPC server it calls -> Accept -> Drain -> StopAccepting -> Finish
//
// Threading: one thread, but for load(). Ownership: everything in HttpServices outlives it.

#ifndef HOLDFAST_SERVICE_HTTP_PORT_H_
#define HOLDFAST_SERVICE_HTTP_PORT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/http/http_server.h"
#include "service/listener.h"
#include "service/metrics/node_load.h"

namespace holdfast::service {

class HttpPort {
 public:
  // Listens; connections wait. Null if the configuration has no such port. Errors name the setting.
  static absl::StatusOr<std::unique_ptr<HttpPort>> Bind(const config::v1::Config& config);
  HttpPort(const HttpPort&) = delete;
  HttpPort& operator=(const HttpPort&) = delete;

  const std::string& address() const { return listener_->address(); }
  // The gRPC server knows the calls of this port by it.
  const std::string& secret() const { return secret_; }

  // Makes what answers. `services` is without its secret.
  absl::Status Start(const config::v1::Config& config, HttpServices services);
  // Begins to accept connections.
  void Accept();
  // These do nothing for a port that was not started. From now on each connection ends with its answer.
  void Drain();
  // Ends the listener and the connections without a request.
  void StopAccepting();
  // Waits at most so long for the answers on their way. The gRPC server has ended.
  void Finish(absl::Duration time_max);
  // Any thread.
  HttpLoad load() const { return server_ == nullptr ? HttpLoad() : server_->load(); }

 private:
  HttpPort(std::unique_ptr<Listener> listener, std::string secret)
      : secret_(std::move(secret)), listener_(std::move(listener)) {}

  const std::string secret_;
  std::unique_ptr<HttpServer> server_;
  const std::unique_ptr<Listener> listener_;  // ends before the server that it hands connections to
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_PORT_H_
