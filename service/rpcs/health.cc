// grpc.health.v1.Health on the executors' own completion queues. gRPC's built-in service would do the same, but on
// threads of its own that would also take over connections from the executors, and then hand over each of their
// requests.
//
// The whole server ("") and each of its services have the same state: SERVING until the server drains. A watch gets the
// state when it begins and NOT_SERVING when the server drains, and ends then.

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include <algorithm>
#include <string>
#include <vector>

#include "actors/wire/errors.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "service/call/call.h"
#include "service/call/endpoint.h"
#include "service/call/raw_method.h"
#include "service/call/small_request.h"
#include "service/call/status.h"
#include "service/call/stream_operation.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus StateOf(const Endpoint& endpoint) {
  return endpoint.gate->draining() ? HealthCheckResponse::NOT_SERVING : HealthCheckResponse::SERVING;
}

// Returns true for the server as a whole, "", and for each of its services.
bool HasService(const Endpoint& endpoint, const std::string& name) {
  const std::vector<std::string>& names = *endpoint.service_names;
  return name.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

class CheckCall final : public Call {
 public:
  CheckCall(const RawMethod* method, Endpoint* endpoint) : Call(endpoint), method_(method), writer_(&context_) {
    method_->ReceiveUnary(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
  }

  void OnEvent(bool ok) override {
    if (finished_ || !ok) {
      delete this;
      return;
    }
    new CheckCall(method_, endpoint_);
    finished_ = true;
    // The call passes the gate like all calls, but a server that is full or drains answers it too.
    (void)Admit(method_->name(), bytes_.Length());
    BeginSending();
    HealthCheckRequest request;
    absl::Status status = ParseSmall(&bytes_, &request);
    if (status.ok() && !HasService(*endpoint_, request.service())) {
      status = actors::NotFound("no service of that name");
    }
    if (!status.ok()) {
      writer_.FinishWithError(ToGrpc(status), Tag());
      return;
    }
    HealthCheckResponse response;
    response.set_status(StateOf(*endpoint_));
    writer_.Finish(response, grpc::Status::OK, Tag());
  }

 private:
  const RawMethod* const method_;
  grpc::ByteBuffer bytes_;  // of the request
  grpc::ServerAsyncResponseWriter<HealthCheckResponse> writer_;
  bool finished_ = false;
};

class WatchCall final : public Call {
 public:
  WatchCall(const RawMethod* method, Endpoint* endpoint)
      : Call(endpoint),
        method_(method),
        writer_(&context_),
        write_(this, &WatchCall::OnWritten),
        finish_(this, &WatchCall::OnFinished),
        gone_(this, &WatchCall::OnGone) {
    context_.AsyncNotifyWhenDone(gone_.Begin());
    method_->ReceiveReplyStream(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
  }

  void OnEvent(bool ok) override {
    if (!ok) {
      delete this;
      return;
    }
    new WatchCall(method_, endpoint_);
    outcome_ = AdmitStream(method_->name(), bytes_.Length());
    HealthCheckRequest request;
    if (outcome_.ok()) outcome_ = ParseSmall(&bytes_, &request);
    if (!outcome_.ok()) {
      ended_ = true;
      Go();
      return;
    }
    HealthCheckResponse response;
    response.set_status(HasService(*endpoint_, request.service()) ? StateOf(*endpoint_)
                                                                  : HealthCheckResponse::SERVICE_UNKNOWN);
    BeginSending();
    writer_.Write(response, write_.Begin());
  }

 private:
  using Operation = StreamOperation<WatchCall>;

  void Go() {
    if (ended_ && !finishing_ && !write_.pending()) {
      finishing_ = true;
      LogStreamEnd(method_->name(), outcome_);
      BeginSending();
      writer_.Finish(ToGrpc(outcome_), finish_.Begin());
    }
    if (finished_ && !gone_.pending()) delete this;
  }

  void OnWritten(bool ok) {
    EndSending();
    ended_ = ended_ || !ok;
    Go();
  }
  // Called when the client is gone or the call has ended.
  void OnGone(bool) {
    ended_ = true;
    Go();
  }
  void OnFinished(bool) {
    finished_ = true;
    Go();
  }
  void Drain() override {
    if (ended_) return;
    ended_ = true;
    outcome_ = CallGate::Draining();
    // NOT_SERVING is sent before the end, unless the first state is still being written: then the end says enough.
    if (write_.pending()) return;
    HealthCheckResponse response;
    response.set_status(HealthCheckResponse::NOT_SERVING);
    BeginSending();
    writer_.Write(response, write_.Begin());
  }
  void EndIdle() override {
    if (ended_) return;
    ended_ = true;
    outcome_ = IdleTooLong();
    Go();
  }

  const RawMethod* const method_;
  grpc::ByteBuffer bytes_;  // of the request
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_;
  Operation write_;
  Operation finish_;
  Operation gone_;
  absl::Status outcome_;
  bool ended_ = false;
  bool finishing_ = false;
  bool finished_ = false;
};

}  // namespace

void AddHealthRpcs(Extension* extension) {
  RpcRows<grpc::health::v1::Health> rows;
  rows.Custom("Check", Verb::kRead,
              [](const RawMethod* method, Endpoint* endpoint) { new CheckCall(method, endpoint); });
  rows.Custom("Watch", Verb::kRead,
              [](const RawMethod* method, Endpoint* endpoint) { new WatchCall(method, endpoint); });
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
