#include "service/cluster/cluster_agents.h"

#include <algorithm>
#include <utility>

namespace holdfast::service {

ClusterAgents::ClusterAgents(std::vector<AgentServices> services, const std::vector<AgentOptions>& options,
                             std::function<void(size_t)> on_nodes)
    : on_nodes_(std::move(on_nodes)),
      ready_max_(services.size() == 1 ? absl::InfiniteDuration() : options.front().postgres.read_timeout),
      nodes_(services.size(), 1) {
  for (size_t i = 0; i < services.size(); ++i) {
    services[i].on_nodes = [this, i](size_t nodes) { SetNodes(i, nodes); };
    agents_.push_back(std::make_unique<ClusterAgent>(std::move(services[i]), options[i]));
  }
}

void ClusterAgents::SetNodes(size_t database, size_t nodes) {
  MutexLock lock(&mutex_);
  nodes_[database] = nodes;
  on_nodes_(*std::max_element(nodes_.begin(), nodes_.end()));
}

absl::Status ClusterAgents::Start() {
  const absl::Time until = actors::SteadyNow() + ready_max_;
  for (const auto& agent : agents_) agent->Begin();
  for (const auto& agent : agents_) {
    if (absl::Status status = agent->WaitUntilReady(until); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void ClusterAgents::LookSoon(storage::ShardId shard) {
  agents_[static_cast<size_t>(shard) % agents_.size()]->LookSoon();
}

void ClusterAgents::Leave(absl::Time until) {
  for (const auto& agent : agents_) agent->BeginToLeave();
  for (const auto& agent : agents_) agent->WaitUntilLeft(until);
}

void ClusterAgents::Stop() {
  for (const auto& agent : agents_) agent->Stop();
}

ClusterLoad ClusterAgents::load() const {
  ClusterLoad sum;
  for (const auto& agent : agents_) {
    const ClusterLoad load = agent->load();
    sum.nodes = std::max(sum.nodes, load.nodes);
    sum.lease_age = std::max(sum.lease_age, load.lease_age);
    // All agents have the same placement.
    sum.forwarded = load.forwarded;
    sum.shards += load.shards;
    sum.shards_gained += load.shards_gained;
    sum.shards_given += load.shards_given;
    sum.recoveries += load.recoveries;
    sum.commits_resolved += load.commits_resolved;
  }
  return sum;
}

}  // namespace holdfast::service
