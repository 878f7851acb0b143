#include "service/cluster/cluster_placement.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <set>
#include <utility>

namespace holdfast::service {

std::shared_ptr<Peer> ClusterPlacement::PeerFor(storage::ShardId shard) {
  const auto index = static_cast<size_t>(shard);
  if (!elsewhere_[index].load(std::memory_order_acquire)) return nullptr;
  forwarded_.fetch_add(1, std::memory_order_relaxed);
  ReaderLock lock(&mutex_);
  return of_shard_[index];
}

std::vector<std::shared_ptr<Peer>> ClusterPlacement::Peers() {
  ReaderLock lock(&mutex_);
  std::vector<std::shared_ptr<Peer>> peers;
  peers.reserve(peers_.size());
  for (const auto& [owner, peer] : peers_) peers.push_back(peer);
  return peers;
}

std::vector<std::shared_ptr<Peer>> ClusterPlacement::Owners() {
  std::set<std::shared_ptr<Peer>> owners;
  {
    ReaderLock lock(&mutex_);
    owners.insert(of_shard_.begin(), of_shard_.end());
  }
  owners.erase(nullptr);
  return {owners.begin(), owners.end()};
}

std::shared_ptr<Peer> ClusterPlacement::NewPeer(const storage::postgres::Member& member) const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  // A node that has just come up again is found again soon.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!options_.server_name.empty()) arguments.SetSslTargetNameOverride(options_.server_name);
  return std::make_shared<Peer>(member.node, options_.secret,
                                [address = member.address, credentials = options_.credentials, arguments] {
                                  return grpc::CreateCustomChannel(address, credentials, arguments);
                                });
}

template <typename Visit>
void ClusterPlacement::Seen::ForEachAlive(Visit visit) const {
  for (const auto& [owner, member] : map.members) {
    if (member.state != storage::postgres::MemberState::kRecovery && !gone.contains(owner)) visit(member);
  }
}

// The shards of a dead node that another one recovers are nowhere: nobody serves them.
PlacementMap ClusterPlacement::ForClients(const std::string& self) const {
  std::map<std::string, PlacementMap::Node> by_owner;
  for (const auto& [database, seen] : seen_) {
    seen.ForEachAlive([&](const storage::postgres::Member& member) {
      if (member.owner == self || !member.address.empty()) by_owner[member.owner] = {member.node, member.address};
    });
  }
  std::vector<std::pair<std::string, PlacementMap::Node>> nodes(by_owner.begin(), by_owner.end());
  std::ranges::stable_sort(nodes, {}, [](const auto& node) { return node.second.name; });
  PlacementMap result;
  std::map<std::string, int32_t> of_owner;
  for (auto& [owner, node] : nodes) {
    of_owner[owner] = static_cast<int32_t>(result.nodes.size());
    result.nodes.push_back(std::move(node));
  }
  result.node_of_shard.fill(PlacementMap::kNobody);
  for (const auto& [database, seen] : seen_) {
    seen.ForEachAlive([&, &map = seen.map](const storage::postgres::Member& member) {
      const auto node = of_owner.find(member.owner);
      if (node == of_owner.end()) return;
      for (const storage::ShardId shard : map.ShardsOf(member)) {
        result.node_of_shard[static_cast<size_t>(shard)] = node->second;
      }
    });
  }
  return result;
}

void ClusterPlacement::UpdatePeers(const std::string& self) {
  std::map<std::string, std::shared_ptr<Peer>> before;
  {
    ReaderLock lock(&mutex_);
    before = peers_;
  }
  std::map<std::string, std::shared_ptr<Peer>> peers;
  std::array<std::shared_ptr<Peer>, storage::kShardCount> of_shard;
  for (const auto& [database, seen] : seen_) {
    seen.ForEachAlive([&, &map = seen.map](const storage::postgres::Member& member) {
      if (member.owner == self || member.address.empty()) return;
      std::shared_ptr<Peer>& peer = peers[member.owner];
      if (const auto found = before.find(member.owner); found != before.end()) peer = found->second;
      if (peer == nullptr) peer = NewPeer(member);
      for (const storage::ShardId shard : map.ShardsOf(member)) of_shard[static_cast<size_t>(shard)] = peer;
    });
  }
  for (const auto& [owner, peer] : before) {
    if (!peers.contains(owner)) peer->Gone();
  }
  WriterLock lock(&mutex_);
  peers_ = std::move(peers);
  for (size_t shard = 0; shard < storage::kShardCount; ++shard) {
    of_shard_[shard] = std::move(of_shard[shard]);
    elsewhere_[shard].store(of_shard_[shard] != nullptr, std::memory_order_release);
  }
}

void ClusterPlacement::Update(const storage::postgres::ClusterMap& map, const std::string& self,
                              const std::function<bool(const storage::postgres::Member&)>& is_gone) {
  MutexLock lock(&update_mutex_);
  Seen& seen = seen_[map.part.database];
  seen.map = map;
  seen.gone.clear();
  for (const auto& [owner, member] : map.members) {
    if (owner != self && is_gone(member)) seen.gone.insert(owner);
  }
  maps().Set(ForClients(self));
  UpdatePeers(self);
}

}  // namespace holdfast::service
