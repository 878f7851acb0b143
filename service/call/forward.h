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
#include "absl/time/time.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/placement.h"
#include "storage/store/shard_set.h"

namespace holdfast::service {

// Returns the context of a call to another node on behalf of `call`, which must not have ended.
std::unique_ptr<grpc::ClientContext> ContextToPeer(const grpc::ServerContext& call, const Peer& peer);
// Returns "/holdfast.v1.CounterService/Increment" for "holdfast.v1.CounterService.Increment".
std::string PathOf(const std::string& method);
// Returns the outcome of a call to another node. An error that is not that node's answer names the node.
absl::Status FromPeer(const Peer& peer, const grpc::Status& status);

// Says in the reply of `call`, whose initial metadata must not be sent yet, that it is about these shards.
void MarkShards(const storage::ShardSet& shards, grpc::ServerContext* call);

class Forward final : public Event {
 public:
  struct Outcome {
    absl::Status status;
    grpc::ByteBuffer reply;
    // The reply is that of an earlier request with the same request_id.
    bool replayed = false;
    // The shards that the reply is about, if it says so (gather_call.h).
    storage::ShardSet shards;
  };
  using Done = absl::AnyInvocable<void(Outcome outcome)>;

  // `method` is "holdfast.v1.CounterService.Increment". `call`, whose request this is, lives until `done` has been
  // called, on the executor. The executor's thread only.
  // An answer that takes longer than `time_max` is UNAVAILABLE.
  static void Send(const grpc::ServerContext& call, std::shared_ptr<Peer> peer, const std::string& method,
                   const grpc::ByteBuffer& request, CompletionQueueExecutor* executor, Done done,
                   absl::Duration time_max = absl::InfiniteDuration());

  void OnEvent(bool ok) override;

 private:
  Forward(const grpc::ServerContext& call, const std::shared_ptr<Peer>& peer, Done done);

  const PeerCall peer_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
  grpc::Status status_;
  bool timed_ = false;  // it has a deadline of its own
  Outcome outcome_;
  Done done_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_FORWARD_H_
