// Takes each delivery to the executor that runs its object's shard. Deliveries that come together are handed over to
// each executor together.

#ifndef HOLDFAST_ACTORS_RUNTIME_ROUTER_H_
#define HOLDFAST_ACTORS_RUNTIME_ROUTER_H_

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "actors/executor/executor.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/shard_host.h"
#include "storage/store/shard_set.h"

namespace holdfast::actors {

class Router {
 public:
  struct Host {
    Executor* executor;
    ShardHost* shards;
  };

  // Deals the shards out to the hosts in turn: those for which `owns` returns true, or all. A host refuses requests for
  // the others. The executors and hosts outlive the router; make it before they start.
  explicit Router(std::vector<Host> hosts, const std::function<bool(storage::ShardId shard)>& owns = nullptr)
      : hosts_(std::move(hosts)) {
    for (uint32_t shard = 0; shard < storage::kShardCount; ++shard) {
      if (owns == nullptr || owns(storage::ShardId(shard)))
        hosts_[shard % hosts_.size()].shards->Own(storage::ShardId(shard));
    }
  }

  const Host& HostOf(storage::ShardId shard) const { return hosts_[static_cast<size_t>(shard) % hosts_.size()]; }
  const Host& HostOf(const storage::ObjectKey& key) const { return HostOf(key.shard()); }

  // Any thread may call it. The delivery keeps `key` alive. The outcome comes on the object's executor; if that is the
  // calling thread, perhaps before this returns.
  void Deliver(const storage::ObjectKey& key, const ObjectClass* object_class, Delivery* delivery) const {
    const Host& host = HostOf(key);
    if (host.executor->IsCurrent()) {
      host.shards->Deliver(key, object_class, delivery);
    } else {
      host.executor->Post([&host, &key, object_class, delivery] { host.shards->Deliver(key, object_class, delivery); });
    }
  }
  // Does the same with many deliveries. Those of one object begin in their order.
  void Deliver(std::vector<Addressed> deliveries) const;

  // Finds out which shards the hosts own. Any thread; `done` is called on one of the executors.
  void AskOwned(absl::AnyInvocable<void(const storage::ShardSet& shards)> done) const;

 private:
  static void Deliver(const Host& host, std::vector<Addressed> deliveries);

  const std::vector<Host> hosts_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_ROUTER_H_
