// The steps by which a node works for its cluster: it looks at the map, takes the shards that are its own, gives those
// away that others are to have, and takes over nodes that have died.
//
//   gain     a shard that the map gives to this node: its host owns it from then on (ShardHost::Own). The map is read
//            once more, together with a write: a server that was replaced shows moves that were never made
//   give     the hosts release shards, their writes are folded into the rows, and one commit moves them in the map;
//            requests for them go to their new owner when he has seen the map
//   recover  a node that was silent for its lease: its writers are taken over, its logs written back, its shards given
//            away (storage/postgres/claims.h)
//   leave    gives everything away; the node goes on to send requests on
//
// A node that has lost its writers is told so by its store, and ends.
//
// There is no thread here: cluster_agent.h has one that takes the steps of a server.
//
// Threading: one thread, which may block, but for load(), which any thread calls.

#ifndef HOLDFAST_SERVICE_CLUSTER_CLUSTER_STEPS_H_
#define HOLDFAST_SERVICE_CLUSTER_CLUSTER_STEPS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "actors/runtime/router.h"
#include "service/cluster/shard_loads.h"
#include "service/cluster/shard_plan.h"
#include "service/metrics/node_load.h"
#include "storage/base/mutex.h"
#include "storage/node/run_clocks.h"
#include "storage/postgres/postgres_store.h"

namespace holdfast::service {

// Counts shards down as their hosts take or release them. Any thread; it outlives both sides.
class ShardCountdown {
 public:
  explicit ShardCountdown(size_t shards) : left_(shards) {}

  void One();
  // Returns whether all are counted.
  bool done();
  // Waits until all are counted, for this time at most. Returns whether they are.
  bool WaitFor(absl::Duration time);

 private:
  Mutex mutex_;
  CondVar all_;
  size_t left_ ABSL_GUARDED_BY(mutex_);
};

// The objects behind the pointers outlive the steps.
struct StepServices {
  storage::PostgresStore* rows;
  const actors::Router* router;
  storage::RunClocks* run_clocks;
  // Told of a shard that comes, with the epoch of its row, before anything of it runs here, and of one that goes, when
  // nothing runs here any more. If the first fails, the shard is gained at a later step. Both may be null.
  std::function<absl::Status(storage::ShardId, int64_t epoch)> on_gain = nullptr;
  std::function<void(storage::ShardId)> on_lose = nullptr;
  // Writes all that was committed before the call to the rows.
  std::function<absl::Status()> fold;
  // Waits until all shards are counted. Returns false if the node ends before that.
  std::function<bool(ShardCountdown*)> wait;
  // Returns whether the node ends: no more work is to begin.
  std::function<bool()> ending;
  // Told of each map, after this node has taken the shards that it gives to it.
  std::function<void(const ClusterMap&, const std::function<bool(const Member&)>& is_silent)> on_map;
  // Told of the number of nodes that take shards, whenever it has changed.
  std::function<void(size_t)> on_nodes;
};

struct AgentOptions {
  storage::PostgresOptions postgres;
  absl::Duration look_interval = absl::Milliseconds(100);
  PlanLimits limits = {.moves_max = 16, .load_min = 100};
  absl::Duration load_interval = absl::Seconds(10);
  absl::Duration turns_max = absl::Milliseconds(200);
};

class ClusterSteps {
 public:
  ClusterSteps(StepServices services, AgentOptions options);

  struct Result {
    bool more = false;   // there is more to do at once
    bool ready = false;  // each shard has an owner that may be alive
    bool left = false;   // this node leaves, and has no shards, or nobody takes them
  };
  // Looks, and does one kind of what the map asks for. `leaving`: the node is to give everything away; it stays so.
  // Errors: UNAVAILABLE if the database can't be reached, or the node ends; it may be tried again. The node can't go on
  // after others.
  absl::StatusOr<Result> Step(bool leaving);
  // Without what was forwarded, which is known elsewhere.
  ClusterLoad load() const;

 private:
  absl::StatusOr<ClusterMap> Look();
  bool IsSilent(const Member& member) const;
  // Returns the shards that the map gives to this node, and that are not here yet.
  std::vector<storage::ShardId> Gained(const ClusterMap& map) const;
  // Takes them: the map must be one for sure, if there are any. Errors: UNAVAILABLE if it is to be tried again.
  absl::Status Gain(const ClusterMap& map);
  // Releases the shards, folds, and moves them in the map.
  absl::Status Give(absl::Span<const ShardMove> moves);
  absl::Status Recover(const Member& dead);
  absl::Status TellLoads(const ClusterMap& map, const Member& self);
  absl::Status RemoveOldWriters(const ClusterMap& map);

  const StepServices services_;
  const AgentOptions options_;

  std::array<bool, storage::kShardCount> here_ = {};
  std::map<int64_t, absl::Duration> ownerless_since_;  // writers, by the clock of leases
  ShardLoads loads_;
  bool reached_ = true;  // the last look has reached the database

  // Any thread reads these.
  std::atomic<size_t> nodes_ = 1;
  std::atomic<size_t> shards_ = 0;
  std::atomic<uint64_t> gained_ = 0;
  std::atomic<uint64_t> given_ = 0;
  std::atomic<uint64_t> recoveries_ = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CLUSTER_CLUSTER_STEPS_H_
