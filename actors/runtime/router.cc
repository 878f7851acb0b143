#include "actors/runtime/router.h"

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

}  // namespace holdfast::actors
