// The map of a cluster for clients: the nodes that are alive and the shards that each of them has, as one node sees it.
//
// Threading: any thread.

#ifndef HOLDFAST_SERVICE_CALL_PLACEMENT_MAP_H_
#define HOLDFAST_SERVICE_CALL_PLACEMENT_MAP_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/base/mutex.h"
#include "storage/store/object_id.h"

namespace holdfast::service {

struct PlacementMap {
  struct Node {
    std::string name;
    std::string address;  // where other nodes reach it
    bool operator==(const Node&) const = default;
  };
  static constexpr int32_t kNobody = -1;

  std::vector<Node> nodes;
  std::array<int32_t, storage::kShardCount> node_of_shard;  // the index in `nodes`, or kNobody

  bool operator==(const PlacementMap&) const = default;
};

// The newest map, and those who want to be told of a newer one.
class PlacementMaps {
 public:
  using WatcherId = uint64_t;

  // A map with its number, which grows with each map.
  struct Numbered {
    std::shared_ptr<const PlacementMap> map;  // null: there was no map yet
    uint64_t number = 0;
  };

  // Takes a new map. Nobody is told of one that is like the one before.
  void Set(PlacementMap map) {
    MutexLock lock(&mutex_);
    if (newest_.map != nullptr && *newest_.map == map) return;
    newest_.map = std::make_shared<const PlacementMap>(std::move(map));
    ++newest_.number;
    for (const auto& [id, on_change] : watchers_) on_change();
  }
  Numbered Newest() const {
    MutexLock lock(&mutex_);
    return newest_;
  }

  // `on_change` is called for each newer map, until Remove returns, on the thread that has brought it and under a lock:
  // it only hands the news on. The streams of the server are bounded, and with them the watchers.
  WatcherId Watch(std::function<void()> on_change) {
    MutexLock lock(&mutex_);
    watchers_.emplace(++last_watcher_, std::move(on_change));
    return last_watcher_;
  }
  void Remove(WatcherId watcher) {
    MutexLock lock(&mutex_);
    watchers_.erase(watcher);
  }

 private:
  mutable Mutex mutex_;
  Numbered newest_ ABSL_GUARDED_BY(mutex_);
  WatcherId last_watcher_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<WatcherId, std::function<void()>> watchers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_PLACEMENT_MAP_H_
