// The base of calls with one request and one reply: unary, direct and batch calls.

#ifndef HOLDFAST_SERVICE_CALL_REPLY_CALL_H_
#define HOLDFAST_SERVICE_CALL_REPLY_CALL_H_

#include <google/protobuf/arena.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "service/call/call.h"
#include "service/call/endpoint.h"
#include "service/call/raw_method.h"
#include "service/call/reply_wire.h"
#include "service/call/request_object.h"
#include "service/call/request_parser.h"
#include "service/call/small_request.h"
#include "service/call/status.h"

namespace holdfast::service {

template <typename Request, typename Response>
class ReplyCall : public Call {
 public:
  void OnEvent(bool ok) final {
    if (finished_ || !ok) {  // sent, or the server shuts down
      delete this;
      return;
    }
    PostNext();
    const size_t wire_bytes = bytes_.Length();
    if (absl::Status status = Admit(method_->name(), wire_bytes); !status.ok()) {
      Finish(status);
    } else if (wire_bytes <= RequestParser::kSmallBytes) {
      Parse();
      Start();
    } else {
      arena_ = std::make_unique<google::protobuf::Arena>();
      request_ = google::protobuf::Arena::CreateMessage<Request>(arena_.get());
      endpoint_->parser->Run(context_.peer(), [this] {
        Parse();
        endpoint_->executor->Post([this] { Start(); });
      });
    }
  }

 protected:
  // Waits for a call of the method, which outlives it.
  ReplyCall(const RawMethod* method, Endpoint* endpoint) : Call(endpoint), method_(method), writer_(&context_) {
    method->ReceiveUnary(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
  }
  virtual ~ReplyCall() = default;

  // Waits for the next call of the method.
  virtual void PostNext() = 0;
  // Begins the work of the call, which is admitted and whose request is parsed. An error is the outcome of the call;
  // otherwise Finish is called later, once.
  virtual absl::Status Begin() = 0;
  // Returns the class of the request's object, for a request that does not name the class.
  virtual absl::string_view ImpliedClass() const { return kDefaultClass; }

  const Request& request() const { return *request_; }
  // Returns the bytes that the request takes in memory.
  size_t request_bytes() const { return request_bytes_; }

  // Sends the outcome. Any thread may call it; the call may be deleted before this returns.
  void Finish(const absl::Status& status) {
    finished_ = true;
    endpoint_->log->Ended(began(), method_->name(), status, [this] { return ObjectNameOf(*request_, ImpliedClass()); });
    // The request and the reply are dropped here: only gRPC's copy of the reply waits for the client.
    Response response;
    response.Swap(&response_);
    DropRequest();
    BeginSending();
    if (status.ok()) {
      const grpc::ByteBuffer bytes = ToWire(response);
      lease_.CountReply(bytes.Length());
      writer_.Finish(bytes, grpc::Status::OK, Tag());
    } else {
      lease_.CountReply(0);
      writer_.FinishWithError(ToGrpc(status), Tag());
    }
  }

  // Reserves memory for the reply. Returns an error if the reply is too large, or if there is no room for it.
  absl::Status ReserveReply() {
    const size_t bytes = response_.ByteSizeLong();
    if (absl::Status status = CheckReplySize(bytes, endpoint_->reply_bytes_max); !status.ok()) return status;
    return lease_.ReserveReply(bytes);
  }

  Response response_;

 private:
  void Parse() {
    const size_t wire_bytes = bytes_.Length();
    parsed_ = grpc::SerializationTraits<Request>::Deserialize(&bytes_, request_).ok();
    // The arena does not count what strings hold outside it; the bytes on the wire stand for that.
    request_bytes_ = arena_ == nullptr ? MemoryBytes(*request_) : wire_bytes + arena_->SpaceUsed();
  }

  void Start() {
    absl::Status status = lease_.CountRequest(request_bytes_);
    if (status.ok() && !parsed_) status = NotA<Request>();
    if (status.ok()) status = Begin();
    if (!status.ok()) Finish(status);
  }

  void DropRequest() {
    if (arena_ != nullptr) {
      endpoint_->parser->Free([arena = std::move(arena_)] {});
    } else {
      Request dropped;
      dropped.Swap(&small_request_);
    }
    lease_.DropRequest();
  }

  const RawMethod* const method_;
  grpc::ByteBuffer bytes_;                          // the request's bytes until it is parsed
  Request small_request_;                           // holds a small request
  std::unique_ptr<google::protobuf::Arena> arena_;  // holds a large request
  Request* request_ = &small_request_;
  size_t request_bytes_ = 0;
  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> writer_;
  bool parsed_ = false;
  bool finished_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_REPLY_CALL_H_
