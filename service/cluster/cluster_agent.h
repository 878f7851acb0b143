// The work of a node for its cluster: it looks at the map, takes the shards that are its own, gives those away that
// others are to have, and takes over nodes that have died.
//
//   look     every look_interval, and at once when a request has missed its shard
//   gain     a shard that the map gives to this node: its host owns it from then on (ShardHost::Own)
//   give     the hosts release shards, their writes are folded into the rows, and one commit moves them in the map;
//            requests for them go to their new owner when he has seen the map
//   recover  a node that was silent for its lease: its writers are taken over, its logs written back, its shards given
//            away (storage/postgres/claims.h)
//   leave    gives everything away; the node goes on to send requests on
//
// A node that has lost its writers is told so by its store, and ends.
//
// Threading: a thread of its own, which may block; Start, Leave and Stop are called by one other thread.

#ifndef HOLDFAST_SERVICE_CLUSTER_CLUSTER_AGENT_H_
#define HOLDFAST_SERVICE_CLUSTER_CLUSTER_AGENT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "actors/runtime/router.h"
#include "service/cluster/cluster_placement.h"
#include "service/cluster/shard_plan.h"
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
  // Told of the number of nodes that take shards, whenever it has changed.
  std::function<void(size_t)> on_nodes;
  // Told once, on the agent's thread, when it can't go on: the node must end.
  std::function<void(const absl::Status&)> on_failure;
};

struct AgentOptions {
  storage::PostgresOptions postgres;
  absl::Duration look_interval = absl::Milliseconds(100);
  size_t moves_max = 16;
  absl::Duration turns_max = absl::Milliseconds(200);
};

class ClusterAgent {
 public:
  ClusterAgent(AgentServices services, AgentOptions options);
  ~ClusterAgent();

  // Begins, and waits until each shard has an owner that may be alive. The executors run. Errors: those that end the
  // first steps, other than that the database can't be reached.
  absl::Status Start();
  // Looks at the map soon. Any thread.
  void LookSoon();
  // Gives all shards away, until `until` by the steady clock, if there is a node to take them.
  void Leave(absl::Time until);
  // Ends the thread. Shards stay where they are.
  void Stop();
  // Any thread.
  ClusterLoad load() const;

 private:
  using ClusterMap = storage::postgres::ClusterMap;
  using Member = storage::postgres::Member;

  void Work();
  // Does all that the map asks for, one kind of it at a time. Returns whether there is more to do at once.
  absl::StatusOr<bool> Step();
  absl::StatusOr<ClusterMap> Look();
  bool IsSilent(const Member& member) const;
  void Gain(const ClusterMap& map);
  // Releases the shards, folds, and moves them in the map.
  absl::Status Give(absl::Span<const ShardMove> moves);
  absl::Status Recover(const Member& dead);
  absl::Status RemoveOldWriters(const ClusterMap& map);
  bool ending();

  const AgentServices services_;
  const AgentOptions options_;

  // The agent's thread only.
  std::array<bool, storage::kShardCount> here_ = {};
  std::map<int64_t, absl::Duration> ownerless_since_;  // writers, by the clock of leases
  bool reached_ = true;                                // the last look has reached the database
  std::atomic<size_t> nodes_ = 1;

  std::atomic<size_t> shards_ = 0;
  std::atomic<uint64_t> gained_ = 0;
  std::atomic<uint64_t> given_ = 0;
  std::atomic<uint64_t> recoveries_ = 0;

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
