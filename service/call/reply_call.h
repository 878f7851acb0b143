// The base of calls with one request and one reply: unary, direct and batch calls. A large request is parsed on a
// thread of the parser, not on the executor.

#ifndef HOLDFAST_SERVICE_CALL_REPLY_CALL_H_
#define HOLDFAST_SERVICE_CALL_REPLY_CALL_H_

#include <google/protobuf/arena.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <memory>
#include <string>
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
 protected:
  ReplyCall(const RawMethod* method, Endpoint* endpoint)
      : Call(method, CallGate::Shape::kSingle, endpoint), writer_(&context_) {
    method->ReceiveUnary(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
  }

  // Begins the work of the call, which is admitted and whose request is parsed: passes the second step of the gate. An
  // error is the outcome of the call; otherwise Finish is called later, once, on any thread.
  virtual absl::Status Begin() = 0;
  // Returns whether a small request is answered also when the gate has refused the call.
  virtual bool AnswersAlways() const { return false; }
  // Returns the class of the request's object, for a request that does not name the class.
  virtual absl::string_view ImpliedClass() const { return kDefaultClass; }
  // Returns whether request and reply have many parts, as those of a batch do. The parts then share blocks of memory:
  // making and freeing each by itself would take a quarter of the time of an item.
  virtual bool HasManyParts() const { return false; }

  const Request& request() const { return *request_; }
  // Returns the bytes that the request takes in memory.
  size_t request_bytes() const { return request_bytes_; }

  // Reserves memory for the reply. Returns an error if the reply is too large, or if there is no room for it; then the
  // reply is dropped at once, since the error is not sent before the end of the round, and a round may refuse many.
  absl::Status ReserveReply() {
    const size_t bytes = response_->ByteSizeLong();
    absl::Status status = CheckReplySize(bytes, endpoint_->reply_bytes_max);
    if (status.ok()) status = lease_.ReserveReply(bytes);
    if (!status.ok()) DropSmallResponse();
    return status;
  }

  Response small_response_;  // holds a reply of few parts
  Response* response_ = &small_response_;

 private:
  // The blocks of a message on an arena: one with many parts has some kilobytes.
  static google::protobuf::ArenaOptions Blocks() {
    google::protobuf::ArenaOptions options;
    options.start_block_size = 4 << 10;
    options.max_block_size = 32 << 10;
    return options;
  }

  void Arrived(const absl::Status& admitted) final {
    small_ = bytes_.Length() <= RequestParser::kSmallBytes;
    if (!admitted.ok() && !(small_ && AnswersAlways())) {
      Finish(admitted);
      return;
    }
    if (HasManyParts()) {
      reply_arena_ = std::make_unique<google::protobuf::Arena>(Blocks());
      response_ = google::protobuf::Arena::CreateMessage<Response>(reply_arena_.get());
    }
    if (HasManyParts() || !small_) {
      arena_ = std::make_unique<google::protobuf::Arena>(Blocks());
      request_ = google::protobuf::Arena::CreateMessage<Request>(arena_.get());
    }
    if (small_) {
      Parse();
      Start();
    } else {
      endpoint_->parser->Run(peer(), [this] {
        Parse();
        endpoint_->executor->Post([this] { Start(); });
      });
    }
  }

  // The request and the reply are dropped here: only gRPC's copy of the reply waits for the client.
  void Send(const absl::Status& outcome, void* tag) final {
    DropRequest();
    grpc::ByteBuffer bytes;
    if (outcome.ok()) bytes = ToWire(*response_);
    DropResponse();
    if (outcome.ok()) {
      lease_.CountReply(bytes.Length());
      CountSent(bytes.Length());
      writer_.Finish(bytes, grpc::Status::OK, tag);
    } else {
      lease_.CountReply(0);
      writer_.FinishWithError(ToGrpc(outcome), tag);
    }
  }

  std::string ObjectName() const final { return ObjectNameOf(*request_, ImpliedClass()); }

  void Parse() {
    const size_t wire_bytes = bytes_.Length();
    parsed_ = grpc::SerializationTraits<Request>::Deserialize(&bytes_, request_).ok();
    // The arena does not count what strings hold outside it; the bytes on the wire stand for that.
    request_bytes_ = arena_ == nullptr ? MemoryBytes(*request_) : wire_bytes + arena_->SpaceUsed();
  }

  void Start() {
    absl::Status status = AnswersAlways() ? absl::OkStatus() : lease_.CountRequest(request_bytes_);
    if (status.ok() && !parsed_) status = NotA<Request>();
    if (status.ok()) status = Begin();
    if (!status.ok()) Finish(status);
  }

  void DropRequest() {
    if (arena_ == nullptr) {
      Request dropped;
      dropped.Swap(&small_request_);
    } else if (small_) {
      arena_.reset();
    } else {
      endpoint_->parser->Free([arena = std::move(arena_)] {});
    }
    lease_.DropRequest();
  }

  void DropSmallResponse() {
    Response dropped;
    dropped.Swap(&small_response_);
  }

  void DropResponse() {
    DropSmallResponse();
    reply_arena_.reset();
  }

  Request small_request_;                           // holds a small request of few parts
  std::unique_ptr<google::protobuf::Arena> arena_;  // holds any other request
  Request* request_ = &small_request_;
  size_t request_bytes_ = 0;
  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> writer_;
  std::unique_ptr<google::protobuf::Arena> reply_arena_;  // holds a reply of many parts
  bool small_ = true;                                     // the request is parsed and freed on the executor
  bool parsed_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_REPLY_CALL_H_
