// Which node of a cluster runs an object. A server alone has no placement, and runs all objects itself.
//
// A node that gets a request for an object of another node sends it on (forward.h), over one channel to each node. The
// other node trusts it by the cluster's secret: the caller and his rights were checked where the request came in.
//
// Threading: any thread. Cheap: each request asks.

#ifndef HOLDFAST_SERVICE_CALL_PLACEMENT_H_
#define HOLDFAST_SERVICE_CALL_PLACEMENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/store/object_id.h"

namespace holdfast::service {

// The metadata with the cluster's secret, of a request that another node has sent on.
inline constexpr char kForwardedKey[] = "holdfast-forwarded";

// Another node of the cluster, and how to reach it.
class Peer {
 public:
  Peer(std::string node, std::string secret, std::shared_ptr<grpc::Channel> channel)
      : node_(std::move(node)), secret_(std::move(secret)), stub_(std::move(channel)) {}

  // The name of the node, for messages.
  const std::string& node() const { return node_; }
  const std::string& secret() const { return secret_; }
  grpc::GenericStub& stub() { return stub_; }

 private:
  const std::string node_;
  const std::string secret_;
  grpc::GenericStub stub_;
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
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_PLACEMENT_H_
