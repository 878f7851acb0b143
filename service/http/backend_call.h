// Calls of the server's own gRPC port from inside the process, by bytes: whatever the gRPC port does with a call of a
// client, it does with these too. A call takes one request, and brings one reply or a stream of them.
//
// Threading: Start, ReadNext and Cancel on the thread of the call's loop, where the receiver is told too; a thread of
// its own waits for gRPC. Ownership: a call owns itself until it has ended, and keeps its receiver until then. All
// calls must have ended before the backend goes; the end of the gRPC server ends them. Bounds: one reply of a call is
// here at a time. The call gate bounds the calls.

#ifndef HOLDFAST_SERVICE_HTTP_BACKEND_CALL_H_
#define HOLDFAST_SERVICE_HTTP_BACKEND_CALL_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/http/connect_codec.h"
#include "service/http/loop.h"

namespace holdfast::service {

// A call as its client makes it.
struct CallRequest {
  std::string path;  // "/holdfast.v1.CounterService/Increment"
  std::string peer;  // as gRPC spells it
  std::string certificate;
  // The metadata that the client gives: names in lower case, values for which IsMetadataText holds.
  Metadata metadata;
  absl::Duration timeout = absl::InfiniteDuration();
  bool stream = false;  // of replies
  std::string message;
};

class Backend;

class BackendCall : public std::enable_shared_from_this<BackendCall> {
 public:
  // Is told of a call on its loop.
  class Receiver {
   public:
    virtual ~Receiver() = default;
    // The leading metadata of a stream have come, before its first reply. It goes on with ReadNext().
    virtual void OnHeaders() = 0;
    // A reply has come, and with a single one the leading metadata. A stream goes on with ReadNext().
    virtual void OnReply(const grpc::ByteBuffer& reply) = 0;
    // The call has ended; the last event.
    virtual void OnEnd(const absl::Status& outcome) = 0;
  };

  BackendCall(Loop* loop, std::shared_ptr<Receiver> receiver) : loop_(loop), receiver_(std::move(receiver)) {}
  BackendCall(const BackendCall&) = delete;
  BackendCall& operator=(const BackendCall&) = delete;

  // Asks for the next reply of a stream. Call it once after its headers and after each reply.
  void ReadNext();
  // Ends the call at once. OnEnd follows all the same, but no reply.
  void Cancel();

  // The metadata before the first reply, and those behind the last; known when the receiver is told of these.
  Metadata Leading() const;
  Metadata Trailing() const;

 private:
  friend class Backend;
  enum class Step : int { kSend, kHeaders, kRead, kFinish };
  // The tag of an operation.
  struct Operation {
    BackendCall* call;
    Step step;
  };

  void Begin(grpc::GenericStub* stub, grpc::CompletionQueue* queue, const CallRequest& request,
             const std::string& secret);
  // Tell the receiver of the headers of a stream, or of a reply. On the loop.
  void DeliverHeaders();
  void Deliver(const grpc::ByteBuffer& reply);
  // Something of the call is about to be told. Returns whether the receiver still wants it.
  bool Wanted();
  // An operation has ended. On the thread that waits for gRPC.
  void Ended(Step step, bool ok);

  Loop* const loop_;
  std::shared_ptr<Receiver> receiver_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  bool many_ = false;       // replies
  bool asked_ = true;       // for something that the receiver was not told of. The loop's thread only
  bool cancelled_ = false;  // the loop's thread only
  grpc::ByteBuffer reply_;
  grpc::Status status_;
  Operation send_{this, Step::kSend};
  Operation headers_{this, Step::kHeaders};
  Operation read_{this, Step::kRead};
  Operation finish_{this, Step::kFinish};
  // Used by the thread that waits for gRPC only, but for the begin.
  bool sent_ = false;
  bool finished_ = false;
  std::shared_ptr<BackendCall> self_;  // until both are true
};

class Backend {
 public:
  // `channel` is one inside the process; `secret` proves to the server who calls (call/http_origin.h).
  Backend(const std::shared_ptr<grpc::Channel>& channel, std::string secret);
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  ~Backend();

  std::shared_ptr<BackendCall> Start(const CallRequest& request, Loop* loop,
                                     std::shared_ptr<BackendCall::Receiver> receiver);

 private:
  void Run();

  const std::string secret_;
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_BACKEND_CALL_H_
