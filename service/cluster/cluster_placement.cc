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

namespace {

// Returns the map for clients. The shards of a dead node that another one recovers are nowhere: nobody serves them.
PlacementMap ForClients(const storage::postgres::ClusterMap& map, const std::string& self,
                        const std::function<bool(const storage::postgres::Member&)>& is_gone) {
  std::vector<const storage::postgres::Member*> members;
  for (const auto& [owner, member] : map.members) {
    if (member.state == storage::postgres::MemberState::kRecovery) continue;
    if (owner == self || !(member.address.empty() || is_gone(member))) members.push_back(&member);
  }
  std::ranges::stable_sort(members, {}, &storage::postgres::Member::node);
  PlacementMap result;
  std::map<int64_t, int32_t> of_writer;
  for (const storage::postgres::Member* const member : members) {
    for (const auto& row : member->rows) of_writer[row.id] = static_cast<int32_t>(result.nodes.size());
    result.nodes.push_back({.name = member->node, .address = member->address});
  }
  for (size_t shard = 0; shard < storage::kShardCount; ++shard) {
    const auto found = of_writer.find(map.shards[shard].writer);
    result.node_of_shard[shard] = found == of_writer.end() ? PlacementMap::kNobody : found->second;
  }
  return result;
}

}  // namespace

void ClusterPlacement::Update(const storage::postgres::ClusterMap& map, const std::string& self,
                              const std::function<bool(const storage::postgres::Member&)>& is_gone) {
  maps().Set(ForClients(map, self, is_gone));
  std::map<std::string, std::shared_ptr<Peer>> peers;
  std::map<int64_t, std::shared_ptr<Peer>> of_writer;
  {
    ReaderLock lock(&mutex_);
    peers = peers_;
  }
  std::erase_if(peers, [&](const auto& peer) {
    const storage::postgres::Member* const member = map.Find(peer.first);
    if (member != nullptr && !is_gone(*member)) return false;
    peer.second->Gone();
    return true;
  });
  for (const auto& [owner, member] : map.members) {
    if (owner == self || member.address.empty() || is_gone(member)) continue;
    std::shared_ptr<Peer>& peer = peers[owner];
    if (peer == nullptr) peer = NewPeer(member);
    for (const auto& row : member.rows) of_writer[row.id] = peer;
  }
  WriterLock lock(&mutex_);
  peers_ = std::move(peers);
  for (size_t shard = 0; shard < storage::kShardCount; ++shard) {
    const auto found = of_writer.find(map.shards[shard].writer);
    of_shard_[shard] = found == of_writer.end() ? nullptr : found->second;
    elsewhere_[shard].store(of_shard_[shard] != nullptr, std::memory_order_release);
  }
}

}  // namespace holdfast::service
