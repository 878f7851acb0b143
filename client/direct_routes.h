// The ways to the nodes of a cluster, for a client that sends a call to the node of its object.
//
// A thread watches the map (PlacementService.WatchPlacement) on the client's ordinary channel, and opens a connection
// to each node that is named. The map that came last holds while the watch is opened again.
//
// A call goes to a node directly only over a connection that stands, so no call waits for a node that can't be reached
// from here. When a node leaves the map, the calls that it has are cancelled: a node that was stopped answers nothing,
// and its connections stay open.
//
// Threading: any thread. Ownership: the destructor ends the watch; the routes that were given out go on.

#ifndef HOLDFAST_CLIENT_DIRECT_ROUTES_H_
#define HOLDFAST_CLIENT_DIRECT_ROUTES_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/shard.h"
#include "client/stubs.h"
#include "holdfast/v1/placement_service.pb.h"

namespace holdfast::client {

// A node and the connection to it.
class DirectRoute {
 public:
  DirectRoute(std::string node, std::shared_ptr<grpc::Channel> channel)
      : node_(std::move(node)), channel_(std::move(channel)), stubs_(channel_) {}

  const std::string& node() const { return node_; }
  const Stubs& stubs() const { return stubs_; }
  // Returns whether the connection stands. If not, it is made in the background.
  bool connected() const { return channel_->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY; }
  bool AwaitConnected(absl::Time until) const { return channel_->WaitForConnected(absl::ToChronoTime(until)); }

  // These two surround each call.
  void Begin(grpc::ClientContext* context);
  void End(grpc::ClientContext* context);
  // The node has left the map: cancels its calls, and those that begin.
  void Leave();
  bool left() const;

 private:
  const std::string node_;
  const std::shared_ptr<grpc::Channel> channel_;
  const Stubs stubs_;
  mutable std::mutex mutex_;
  bool left_ = false;                        // guarded by mutex_
  std::set<grpc::ClientContext*> contexts_;  // of the calls in progress; guarded by mutex_
};

class DirectRoutes {
 public:
  // Opens a connection to a node; null: the client may not send its credentials there.
  using Connect = std::function<std::shared_ptr<grpc::Channel>(const std::string& address)>;
  // Gives a call its credentials.
  using Prepare = std::function<absl::Status(grpc::ClientContext*)>;

  // The most nodes to which a client has connections. The objects of further ones are reached as without a map.
  static constexpr size_t kNodesMax = 64;
  // The first and the longest pause after a watch that has failed. It doubles while no map comes.
  static constexpr absl::Duration kPauseMin = absl::Milliseconds(100);
  static constexpr absl::Duration kPauseMax = absl::Seconds(30);

  DirectRoutes(const std::shared_ptr<grpc::Channel>& channel, Prepare prepare, Connect connect);
  ~DirectRoutes();
  DirectRoutes(const DirectRoutes&) = delete;
  DirectRoutes& operator=(const DirectRoutes&) = delete;

  // Returns the way to the node that has the shard; null: there is no map, it names no node, or no connection stands.
  std::shared_ptr<DirectRoute> Find(uint32_t shard) const;
  // Waits until there is a map, or none is to be had, and the connections to its nodes stand. Returns whether they do.
  bool Await(absl::Duration timeout) const;

 private:
  void Work();
  // Watches once. Returns whether a map came.
  bool Watch(absl::Status* end);
  void Take(const v1::WatchPlacementResponse& map);

  const std::shared_ptr<grpc::Channel> channel_;
  const Prepare prepare_;
  const Connect connect_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  // Guarded by mutex_.
  bool ending_ = false;
  bool answered_ = false;                                       // a map has come, or the first watch has failed
  grpc::ClientContext* watching_ = nullptr;                     // the watch in progress
  std::map<std::string, std::shared_ptr<DirectRoute>> routes_;  // by address
  std::array<std::shared_ptr<DirectRoute>, kShardCount> of_shard_;

  std::thread thread_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_DIRECT_ROUTES_H_
