// A call with one request and one reply that the server itself answers, without a turn of an object.

#ifndef HOLDFAST_SERVICE_CALL_DIRECT_CALL_H_
#define HOLDFAST_SERVICE_CALL_DIRECT_CALL_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "service/call/reply_call.h"

namespace holdfast::service {

// The handler calls it once, on any thread.
using DirectDone = absl::AnyInvocable<void(const absl::Status&)>;

template <typename Request, typename Response>
struct DirectMethod {
  RawMethod raw;
  // `request` and `response` live until `done` is called.
  void (*handle)(Endpoint* endpoint, const Request& request, Response* response, DirectDone done);
};

template <typename Request, typename Response>
class DirectCall final : public ReplyCall<Request, Response> {
 public:
  static void Post(const DirectMethod<Request, Response>* method, Endpoint* endpoint) {
    new DirectCall(method, endpoint);
  }

 private:
  DirectCall(const DirectMethod<Request, Response>* method, Endpoint* endpoint)
      : ReplyCall<Request, Response>(&method->raw, endpoint), method_(method) {}

  void PostNext() override { Post(method_, this->endpoint_); }

  absl::Status Begin() override {
    method_->handle(this->endpoint_, this->request(), &this->response_,
                    [this](const absl::Status& status) { this->Finish(status.ok() ? this->ReserveReply() : status); });
    return absl::OkStatus();
  }

  const DirectMethod<Request, Response>* const method_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_DIRECT_CALL_H_
