// A call with one request for one object and one reply that the server itself answers, without a turn of the object:
// DescribeObject, PassivateObject. In a cluster the node answers that has the object (routed_call.h).

#ifndef HOLDFAST_SERVICE_CALL_OBJECT_CALL_H_
#define HOLDFAST_SERVICE_CALL_OBJECT_CALL_H_

#include "absl/status/status.h"
#include "service/call/direct_call.h"
#include "service/call/request_object.h"
#include "service/call/routed_call.h"

namespace holdfast::service {

template <typename Request, typename Response>
struct ObjectMethod {
  RawMethod raw;
  // Answers on the node that has the object; WRONG_OWNER if it has not. `object` and `response` live until `done` is
  // called.
  void (*handle)(Endpoint* endpoint, const RequestObject& object, Response* response, DirectDone done);
};

template <typename Request, typename Response>
class ObjectCall final : public RoutedCall<Request, Response> {
 public:
  static void Post(const ObjectMethod<Request, Response>* row, Endpoint* endpoint) { new ObjectCall(row, endpoint); }

 private:
  ObjectCall(const ObjectMethod<Request, Response>* row, Endpoint* endpoint)
      : RoutedCall<Request, Response>(&row->raw, endpoint), row_(row) {}

  void PostNext() override { Post(row_, this->endpoint_); }

  absl::Status Begin() override {
    const absl::Status status = AdmitObject(
        this->request(), nullptr, *this->endpoint_->classes,
        [this](const Target& target) { return this->AdmitTarget(target); }, &this->object_);
    if (status.ok()) this->Route();
    return status;
  }
  void DeliverHere() override {
    row_->handle(this->endpoint_, this->object_, this->response_, [this](const absl::Status& status) {
      this->End(status.ok() ? this->ReserveReply() : status, /*replayed=*/false);
    });
  }

  const ObjectMethod<Request, Response>* const row_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_OBJECT_CALL_H_
