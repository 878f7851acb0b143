#include "service/http_port.h"

#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

// A secret of this process, in hex.
std::string NewSecret() {
  std::random_device random;
  std::string secret;
  for (int i = 0; i < 8; ++i) absl::StrAppend(&secret, absl::Hex(random(), absl::kZeroPad8));
  return secret;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpPort>> HttpPort::Bind(const config::v1::Config& config) {
  if (config.http().listen().empty()) return nullptr;
  auto listener = Listener::Bind("http.listen", config.http().listen());
  if (!listener.ok()) return listener.status();
  return std::unique_ptr<HttpPort>(new HttpPort(*std::move(listener), NewSecret()));
}

absl::Status HttpPort::Start(const config::v1::Config& config, HttpServices services) {
  services.secret = secret_;
  auto server = HttpServer::Start(config, std::move(services));
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  return absl::OkStatus();
}

void HttpPort::Accept() {
  listener_->Start(server_->connections(), [this](int fd, const std::string& peer) { server_->Accept(fd, peer); });
}

void HttpPort::Drain() {
  if (server_ != nullptr) server_->Drain();
}

void HttpPort::StopAccepting() {
  listener_->Stop();
  if (server_ != nullptr) server_->CloseIdle();
}

void HttpPort::Finish(absl::Duration time_max) {
  if (server_ != nullptr) server_->Finish(time_max);
}

}  // namespace holdfast::service
