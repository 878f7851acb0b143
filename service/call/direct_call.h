// A call with one request and one reply that is no turn of an object: the server itself answers it.

#ifndef HOLDFAST_SERVICE_CALL_DIRECT_CALL_H_
#define HOLDFAST_SERVICE_CALL_DIRECT_CALL_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "service/call/reply_call.h"

namespace holdfast::service {

// To be called once, on any thread.
using DirectDone = absl::AnyInvocable<void(const absl::Status&)>;

template <typename Request, typename Response>
struct DirectMethod {
  typename ReplyCall<Request, Response>::Receive receive;
  // `request` and `response` live until `done` is called.
  void (*handle)(Endpoint* endpoint, const Request& request, Response* response, DirectDone done);
  std::string name;
};

template <typename Request, typename Response>
class DirectCall final : public ReplyCall<Request, Response> {
 public:
  static void Post(const DirectMethod<Request, Response>* method, Endpoint* endpoint) {
    auto* call = new DirectCall(method, endpoint);
    call->Wait(method->receive);
  }

 private:
  DirectCall(const DirectMethod<Request, Response>* method, Endpoint* endpoint)
      : ReplyCall<Request, Response>(endpoint), method_(method) {}

  void PostNext() override { Post(method_, this->endpoint_); }

  absl::Status Begin() override {
    if (absl::Status status = this->Admit(method_->name, nullptr, MemoryBytes(this->request_)); !status.ok()) {
      return status;
    }
    method_->handle(this->endpoint_, this->request_, &this->response_,
                    [this](const absl::Status& status) { this->Finish(status.ok() ? this->ReserveReply() : status); });
    return absl::OkStatus();
  }

  const DirectMethod<Request, Response>* const method_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_DIRECT_CALL_H_
