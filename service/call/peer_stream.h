// A stream to another node, for a coroutine (coroutine_call.h) that passes a client's stream on to it.
//
// Threading and ownership: those of the coroutine. Destroy it before it is opened, or when Finish has ended.

#ifndef HOLDFAST_SERVICE_CALL_PEER_STREAM_H_
#define HOLDFAST_SERVICE_CALL_PEER_STREAM_H_

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/forward.h"
#include "service/call/placement.h"
#include "service/call/reply_wire.h"

namespace holdfast::service {

class PeerStream {
 public:
  PeerStream(const grpc::ServerContext& call, std::shared_ptr<Peer> peer, const std::string& method,
             CompletionQueueExecutor* executor)
      : peer_(peer, ContextToPeer(call, *peer)),
        stream_(peer_.stub().PrepareCall(peer_.context(), PathOf(method), executor->queue())) {}

  // Its operations: StartCall, Write, WriteLast, WritesDone, Read.
  grpc::GenericClientAsyncReaderWriter* operator->() { return stream_.get(); }
  // The last operation, once nothing more can be read.
  void Finish(void* tag) { stream_->Finish(&status_, tag); }
  void Cancel() { peer_.context()->TryCancel(); }

  // Returns the outcome. Call it when Finish has ended.
  absl::Status outcome() const { return FromPeer(*peer_, status_); }
  // Returns whether the reply is that of an earlier request with the same request_id.
  bool replayed() const { return peer_.context()->GetServerInitialMetadata().contains(kReplayedKey); }

 private:
  const PeerCall peer_;
  const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::Status status_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_PEER_STREAM_H_
