// A call with one request for one object and one reply: from the completion queue to the object's handler and back. One
// template serves all methods.
//
// When its request has arrived the call goes to its object as a delivery; when its outcome may leave the object, on the
// object's executor, it is sent.

#ifndef HOLDFAST_SERVICE_CALL_UNARY_CALL_H_
#define HOLDFAST_SERVICE_CALL_UNARY_CALL_H_

#include <string>

#include "absl/status/status.h"
#include "actors/delivery.h"
#include "actors/object.h"
#include "actors/task.h"
#include "service/call/message_record.h"
#include "service/call/reply_call.h"
#include "service/request_object.h"

namespace holdfast::service {

// A row of the RPC table, typed. `Request` and `Response` are messages; `handle` the method of the object class.
template <typename Request, typename Response>
struct UnaryMethod {
  typename ReplyCall<Request, Response>::Receive receive;
  actors::Task<absl::Status> (*handle)(actors::Object& object, const Request& request, Response* response);
  const actors::ObjectClass* object_class;  // null: the request names it
  std::string name;
  bool for_clients = false;  // of classes that are for clients to write
};

template <typename Request, typename Response>
class UnaryCall final : public ReplyCall<Request, Response>, private actors::Delivery {
 public:
  // Waits for a request of the method. Deletes itself in the end.
  static void Post(const UnaryMethod<Request, Response>* method, Endpoint* endpoint) {
    auto* call = new UnaryCall(method, endpoint);
    call->Wait(method->receive);
  }

 private:
  UnaryCall(const UnaryMethod<Request, Response>* method, Endpoint* endpoint)
      : ReplyCall<Request, Response>(endpoint),
        method_(method),
        record_(&method->name, &this->request_, &this->response_) {}

  void PostNext() override { Post(method_, this->endpoint_); }

  absl::Status Begin() override {
    Endpoint* const endpoint = this->endpoint_;
    absl::Status found = FindObject(this->request_, method_->object_class, *endpoint->classes, &object_);
    if (found.ok() && method_->for_clients) found = CheckWritable(*object_.object_class);
    this->bytes = MemoryBytes(this->request_);
    absl::Status status = this->Admit(method_->name, found.ok() ? &object_.key : nullptr, this->bytes);
    if (status.ok()) status = found;
    if (!status.ok()) return status;
    this->deadline = DeadlineOf(this->context_);
    endpoint->router->Deliver(object_.key, object_.object_class, this);
    return absl::OkStatus();
  }

  actors::Task<absl::Status> Run(actors::Object& object) override {
    return method_->handle(object, this->request_, &this->response_);
  }
  absl::Status CheckReply() override { return this->ReserveReply(); }
  actors::RecordedRequest* recorded() override { return record_.IfAny(); }
  void Done(const absl::Status& status) override { this->Finish(status); }

  const UnaryMethod<Request, Response>* const method_;
  MessageRecord<Request, Response> record_;
  RequestObject object_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_UNARY_CALL_H_
