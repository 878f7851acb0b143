// A stream of messages to another node and back, on behalf of a client's stream here. It carries bytes; the owner knows
// what they are.
//
// One message at a time is under way in each direction, so gRPC's flow control reaches from end to end: the owner
// writes the next when OnWritten says so, and asks for each message that it wants.
//
// The other node sees the deadline and the trace of the client's call; a client that cancels cancels there, too. Errors
// are those of forward.h.
//
// Threading: the executor. Ownership: it deletes itself after OnEnded, which always comes.

#ifndef HOLDFAST_SERVICE_CALL_FORWARD_STREAM_H_
#define HOLDFAST_SERVICE_CALL_FORWARD_STREAM_H_

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/placement.h"

namespace holdfast::service {

class ForwardStream final {
 public:
  class Owner {
   public:
    // A message has come that Read() asked for.
    virtual void OnMessage(grpc::ByteBuffer* message) = 0;
    // The message of Write() has been taken.
    virtual void OnWritten() {}
    // The stream has ended, and nothing is called any more.
    virtual void OnEnded(const absl::Status& outcome) = 0;

   protected:
    ~Owner() = default;
  };

  // Opens a stream of the method ("holdfast.v1.CounterService.StreamIncrement"). `call` has not ended; `owner` lives
  // until OnEnded.
  static ForwardStream* Open(const grpc::ServerContext& call, const std::shared_ptr<Peer>& peer,
                             const std::string& method, CompletionQueueExecutor* executor, Owner* owner);

  // Sends a message. Call it again after OnWritten, which does not come if the stream has ended.
  void Write(const grpc::ByteBuffer& message);
  // No message follows.
  void Close();
  // Asks for a message. Call it again after OnMessage. The end of the stream is noticed only by who has asked.
  void Read();
  // Ends the stream soon. OnEnded still comes, but no message.
  void Cancel();

 private:
  class Operation final : public Event {
   public:
    Operation(ForwardStream* stream, void (ForwardStream::*then)(bool)) : stream_(stream), then_(then) {}
    void* Begin() {
      pending_ = true;
      return Tag();
    }
    bool pending() const { return pending_; }
    void OnEvent(bool ok) override {
      pending_ = false;
      (stream_->*then_)(ok);
    }

   private:
    ForwardStream* const stream_;
    void (ForwardStream::*const then_)(bool);
    bool pending_ = false;
  };

  ForwardStream(const grpc::ServerContext& call, const std::shared_ptr<Peer>& peer, const std::string& method,
                CompletionQueueExecutor* executor, Owner* owner);
  ~ForwardStream() = default;

  // Begins what the owner has asked for, once the stream is open.
  void Go();
  void OnStarted(bool ok);
  void OnWritten(bool ok);
  void OnRead(bool ok);
  void OnFinished(bool ok);

  const PeerCall peer_;
  const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  Owner* const owner_;
  Operation start_;
  Operation write_;
  Operation read_;
  Operation finish_;
  std::optional<grpc::ByteBuffer> to_write_;
  bool close_wanted_ = false;
  bool read_wanted_ = false;
  bool cancelled_ = false;
  bool mute_ = false;      // nothing more can be written
  bool closed_ = false;    // nothing more can be read
  bool finished_ = false;  // the outcome is known
  grpc::ByteBuffer message_;
  grpc::Status status_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_FORWARD_STREAM_H_
