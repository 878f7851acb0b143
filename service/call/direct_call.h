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
  // `request` and `response` live until `done` is called. Before the work `admit` is asked for what the request is for.
  void (*handle)(Endpoint* endpoint, Admission admit, const Request& request, Response* response, DirectDone done);
  // The method answers also when the server is full or drains.
  bool answers_always = false;
};

template <typename Request, typename Response>
class DirectCall final : public ReplyCall<Request, Response> {
 public:
  static void Post(const DirectMethod<Request, Response>* row, Endpoint* endpoint) { new DirectCall(row, endpoint); }

 private:
  DirectCall(const DirectMethod<Request, Response>* row, Endpoint* endpoint)
      : ReplyCall<Request, Response>(&row->raw, endpoint), row_(row) {}

  void PostNext() override { Post(row_, this->endpoint_); }

  bool AnswersAlways() const override { return row_->answers_always; }

  absl::Status Begin() override {
    row_->handle(
        this->endpoint_, [this](const Target& target) { return this->AdmitTarget(target); }, this->request(),
        this->response_,
        [this](const absl::Status& status) {
          this->Finish(status.ok() && !AnswersAlways() ? this->ReserveReply() : status);
        });
    return absl::OkStatus();
  }

  const DirectMethod<Request, Response>* const row_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_DIRECT_CALL_H_
