// A call with one request and one reply, whoever makes the reply: the part that unary, direct and batch calls share.

#ifndef HOLDFAST_SERVICE_CALL_REPLY_CALL_H_
#define HOLDFAST_SERVICE_CALL_REPLY_CALL_H_

#include <grpcpp/support/async_unary_call.h>

#include <functional>

#include "absl/status/status.h"
#include "service/call/call.h"
#include "service/call/endpoint.h"
#include "service/status.h"

namespace holdfast::service {

template <typename Request, typename Response>
class ReplyCall : public Call {
 public:
  // The generated RequestXxx of the asynchronous service, bound to it.
  using Receive = std::function<void(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                                     grpc::ServerCompletionQueue*, void* tag)>;

  void OnEvent(bool ok) final {
    if (finished_ || !ok) {  // sent, or the server shuts down
      delete this;
      return;
    }
    PostNext();
    if (absl::Status status = Begin(); !status.ok()) Finish(status);
  }

 protected:
  explicit ReplyCall(Endpoint* endpoint) : Call(endpoint), writer_(&context_) {}
  virtual ~ReplyCall() = default;

  void Wait(const Receive& receive) { receive(&context_, &request_, &writer_, endpoint_->executor->queue(), Tag()); }

  // Waits for the next call of the method.
  virtual void PostNext() = 0;
  // Admits the call and begins what it does. An error is its outcome; otherwise Finish is called later, once.
  virtual absl::Status Begin() = 0;

  // Sends the outcome. Any thread; the call may be deleted before this returns.
  void Finish(const absl::Status& status) {
    finished_ = true;
    // What was answered is dropped here: only gRPC's copy of the reply waits for the client.
    Request request;
    Response response;
    request.Swap(&request_);
    response.Swap(&response_);
    lease_.DropRequest();
    BeginSending();
    if (status.ok()) {
      lease_.CountReply(response.ByteSizeLong());
      writer_.Finish(response, grpc::Status::OK, Tag());
    } else {
      lease_.CountReply(0);
      writer_.FinishWithError(ToGrpc(status), Tag());
    }
  }

  // Whether the reply can be sent: its size, and that there is room for it.
  absl::Status ReserveReply() {
    const size_t bytes = response_.ByteSizeLong();
    if (absl::Status status = CheckReplySize(bytes, endpoint_->reply_bytes_max); !status.ok()) return status;
    return lease_.ReserveReply(bytes);
  }

  Request request_;
  Response response_;

 private:
  grpc::ServerAsyncResponseWriter<Response> writer_;
  bool finished_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_REPLY_CALL_H_
