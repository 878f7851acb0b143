// A call with one request for one object and one reply: from the completion queue to the object's handler and back. One
// template serves all methods.
//
// A call posts itself to the queue; when a request arrives it posts its successor, then goes to its object as a
// delivery; when its outcome may leave the object, on the object's executor, it is sent; when that is done it is
// deleted.

#ifndef HOLDFAST_SERVICE_UNARY_CALL_H_
#define HOLDFAST_SERVICE_UNARY_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "actors/delivery.h"
#include "actors/object.h"
#include "actors/task.h"
#include "service/completion_queue_executor.h"
#include "service/endpoint.h"
#include "service/message_record.h"
#include "service/request_object.h"
#include "service/status.h"

namespace holdfast::service {

// A row of the RPC table, typed. `Request` and `Response` are messages; `Receive` is the generated RequestXxx of the
// asynchronous service, bound to it; `Handler` the method of the object class.
template <typename Request, typename Response>
struct UnaryMethod {
  std::function<void(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                     grpc::ServerCompletionQueue*, void* tag)>
      receive;
  actors::Task<absl::Status> (*handle)(actors::Object& object, const Request& request, Response* response);
  const actors::ObjectClass* object_class;  // null: the request names it
  std::string name;
  bool for_clients = false;  // of classes that are for clients to write
};

template <typename Request, typename Response>
class UnaryCall final : public Event, private actors::Delivery {
 public:
  // Waits for a request of the method. Deletes itself in the end.
  static void Post(const UnaryMethod<Request, Response>* method, Endpoint* endpoint) {
    auto* call = new UnaryCall(method, endpoint);
    call->method_->receive(&call->context_, &call->request_, &call->writer_, endpoint->executor->queue(), call->Tag());
  }

  void OnEvent(bool ok) override {
    if (finished_ || !ok) {  // sent, or the server shuts down
      if (finished_) endpoint_->admission->End();
      delete this;
      return;
    }
    Post(method_, endpoint_);
    absl::Status status = endpoint_->admission->Begin();
    if (status.ok()) status = FindObject(request_, method_->object_class, *endpoint_->classes, &object_);
    if (status.ok() && method_->for_clients) status = CheckWritable(*object_.object_class);
    if (!status.ok()) {
      Done(status);
      return;
    }
    deadline = DeadlineOf(context_);
    bytes = request_.ByteSizeLong();
    endpoint_->router->Deliver(object_.key, object_.object_class, this);
  }

 private:
  UnaryCall(const UnaryMethod<Request, Response>* method, Endpoint* endpoint)
      : method_(method), endpoint_(endpoint), record_(&method->name, &request_, &response_), writer_(&context_) {}

  actors::Task<absl::Status> Run(actors::Object& object) override {
    return method_->handle(object, request_, &response_);
  }
  absl::Status CheckReply() override { return CheckReplySize(response_.ByteSizeLong(), endpoint_->reply_bytes_max); }
  actors::RecordedRequest* recorded() override { return record_.IfAny(); }
  void Done(const absl::Status& status) override {
    finished_ = true;
    if (status.ok()) {
      writer_.Finish(response_, grpc::Status::OK, Tag());
    } else {
      writer_.FinishWithError(ToGrpc(status), Tag());
    }
  }

  const UnaryMethod<Request, Response>* const method_;
  Endpoint* const endpoint_;
  grpc::ServerContext context_;
  Request request_;
  Response response_;
  MessageRecord<Request, Response> record_;
  RequestObject object_;
  grpc::ServerAsyncResponseWriter<Response> writer_;
  bool finished_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_UNARY_CALL_H_
