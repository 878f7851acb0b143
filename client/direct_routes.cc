#include "client/direct_routes.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "absl/random/random.h"
#include "absl/time/clock.h"
#include "client/retry.h"
#include "client/status.h"

namespace holdfast::client {
namespace {

// The rule of shards that this client knows.
constexpr int kProtocolVersion = 1;

}  // namespace

void DirectRoute::Begin(grpc::ClientContext* context) {
  const std::lock_guard lock(mutex_);
  contexts_.insert(context);
  if (left_) context->TryCancel();
}

void DirectRoute::End(grpc::ClientContext* context) {
  const std::lock_guard lock(mutex_);
  contexts_.erase(context);
}

void DirectRoute::Leave() {
  const std::lock_guard lock(mutex_);
  left_ = true;
  for (grpc::ClientContext* const context : contexts_) context->TryCancel();
}

bool DirectRoute::left() const {
  const std::lock_guard lock(mutex_);
  return left_;
}

DirectRoutes::DirectRoutes(const std::shared_ptr<grpc::Channel>& channel, Prepare prepare, Connect connect)
    : channel_(channel), prepare_(std::move(prepare)), connect_(std::move(connect)), thread_([this] { Work(); }) {}

DirectRoutes::~DirectRoutes() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (watching_ != nullptr) watching_->TryCancel();
    changed_.notify_all();
  }
  thread_.join();
}

std::shared_ptr<DirectRoute> DirectRoutes::Find(uint32_t shard) const {
  std::shared_ptr<DirectRoute> route;
  {
    const std::lock_guard lock(mutex_);
    route = of_shard_[shard];
  }
  return route != nullptr && route->connected() ? route : nullptr;
}

bool DirectRoutes::Await(absl::Duration timeout) const {
  const absl::Time until = absl::Now() + timeout;
  std::vector<std::shared_ptr<DirectRoute>> routes;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [this] { return answered_; });
    for (const auto& [address, route] : routes_) routes.push_back(route);
  }
  return !routes.empty() &&
         std::ranges::all_of(routes, [until](const auto& route) { return route->AwaitConnected(until); });
}

void DirectRoutes::Work() {
  absl::InsecureBitGen random;
  absl::Duration pause = kPauseMin;
  while (true) {
    absl::Status end;
    if (Watch(&end)) pause = kPauseMin;
    // An older server does not know the method; others may come to know the caller.
    if (!IsRetryable(end)) pause = kPauseMax;
    std::unique_lock lock(mutex_);
    answered_ = true;
    changed_.notify_all();
    // Clients that have lost the same server do not come back together.
    const absl::Duration asked = RetryDelayOf(end).value_or(absl::ZeroDuration());
    const absl::Duration wait = std::max(pause * absl::Uniform(random, 0.5, 1.0), std::min(asked, kPauseMax));
    if (changed_.wait_for(lock, absl::ToChronoNanoseconds(wait), [this] { return ending_; })) return;
    pause = std::min(2 * pause, kPauseMax);
  }
}

bool DirectRoutes::Watch(absl::Status* end) {
  grpc::ClientContext context;
  if (*end = prepare_(&context); !end->ok()) return false;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return false;
    watching_ = &context;
  }
  const auto stub = v1::PlacementService::NewStub(channel_);
  const auto stream = stub->WatchPlacement(&context, {});
  v1::WatchPlacementResponse map;
  bool came = false;
  while (stream->Read(&map)) {
    Take(map);
    came = true;
  }
  *end = FromGrpcStatus(stream->Finish());
  const std::lock_guard lock(mutex_);
  watching_ = nullptr;
  return came;
}

void DirectRoutes::Take(const v1::WatchPlacementResponse& map) {
  const bool known = map.protocol_version() == kProtocolVersion && map.node_of_shard_size() == kShardCount;
  // Only this thread changes routes_.
  std::map<std::string, std::shared_ptr<DirectRoute>> routes;
  std::vector<std::shared_ptr<DirectRoute>> of_node;
  for (int i = 0; known && i < map.nodes_size(); ++i) {
    const v1::PlacementNode& node = map.nodes(i);
    std::shared_ptr<DirectRoute>& route = of_node.emplace_back();
    if (node.address().empty()) continue;  // the ordinary address
    if (const auto taken = routes.find(node.address()); taken != routes.end()) {
      route = taken->second;
      continue;
    }
    if (routes.size() == kNodesMax) continue;
    // A node that was started again at its address has the same name.
    if (const auto had = routes_.find(node.address()); had != routes_.end() && had->second->node() == node.name()) {
      route = had->second;
    } else if (std::shared_ptr<grpc::Channel> channel = connect_(node.address()); channel != nullptr) {
      route = std::make_shared<DirectRoute>(node.name(), std::move(channel));
      (void)route->connected();  // begins to connect
    }
    if (route != nullptr) routes[node.address()] = route;
  }
  std::map<std::string, std::shared_ptr<DirectRoute>> before;
  {
    const std::lock_guard lock(mutex_);
    before = std::exchange(routes_, routes);
    for (size_t shard = 0; shard < kShardCount; ++shard) {
      const int node = known ? map.node_of_shard(static_cast<int>(shard)) : -1;
      of_shard_[shard] =
          node < 0 || node >= static_cast<int>(of_node.size()) ? nullptr : of_node[static_cast<size_t>(node)];
    }
    answered_ = true;
    changed_.notify_all();
  }
  for (const auto& [address, route] : before) {
    const auto still = routes.find(address);
    if (still == routes.end() || still->second != route) route->Leave();
  }
}

}  // namespace holdfast::client
