// The thread on which a node works for its cluster in one database (cluster_agents.h has those of all). It takes the
// steps of cluster_steps.h every look_interval, and at once when a request has missed its shard.
//
// Threading: a thread of its own, which may block; one other thread begins, waits and stops.

#ifndef HOLDFAST_SERVICE_CLUSTER_CLUSTER_AGENT_H_
#define HOLDFAST_SERVICE_CLUSTER_CLUSTER_AGENT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/runtime/router.h"
#include "service/cluster/cluster_placement.h"
#include "service/cluster/cluster_steps.h"
#include "service/metrics/node_load.h"
#include "storage/base/mutex.h"
#include "storage/fold/logged_store.h"
#include "storage/node/run_clocks.h"
#include "storage/postgres/postgres_store.h"

namespace holdfast::service {

// The objects behind the pointers outlive the agent.
struct AgentServices {
  storage::PostgresStore* rows;
  storage::LoggedStore* store;
  const actors::Router* router;
  storage::RunClocks* run_clocks;
  ClusterPlacement* placement;  // null: the server is alone
  // As StepServices has them.
  std::function<absl::Status(storage::ShardId, int64_t epoch)> on_gain = nullptr;
  std::function<void(storage::ShardId)> on_lose = nullptr;
  // Told of the number of nodes that take shards, whenever it has changed.
  std::function<void(size_t)> on_nodes;
  // Told once, on the agent's thread, when it can't go on: the node must end.
  std::function<void(const absl::Status&)> on_failure;
};

class ClusterAgent {
 public:
  ClusterAgent(AgentServices services, AgentOptions options);
  ~ClusterAgent();

  // Begins. The executors run.
  void Begin();
  // Waits until each shard has an owner that may be alive, or until `until` by the steady clock. Errors: those that end
  // the first steps, other than that the database can't be reached.
  absl::Status WaitUntilReady(absl::Time until);
  // Looks at the map soon. Any thread.
  void LookSoon();
  // Begins to give all shards away, if there is a node to take them.
  void BeginToLeave();
  // Waits until that is done, or until `until` by the steady clock.
  void WaitUntilLeft(absl::Time until);
  // Ends the thread. Shards stay where they are.
  void Stop();
  // Any thread.
  ClusterLoad load() const;

 private:
  StepServices ServicesOfSteps();
  void Work();
  bool WaitForHosts(ShardCountdown* countdown);
  bool ending();
  bool leaving();

  const AgentServices services_;
  const absl::Duration look_interval_;
  ClusterSteps steps_;

  Mutex mutex_;
  CondVar changed_;
  bool look_now_ ABSL_GUARDED_BY(mutex_) = false;
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;
  bool left_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CLUSTER_CLUSTER_AGENT_H_
