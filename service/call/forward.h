// Sends a call with one request on to the node that runs its object, and brings its outcome back.
//
// The other node sees the request with the same bytes, deadline and trace; a client that cancels cancels there, too.
// Its reply, or its error with all details, is the outcome. A request is sent on once: the other node does not send it
// on again, but answers WRONG_OWNER if the object is not there.
//
// Where the other node can't be reached, or the connection is lost, the error is gRPC's UNAVAILABLE, without a reason:
// as on a client's own connection, the request may have happened.
//
// Threading: one executor. Ownership: it deletes itself after `done`.

#ifndef HOLDFAST_SERVICE_CALL_FORWARD_H_
#define HOLDFAST_SERVICE_CALL_FORWARD_H_

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/placement.h"

namespace holdfast::service {

// Returns the context of a call to another node on behalf of `call`, which must not have ended.
std::unique_ptr<grpc::ClientContext> ContextToPeer(const grpc::ServerContext& call, const Peer& peer);
// Returns "/holdfast.v1.CounterService/Increment" for "holdfast.v1.CounterService.Increment".
std::string PathOf(const std::string& method);
// Returns the outcome of a call to another node. An error that is not that node's answer names the node.
absl::Status FromPeer(const Peer& peer, const grpc::Status& status);

class Forward final : public Event {
 public:
  struct Outcome {
    absl::Status status;
    grpc::ByteBuffer reply;
    // The reply is that of an earlier request with the same request_id.
    bool replayed = false;
  };
  using Done = absl::AnyInvocable<void(Outcome outcome)>;

  // `method` is "holdfast.v1.CounterService.Increment". `call`, whose request this is, lives until `done` has been
  // called, on the executor. The executor's thread only.
  static void Send(const grpc::ServerContext& call, std::shared_ptr<Peer> peer, const std::string& method,
                   const grpc::ByteBuffer& request, CompletionQueueExecutor* executor, Done done);

  void OnEvent(bool ok) override;

 private:
  Forward(const grpc::ServerContext& call, std::shared_ptr<Peer> peer, Done done);

  const std::shared_ptr<Peer> peer_;
  const std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
  grpc::Status status_;
  Outcome outcome_;
  Done done_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_FORWARD_H_
