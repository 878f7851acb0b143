// The agents of a node: one for each database of its cluster, each with a thread of its own. So a database that is away
// holds up no move and no take-over in the others.
//
// Threading: those of ClusterAgent.

#ifndef HOLDFAST_SERVICE_CLUSTER_CLUSTER_AGENTS_H_
#define HOLDFAST_SERVICE_CLUSTER_CLUSTER_AGENTS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/cluster/cluster_agent.h"
#include "service/metrics/node_load.h"
#include "storage/base/mutex.h"
#include "storage/store/object_id.h"

namespace holdfast::service {

class ClusterAgents {
 public:
  // `services` and `options` have one for each database; their on_nodes is set here. `on_nodes` is told of the number
  // of nodes that take shards, the most of all databases, whenever it has changed; on the thread of an agent.
  ClusterAgents(std::vector<AgentServices> services, const std::vector<AgentOptions>& options,
                std::function<void(size_t)> on_nodes);

  // Begins, and waits until each shard has an owner that may be alive. With several databases it waits no longer than
  // reads do, since others may have given shards of one to this node while another one is away. Errors: as of
  // ClusterAgent.
  absl::Status Start();
  // Looks at the map of the shard's database soon. Any thread.
  void LookSoon(storage::ShardId shard);
  // Gives all shards away, until `until` by the steady clock, if there is a node to take them.
  void Leave(absl::Time until);
  // Ends the threads. Shards stay where they are.
  void Stop();
  // The sums of all databases; the number of nodes is the highest, and the age of the lease that of the oldest. Any
  // thread.
  ClusterLoad load() const;

 private:
  void SetNodes(size_t database, size_t nodes);

  const std::function<void(size_t)> on_nodes_;
  const absl::Duration ready_max_;
  Mutex mutex_;  // held while on_nodes_ is told
  std::vector<size_t> nodes_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<ClusterAgent>> agents_;  // by database; they end first
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CLUSTER_CLUSTER_AGENTS_H_
