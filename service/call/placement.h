// Which node of a cluster runs an object. A server alone has no placement, and runs all objects itself.
//
// A node that gets a request for an object of another node sends it on (forward.h). The
// other node trusts it by the cluster's secret: the caller and his rights were checked where the request came in.
//
// Threading: any thread. Cheap: each request asks.

#ifndef HOLDFAST_SERVICE_CALL_PLACEMENT_H_
#define HOLDFAST_SERVICE_CALL_PLACEMENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "service/call/placement_map.h"
#include "storage/base/mutex.h"
#include "storage/store/object_id.h"

namespace holdfast::service {

// The metadata with the cluster's secret, of a request that another node has sent on.
inline constexpr char kForwardedKey[] = "holdfast-forwarded";

// Another node of the cluster, and the connections to it.
//
// A server bounds the calls on one connection (server.connection_streams_max), so a node opens another one where all
// have kCallsMax: clients that keep many slow calls or streams with objects of a node do not hold up the calls of
// others. The gate bounds the calls, and with them the connections.
class Peer {
 public:
  // Opens a connection. Any thread. Channels of gRPC share connections unless GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL is
  // set.
  using Connect = std::function<std::shared_ptr<grpc::Channel>()>;
  static constexpr int kCallsMax = 100;

  Peer(std::string node, std::string secret, Connect connect)
      : node_(std::move(node)), secret_(std::move(secret)), connect_(std::move(connect)) {}
  // A node with one connection, whatever is on it.
  Peer(std::string node, std::string secret, std::shared_ptr<grpc::Channel> channel)
      : Peer(std::move(node), std::move(secret), [channel = std::move(channel)] { return channel; }) {}

  // The name of the node, for messages.
  const std::string& node() const { return node_; }
  const std::string& secret() const { return secret_; }

  // The node is not a member of the cluster any more: the calls that it has end with UNAVAILABLE, and so do new ones.
  // A node that was stopped answers nothing, and its connections stay open.
  void Gone() {
    MutexLock lock(&mutex_);
    gone_ = true;
    for (grpc::ClientContext* const context : contexts_) context->TryCancel();
  }
  bool gone() const {
    MutexLock lock(&mutex_);
    return gone_;
  }

 private:
  friend class PeerCall;
  struct Connection {
    explicit Connection(std::shared_ptr<grpc::Channel> channel) : stub(std::move(channel)) {}
    grpc::GenericStub stub;
    int calls = 0;
  };

  // Returns a connection with room for a call, which is counted until Return.
  Connection* Take(grpc::ClientContext* context) {
    MutexLock lock(&mutex_);
    contexts_.insert(context);
    if (gone_) context->TryCancel();
    for (const auto& connection : connections_) {
      if (connection->calls < kCallsMax) {
        ++connection->calls;
        return connection.get();
      }
    }
    connections_.push_back(std::make_unique<Connection>(connect_()));
    connections_.back()->calls = 1;
    return connections_.back().get();
  }
  void Return(Connection* connection, grpc::ClientContext* context) {
    MutexLock lock(&mutex_);
    --connection->calls;
    contexts_.erase(context);
  }

  const std::string node_;
  const std::string secret_;
  const Connect connect_;
  mutable Mutex mutex_;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<grpc::ClientContext*> contexts_ ABSL_GUARDED_BY(mutex_);  // of the calls
  // The first ones have the calls; those behind them are left over from a time with more.
  std::vector<std::unique_ptr<Connection>> connections_ ABSL_GUARDED_BY(mutex_);
};

// The place of a call on a connection to another node, with the context of the call.
class PeerCall {
 public:
  PeerCall(std::shared_ptr<Peer> peer, std::unique_ptr<grpc::ClientContext> context)
      : peer_(std::move(peer)), context_(std::move(context)), connection_(peer_->Take(context_.get())) {}
  PeerCall(const PeerCall&) = delete;
  PeerCall& operator=(const PeerCall&) = delete;
  ~PeerCall() { peer_->Return(connection_, context_.get()); }

  const Peer& operator*() const { return *peer_; }
  const Peer* operator->() const { return peer_.get(); }
  grpc::GenericStub& stub() const { return connection_->stub; }
  grpc::ClientContext* context() const { return context_.get(); }

 private:
  const std::shared_ptr<Peer> peer_;
  const std::unique_ptr<grpc::ClientContext> context_;
  Peer::Connection* const connection_;
};

class Placement {
 public:
  virtual ~Placement() = default;

  // Returns the node that runs the shard's objects; null: this one, or nobody knows another.
  virtual std::shared_ptr<Peer> PeerFor(storage::ShardId shard) = 0;
  // The shard is not where PeerFor has said: find out anew.
  virtual void Moved(storage::ShardId shard) = 0;
  // Returns all other nodes that are alive, for what all nodes answer together.
  virtual std::vector<std::shared_ptr<Peer>> Peers() = 0;
  // The secret by which nodes of the cluster know each other.
  virtual const std::string& secret() const = 0;

  // The map for clients, which the kind of placement sets.
  PlacementMaps& maps() { return maps_; }

 private:
  PlacementMaps maps_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_PLACEMENT_H_
