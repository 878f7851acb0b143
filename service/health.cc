#include "service/health.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include "actors/errors.h"
#include "service/status.h"

namespace holdfast::service {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus StateOf(const Endpoint& endpoint) {
  return endpoint.admission->draining() ? HealthCheckResponse::NOT_SERVING : HealthCheckResponse::SERVING;
}

class CheckCall final : public Event {
 public:
  CheckCall(HealthService* health, Endpoint* endpoint) : health_(health), endpoint_(endpoint), writer_(&context_) {
    grpc::ServerCompletionQueue* const queue = endpoint->executor->queue();
    health_->async.RequestCheck(&context_, &request_, &writer_, queue, queue, Tag());
  }

  void OnEvent(bool ok) override {
    if (finished_ || !ok) {
      delete this;
      return;
    }
    PostHealthCheck(health_, endpoint_);
    finished_ = true;
    if (!health_->names.contains(request_.service())) {
      writer_.FinishWithError(ToGrpc(actors::NotFound("no service of that name")), Tag());
      return;
    }
    HealthCheckResponse response;
    response.set_status(StateOf(*endpoint_));
    writer_.Finish(response, grpc::Status::OK, Tag());
  }

 private:
  HealthService* const health_;
  Endpoint* const endpoint_;
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  grpc::ServerAsyncResponseWriter<HealthCheckResponse> writer_;
  bool finished_ = false;
};

class WatchCall final : public Event, private OpenStream {
 public:
  WatchCall(HealthService* health, Endpoint* endpoint)
      : health_(health),
        endpoint_(endpoint),
        writer_(&context_),
        write_(this, &WatchCall::OnWritten),
        finish_(this, &WatchCall::OnFinished),
        gone_(this, &WatchCall::OnGone) {
    grpc::ServerCompletionQueue* const queue = endpoint->executor->queue();
    context_.AsyncNotifyWhenDone(gone_.Begin());
    health_->async.RequestWatch(&context_, &request_, &writer_, queue, queue, Tag());
  }

  void OnEvent(bool ok) override {
    if (!ok) {
      delete this;
      return;
    }
    PostHealthWatch(health_, endpoint_);
    endpoint_->streams.insert(this);
    outcome_ = endpoint_->admission->Begin();
    if (!outcome_.ok()) {
      ended_ = true;
      Go();
      return;
    }
    HealthCheckResponse response;
    response.set_status(health_->names.contains(request_.service()) ? StateOf(*endpoint_)
                                                                    : HealthCheckResponse::SERVICE_UNKNOWN);
    writer_.Write(response, write_.Begin());
  }

 private:
  using Operation = StreamOperation<WatchCall>;

  void Go() {
    if (ended_ && !finishing_ && !write_.pending()) {
      finishing_ = true;
      writer_.Finish(ToGrpc(outcome_), finish_.Begin());
    }
    if (finished_ && !gone_.pending()) delete this;
  }

  void OnWritten(bool ok) {
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
    endpoint_->streams.erase(this);
    endpoint_->admission->End();
    Go();
  }
  void Drain() override {
    if (ended_) return;
    ended_ = true;
    outcome_ = Admission::Draining();
    // The last word before the end, unless the first is still on its way; then the end says enough.
    if (write_.pending()) return;
    HealthCheckResponse response;
    response.set_status(HealthCheckResponse::NOT_SERVING);
    writer_.Write(response, write_.Begin());
  }

  HealthService* const health_;
  Endpoint* const endpoint_;
  grpc::ServerContext context_;
  HealthCheckRequest request_;
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
