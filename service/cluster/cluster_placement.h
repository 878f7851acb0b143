// Where the shards of a cluster are, as this node has last seen it: the maps of all of its databases together. A node
// that is gone from one database, and alive in another, is still a node.
//
// Threading: any thread; PeerFor of a shard that is here takes no lock.

#ifndef HOLDFAST_SERVICE_CLUSTER_CLUSTER_PLACEMENT_H_
#define HOLDFAST_SERVICE_CLUSTER_CLUSTER_PLACEMENT_H_

#include <grpcpp/security/credentials.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "service/call/placement.h"
#include "storage/base/mutex.h"
#include "storage/postgres/cluster_map.h"

namespace holdfast::service {

// The means by which a node reaches the others.
struct PeerOptions {
  std::string secret;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::string server_name;  // that certificates must have; empty: that of the address
  int64_t message_bytes_max = 0;
};

class ClusterPlacement final : public Placement {
 public:
  explicit ClusterPlacement(PeerOptions options) : options_(std::move(options)) {}

  std::shared_ptr<Peer> PeerFor(storage::ShardId shard) override;
  std::vector<std::shared_ptr<Peer>> Peers() override;
  void Moved(storage::ShardId shard) override { on_moved_(shard); }
  // Returns the other nodes that have shards.
  std::vector<std::shared_ptr<Peer>> Owners();
  const std::string& secret() const override { return options_.secret; }
  // The requests for which PeerFor has named a node.
  uint64_t forwarded() const { return forwarded_.load(std::memory_order_relaxed); }

  // Called when a shard was not where this has said. Set it before the first request.
  void set_on_moved(std::function<void(storage::ShardId)> on_moved) { on_moved_ = std::move(on_moved); }
  // Takes a new map of one database. The shards of members for whom `is_gone` returns true are nowhere. Any thread.
  void Update(const storage::postgres::ClusterMap& map, const std::string& self,
              const std::function<bool(const storage::postgres::Member&)>& is_gone);

 private:
  // The map of a database.
  struct Seen {
    storage::postgres::ClusterMap map;
    std::set<std::string> gone;  // owners

    // Calls `visit` with each member that is there; not with one that only recovers another.
    template <typename Visit>
    void ForEachAlive(Visit visit) const;
  };

  PlacementMap ForClients(const std::string& self) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(update_mutex_);
  void UpdatePeers(const std::string& self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(update_mutex_);
  std::shared_ptr<Peer> NewPeer(const storage::postgres::Member& member) const;

  const PeerOptions options_;
  std::function<void(storage::ShardId)> on_moved_ = [](storage::ShardId) {};
  std::array<std::atomic<bool>, storage::kShardCount> elsewhere_ = {};
  std::atomic<uint64_t> forwarded_ = 0;
  Mutex update_mutex_;                                            // taken before mutex_
  std::map<uint32_t, Seen> seen_ ABSL_GUARDED_BY(update_mutex_);  // by number of the database
  SharedMutex mutex_;
  std::array<std::shared_ptr<Peer>, storage::kShardCount> of_shard_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<Peer>> peers_ ABSL_GUARDED_BY(mutex_);  // by owner
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CLUSTER_CLUSTER_PLACEMENT_H_
