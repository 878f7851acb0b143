// The parts that exports and imports of files have in common: an export sends its file in chunks, and an import is
// carried out once for a request_id and has one reply.

#ifndef HOLDFAST_SERVICE_RPCS_FILE_CALLS_H_
#define HOLDFAST_SERVICE_RPCS_FILE_CALLS_H_

#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "actors/executor/task.h"
#include "actors/runtime/recorded_request.h"
#include "actors/wire/deterministic.h"
#include "service/call/coroutine_call.h"
#include "service/call/reply_wire.h"
#include "service/call/small_request.h"
#include "service/call/status.h"

namespace holdfast::service {

// A call that sends a file as a stream of `Response`s, each a chunk.
template <typename Request, typename Response>
class FileExport : public CoroutineCall {
 public:
  FileExport(const RawMethod* method, Endpoint* endpoint) : CoroutineCall(method, endpoint), writer_(&context_) {
    method->ReceiveReplyStream(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
  }

 protected:
  // Sends the file of object_, which is on this node.
  virtual actors::Task<absl::Status> Export() = 0;

  // Sends response_. An error ends the call.
  actors::Task<absl::Status> SendChunk() { return Send(ToWire(response_)); }

  Response response_;

 private:
  actors::Task<absl::Status> Serve() final {
    const grpc::ByteBuffer wire = bytes_;
    Request request;
    absl::Status status = ParseSmall(&bytes_, &request);
    if (status.ok()) status = Admit(request);
    if (!status.ok()) co_return status;
    while (true) {
      if (IsElsewhere()) {
        status = co_await PassOn(wire);
      } else {
        status = co_await Export();
      }
      if (sent_ || !routing_.Misses(status)) co_return status;
      routing_.Missed(object_.key.shard());
      routing_.CountAgain();
    }
  }

  // Passes on the chunks that the node of the object sends.
  actors::Task<absl::Status> PassOn(const grpc::ByteBuffer& request) {
    absl::Status status;
    if (co_await OpenPeer(request, /*only=*/true)) {
      grpc::ByteBuffer chunk;
      while (status.ok() && co_await Peers([&](void* tag) { (*peer_)->Read(&chunk, tag); })) {
        status = CheckGoesOn();
        if (status.ok()) status = lease_.ReserveReply(chunk.Length());
        if (status.ok()) status = co_await Send(chunk);
      }
    }
    co_return co_await ClosePeer(status);
  }

  actors::Task<absl::Status> Send(grpc::ByteBuffer chunk) {
    sent_ = true;
    const bool sent = co_await Grpc([&](void* tag) {
      BeginSending();
      CountSent(chunk.Length());
      writer_.Write(chunk, tag);
    });
    EndSending();
    if (sent) co_return absl::OkStatus();
    const absl::Status status = CheckGoesOn();
    co_return status.ok() ? absl::CancelledError("the client is gone") : status;
  }
  void Send(const absl::Status& outcome, void* tag) final { writer_.Finish(ToGrpc(outcome), tag); }

  grpc::ServerAsyncWriter<grpc::ByteBuffer> writer_;
  bool sent_ = false;  // a chunk was sent, so the export can't begin again
};

// A call with one reply that changes an object once for a request_id, which `Request` has. `Stream` sends the reply: it
// is gRPC's ServerAsyncReader, or its ServerAsyncResponseWriter for a call with one request. The kind of call waits for
// its arrival, and says what its hash is.
template <typename Request, typename Response, typename Stream>
class RecordedCall : public CoroutineCall, private actors::RecordedRequest {
 protected:
  RecordedCall(const RawMethod* method, Endpoint* endpoint) : CoroutineCall(method, endpoint), stream_(&context_) {}

  // For the turn that changes the object; null for a request without an id.
  actors::RecordedRequest* recorded() { return request_.request_id().empty() ? nullptr : this; }

  // Passes the client's stream, whose first message is `first`, on to the node of the object, and its reply back.
  actors::Task<absl::Status> PassOn(const google::protobuf::Message& first) {
    absl::Status status;
    bool open = co_await OpenPeer(ToWire(first), /*only=*/false);
    while (open && co_await Grpc([this](void* tag) { stream_.Read(&bytes_, tag); })) {
      status = CheckGoesOn();
      CountReceived(bytes_.Length());
      if (status.ok()) status = lease_.ReserveReply(bytes_.Length());
      if (!status.ok()) break;
      // The other node may end the call at any message.
      open = co_await Peers([this](void* tag) { (*peer_)->Write(bytes_, tag); });
    }
    if (status.ok()) status = CheckGoesOn();
    if (status.ok() && open && co_await Peers([this](void* tag) { (*peer_)->WritesDone(tag); })) {
      grpc::ByteBuffer reply;
      if (co_await Peers([&](void* tag) { (*peer_)->Read(&reply, tag); }) &&
          !grpc::SerializationTraits<Response>::Deserialize(&reply, &response_).ok()) {
        status = absl::InternalError("the reply of another node is not one of this method");
      }
    }
    status = co_await ClosePeer(status);
    replayed_ = status.ok() && peer_->replayed();
    co_return status;
  }

  Request request_;
  Response response_;
  Stream stream_;

 private:
  void Send(const absl::Status& outcome, void* tag) final {
    if (!outcome.ok()) return stream_.FinishWithError(ToGrpc(outcome), tag);
    if (replayed_) MarkReplayed(&context_);
    const grpc::ByteBuffer reply = ToWire(response_);
    CountSent(reply.Length());
    stream_.Finish(reply, grpc::Status::OK, tag);
  }

  absl::string_view request_id() const final { return request_.request_id(); }
  absl::string_view method() const final { return method_->name(); }
  std::string SerializeReply() const final { return actors::SerializeDeterministically(response_); }
  bool ParseReply(absl::string_view bytes) final {
    replayed_ = response_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return replayed_;
  }

  bool replayed_ = false;  // the reply is that of an earlier request with the same request_id
};

template <typename Header, typename Response>
using FileImport = RecordedCall<Header, Response, grpc::ServerAsyncReader<grpc::ByteBuffer, grpc::ByteBuffer>>;

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_FILE_CALLS_H_
