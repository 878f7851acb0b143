#include "actors/runtime/router.h"

#include <atomic>
#include <memory>
#include <utility>

namespace holdfast::actors {

void Router::Deliver(std::vector<Addressed> deliveries) const {
  if (hosts_.size() == 1) {
    Deliver(hosts_.front(), std::move(deliveries));
    return;
  }
  std::vector<std::vector<Addressed>> of_host(hosts_.size());
  for (const Addressed& one : deliveries) of_host[&HostOf(*one.key) - hosts_.data()].push_back(one);
  // The other executors first, so that they work while this thread does.
  for (const bool current : {false, true}) {
    for (size_t i = 0; i < hosts_.size(); ++i) {
      if (!of_host[i].empty() && hosts_[i].executor->IsCurrent() == current) Deliver(hosts_[i], std::move(of_host[i]));
    }
  }
}

void Router::Deliver(const Host& host, std::vector<Addressed> deliveries) {
  if (host.executor->IsCurrent()) {
    host.shards->Deliver(deliveries);
  } else {
    host.executor->Post([shards = host.shards, deliveries = std::move(deliveries)] { shards->Deliver(deliveries); });
  }
}

void Router::AskOwned(absl::AnyInvocable<void(const storage::ShardSet& shards)> done) const {
  struct Asked {
    std::atomic<size_t> left;
    std::vector<storage::ShardSet> owned;  // of each host
    absl::AnyInvocable<void(const storage::ShardSet& shards)> done;
  };
  auto asked = std::make_shared<Asked>();
  asked->left = hosts_.size();
  asked->owned.resize(hosts_.size());
  asked->done = std::move(done);
  for (size_t i = 0; i < hosts_.size(); ++i) {
    hosts_[i].executor->Post([asked, i, host = hosts_[i].shards] {
      for (uint32_t shard = 0; shard < storage::kShardCount; ++shard) {
        asked->owned[i][shard] = host->Owns(storage::ShardId(shard));
      }
      if (asked->left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      storage::ShardSet all;
      for (const storage::ShardSet& owned : asked->owned) all |= owned;
      asked->done(all);
    });
  }
}

}  // namespace holdfast::actors
