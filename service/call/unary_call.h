// A call with one request for one object and one reply: from the completion queue to the object's handler and back. One
// template serves all methods.
//
// When its request has arrived, the call goes to its object as a delivery. When the output gate lets the outcome pass,
// the call sends it, on the object's executor. In a cluster, a request for an object of another node is sent on to it
// (routed_call.h).

#ifndef HOLDFAST_SERVICE_CALL_UNARY_CALL_H_
#define HOLDFAST_SERVICE_CALL_UNARY_CALL_H_

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "service/call/message_record.h"
#include "service/call/request_object.h"
#include "service/call/routed_call.h"

namespace holdfast::service {

// A typed row of the RPC table. `Request` and `Response` are messages; `handle` is the method of the object class.
template <typename Request, typename Response>
struct UnaryMethod {
  RawMethod raw;
  actors::Task<absl::Status> (*handle)(actors::Object& object, const Request& request, Response* response);
  const actors::ObjectClass* object_class;  // null: the request names it
};

template <typename Request, typename Response>
class UnaryCall final : public RoutedCall<Request, Response>, private actors::Delivery {
 public:
  // Waits for a request of the row's method. The call deletes itself in the end.
  static void Post(const UnaryMethod<Request, Response>* row, Endpoint* endpoint) { new UnaryCall(row, endpoint); }

 private:
  UnaryCall(const UnaryMethod<Request, Response>* row, Endpoint* endpoint)
      : RoutedCall<Request, Response>(&row->raw, endpoint), row_(row) {}

  void PostNext() override { Post(row_, this->endpoint_); }
  absl::string_view ImpliedClass() const override {
    return row_->object_class == nullptr ? absl::string_view(kDefaultClass) : row_->object_class->name;
  }

  absl::Status Begin() override {
    const Endpoint& endpoint = *this->endpoint_;
    RequestObject& object = this->object_;
    const Request& request = this->request();
    const absl::Status status = AdmitObject(
        request, row_->object_class, *endpoint.classes,
        [this](const Target& target) { return this->AdmitTarget(target); }, &object);
    if (!status.ok()) return status;
    record_.emplace(&row_->raw.name(), &request, this->response_);
    this->deadline = DeadlineOf(this->context_, endpoint.executor->clock());
    this->bytes = this->request_bytes();
    if (TracedDelivery* const traced = this->TraceDelivery()) {
      this->times = traced->Queued(object.key, object.object_class);
    }
    this->Route();
    return absl::OkStatus();
  }

  void DeliverHere() override { this->endpoint_->router->Deliver(this->object_.key, this->object_.object_class, this); }
  actors::Task<absl::Status> Run(actors::Object& object) override {
    return row_->handle(object, this->request(), this->response_);
  }
  absl::Status CheckReply() override { return this->ReserveReply(); }
  actors::RecordedRequest* recorded() override { return record_->IfAny(); }
  void Done(const absl::Status& status) override { this->End(status, record_->replayed()); }

  const UnaryMethod<Request, Response>* const row_;
  std::optional<MessageRecord<Request, Response>> record_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_UNARY_CALL_H_
