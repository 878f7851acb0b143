// PlacementService: a watch of the map of the cluster.

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "holdfast/v1/placement_service.grpc.pb.h"
#include "service/call/endpoint.h"
#include "service/call/placement_map.h"
#include "service/call/raw_method.h"
#include "service/call/reply_wire.h"
#include "service/call/small_request.h"
#include "service/call/watch_call.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {
namespace {

constexpr int kProtocolVersion = 1;
// The least time between two maps. Shards that move in one step of a cluster are many changes of the map.
constexpr absl::Duration kMapInterval = absl::Milliseconds(100);

v1::WatchPlacementResponse ReplyOf(const PlacementMap& map) {
  v1::WatchPlacementResponse response;
  response.set_protocol_version(kProtocolVersion);
  for (const PlacementMap::Node& node : map.nodes) {
    v1::PlacementNode* const reply = response.add_nodes();
    reply->set_name(node.name);
    reply->set_address(node.address);
  }
  response.mutable_node_of_shard()->Add(map.node_of_shard.begin(), map.node_of_shard.end());
  return response;
}

// The one map of a server alone, which never changes.
PlacementMaps& MapsOfOne() {
  static PlacementMaps* const maps = [] {
    PlacementMap map{.nodes = {{}}, .node_of_shard = {}};
    map.node_of_shard.fill(0);
    auto* const made = new PlacementMaps;
    made->Set(std::move(map));
    return made;
  }();
  return *maps;
}

// A client that does not read has one map under way. The next one is made when he has taken it, so he gets the newest.
class PlacementWatchCall final : public WatchCall {
 public:
  PlacementWatchCall(const RawMethod* method, Endpoint* endpoint)
      : WatchCall(method, endpoint),
        maps_(endpoint->placement == nullptr ? MapsOfOne() : endpoint->placement->maps()) {}

 private:
  void PostNext() override { new PlacementWatchCall(method_, endpoint_); }

  absl::Status Begin() override {
    v1::WatchPlacementRequest request;
    if (absl::Status status = ParseSmall(&bytes_, &request); !status.ok()) return status;
    if (absl::Status status = AdmitTarget(Target::Server()); !status.ok()) return status;
    // Its maps are about as large as the first one.
    if (const auto newest = maps_.Newest(); newest.map != nullptr) {
      if (absl::Status status = lease_.ReserveReply(ReplyOf(*newest.map).ByteSizeLong()); !status.ok()) return status;
    }
    watcher_ = maps_.Watch([this] { endpoint_->executor->Post([this] { Go(); }); });
    return absl::OkStatus();
  }

  bool TakeReply(grpc::ByteBuffer* reply) override {
    if (ended() || pause_) return false;
    const PlacementMaps::Numbered newest = maps_.Newest();
    if (newest.number == sent_) return false;
    sent_ = newest.number;
    Used();
    *reply = ToWire(ReplyOf(*newest.map));
    lease_.CountReply(reply->Length());
    pause_ = endpoint_->executor->After(kMapInterval, [this] {
      pause_.reset();
      Go();
    });
    return true;
  }

  void OnEnd() override {
    if (watcher_) maps_.Remove(*watcher_);
    if (pause_) endpoint_->executor->Cancel(*pause_);
  }
  void EndIdle() override {
    End(IdleTooLong());
    Go();
  }
  // The deletion comes after everything that the watch has posted.
  void Delete() override {
    endpoint_->executor->Post([this] { delete this; });
  }

  PlacementMaps& maps_;
  std::optional<PlacementMaps::WatcherId> watcher_;
  std::optional<actors::Executor::TimerId> pause_;  // set while it is too soon for another map
  uint64_t sent_ = 0;                               // the number of the map that was sent last
};

}  // namespace

void AddPlacementRpcs(Extension* extension) {
  RpcRows<v1::PlacementService> rows;
  rows.Custom("WatchPlacement", Verb::kRead,
              [](const RawMethod* method, Endpoint* endpoint) { new PlacementWatchCall(method, endpoint); });
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
