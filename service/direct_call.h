// A call with one request and one reply that is no turn of an object: the server itself answers it.

#ifndef HOLDFAST_SERVICE_DIRECT_CALL_H_
#define HOLDFAST_SERVICE_DIRECT_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <functional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "service/completion_queue_executor.h"
#include "service/endpoint.h"
#include "service/status.h"

namespace holdfast::service {

// To be called once, on any thread.
using DirectDone = absl::AnyInvocable<void(const absl::Status&)>;

template <typename Request, typename Response>
struct DirectMethod {
  std::function<void(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                     grpc::ServerCompletionQueue*, void* tag)>
      receive;
  // `request` and `response` live until `done` is called.
  void (*handle)(Endpoint* endpoint, const Request& request, Response* response, DirectDone done);
};

template <typename Request, typename Response>
class DirectCall final : public Event {
 public:
  static void Post(const DirectMethod<Request, Response>* method, Endpoint* endpoint) {
    auto* call = new DirectCall(method, endpoint);
    call->method_->receive(&call->context_, &call->request_, &call->writer_, endpoint->executor->queue(), call->Tag());
  }

  void OnEvent(bool ok) override {
    if (finished_ || !ok) {
      if (finished_) endpoint_->admission->End();
      delete this;
      return;
    }
    Post(method_, endpoint_);
    if (absl::Status status = endpoint_->admission->Begin(); !status.ok()) {
      Finish(status);
      return;
    }
    method_->handle(endpoint_, request_, &response_, [this](const absl::Status& status) { Finish(status); });
  }

 private:
  DirectCall(const DirectMethod<Request, Response>* method, Endpoint* endpoint)
      : method_(method), endpoint_(endpoint), writer_(&context_) {}

  void Finish(const absl::Status& status) {
    finished_ = true;
    if (status.ok()) {
      writer_.Finish(response_, grpc::Status::OK, Tag());
    } else {
      writer_.FinishWithError(ToGrpc(status), Tag());
    }
  }

  const DirectMethod<Request, Response>* const method_;
  Endpoint* const endpoint_;
  grpc::ServerContext context_;
  Request request_;
  Response response_;
  grpc::ServerAsyncResponseWriter<Response> writer_;
  bool finished_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_DIRECT_CALL_H_
