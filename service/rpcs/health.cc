#include "service/rpcs/health.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include "actors/wire/errors.h"
#include "service/call/call.h"
#include "service/call/small_request.h"
#include "service/call/status.h"
#include "service/call/stream_operation.h"

namespace holdfast::service {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus StateOf(const Endpoint& endpoint) {
  return endpoint.gate->draining() ? HealthCheckResponse::NOT_SERVING : HealthCheckResponse::SERVING;
}

class CheckCall final : public Call {
 public:
  CheckCall(HealthService* health, Endpoint* endpoint) : Call(endpoint), health_(health), writer_(&context_) {
    health_->check.ReceiveUnary(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
  }

  void OnEvent(bool ok) override {
    if (finished_ || !ok) {
      delete this;
      return;
    }
    PostHealthCheck(health_, endpoint_);
    finished_ = true;
    // It passes the gate as all do, but has its answer from a server that is full or drains, too.
    (void)Admit(health_->check.name(), bytes_.Length());
    BeginSending();
    HealthCheckRequest request;
    absl::Status status = ParseSmall(&bytes_, &request);
    if (status.ok() && !health_->names.contains(request.service())) {
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
  HealthService* const health_;
  grpc::ByteBuffer bytes_;  // of the request
  grpc::ServerAsyncResponseWriter<HealthCheckResponse> writer_;
  bool finished_ = false;
};

class WatchCall final : public Call {
 public:
  WatchCall(HealthService* health, Endpoint* endpoint)
      : Call(endpoint),
        health_(health),
        writer_(&context_),
        write_(this, &WatchCall::OnWritten),
        finish_(this, &WatchCall::OnFinished),
        gone_(this, &WatchCall::OnGone) {
    context_.AsyncNotifyWhenDone(gone_.Begin());
    health_->watch.ReceiveReplyStream(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
  }

  void OnEvent(bool ok) override {
    if (!ok) {
      delete this;
      return;
    }
    PostHealthWatch(health_, endpoint_);
    outcome_ = AdmitStream(health_->watch.name(), bytes_.Length());
    HealthCheckRequest request;
    if (outcome_.ok()) outcome_ = ParseSmall(&bytes_, &request);
    if (!outcome_.ok()) {
      ended_ = true;
      Go();
      return;
    }
    HealthCheckResponse response;
    response.set_status(health_->names.contains(request.service()) ? StateOf(*endpoint_)
                                                                   : HealthCheckResponse::SERVICE_UNKNOWN);
    BeginSending();
    writer_.Write(response, write_.Begin());
  }

 private:
  using Operation = StreamOperation<WatchCall>;

  void Go() {
    if (ended_ && !finishing_ && !write_.pending()) {
      finishing_ = true;
      LogStreamEnd(health_->watch.name(), outcome_);
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
  // The client is gone, or the call has ended.
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
    // The last word before the end, unless the first is still on its way; then the end says enough.
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

  HealthService* const health_;
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

void PostHealthCheck(HealthService* health, Endpoint* endpoint) { new CheckCall(health, endpoint); }

void PostHealthWatch(HealthService* health, Endpoint* endpoint) { new WatchCall(health, endpoint); }

}  // namespace holdfast::service
