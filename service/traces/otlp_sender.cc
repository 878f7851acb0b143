#include "service/traces/otlp_sender.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"
#include "storage/base/mutex.h"

namespace holdfast::service {
namespace {

using opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse;
using opentelemetry::proto::collector::trace::v1::TraceService;

// The most time between two attempts to connect.
constexpr int kReconnectMs = 10'000;

class OtlpSender final : public SpanSender {
 public:
  explicit OtlpSender(const std::shared_ptr<grpc::Channel>& channel) : stub_(TraceService::NewStub(channel)) {}

  absl::Status Send(const Request& request, absl::Duration time_limit) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(time_limit));
    {
      MutexLock lock(&mutex_);
      if (cancelled_) return absl::CancelledError("the server ends");
      current_ = &context;
    }
    ExportTraceServiceResponse response;
    const grpc::Status status = stub_->Export(&context, request, &response);
    MutexLock lock(&mutex_);
    current_ = nullptr;
    return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
  }

  void Cancel() override {
    MutexLock lock(&mutex_);
    cancelled_ = true;
    if (current_ != nullptr) current_->TryCancel();
  }

 private:
  const std::unique_ptr<TraceService::Stub> stub_;
  Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* current_ ABSL_GUARDED_BY(mutex_) = nullptr;  // of the Send in progress
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpanSender>> MakeOtlpSender(const std::string& endpoint, const std::string& ca_file) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!ca_file.empty()) {
    std::ifstream file(ca_file);
    std::stringstream text;
    text << file.rdbuf();
    if (!file.is_open() || file.bad()) {
      return absl::NotFoundError(absl::StrCat("traces.ca_file: cannot read ", ca_file));
    }
    if (!absl::StrContains(text.str(), "-----BEGIN CERTIFICATE-----")) {
      return absl::InvalidArgumentError(absl::StrCat("traces.ca_file: ", ca_file, " has no certificate in PEM"));
    }
    credentials = grpc::SslCredentials({.pem_root_certs = text.str(), .pem_private_key = "", .pem_cert_chain = ""});
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMs);
  // With its scheme the target is a host and a port, whatever the host is called.
  return std::make_unique<OtlpSender>(
      grpc::CreateCustomChannel(absl::StrCat("dns:///", endpoint), credentials, arguments));
}

}  // namespace holdfast::service
