// A process of a simulated cluster: one life of a node. It is the server's own code from the store down to the
// statements that it sends, and up to the hosts of the shards; what a server adds to that (gRPC, threads) is played by
// fibers.
//
//   the agent       opens the store, takes the steps of ClusterSteps, folds now and then, and ends the process
//   the heartbeat   of the store
//   the background  reads and commits of the executors, each in a fiber
//
// The executors run on the thread of the test (RunLanes), and may not block.
//
// A process that is killed goes on until its fibers have ended; nothing that it does then reaches anybody.

#ifndef HOLDFAST_TESTS_SIMULATION_CLUSTER_PROCESS_H_
#define HOLDFAST_TESTS_SIMULATION_CLUSTER_PROCESS_H_

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/object.h"
#include "actors/runtime/lane.h"
#include "service/cluster/cluster_steps.h"
#include "storage/fold/logged_store.h"
#include "storage/postgres/postgres_store.h"
#include "tests/simulation/cluster_broken.h"
#include "tests/simulation/cluster_network.h"
#include "tests/simulation/fibers.h"
#include "tests/simulation/node.h"
#include "tests/simulation/seed.h"

namespace holdfast::simulation {

// They outlive the processes.
struct ProcessServices {
  Dice* dice;
  Fibers* fibers;
  Network* network;
  ClusterBroken broken;
  std::vector<const actors::ObjectClass*> classes;
  actors::HostOptions host_options;
  absl::Duration lease;
  absl::Duration look_interval;
  absl::Duration fold_interval;
  size_t moves_max;
  absl::Duration load_interval;
  int executors;
};

class ClusterProcess {
 public:
  // `group` is the number of its fibers, and of no other process. `before_end` is called before the node is destroyed.
  ClusterProcess(const ProcessServices& services, std::string node, int group, std::function<void()> before_end);
  ~ClusterProcess();

  void Start();
  // The process is dead. Its fibers still have to run.
  void Kill();
  // Gives its shards away, and ends.
  void Drain() { draining_ = true; }
  void LookSoon();

  const std::string& node() const { return node_name_; }
  const std::string& owner() const { return options_.owner; }
  int group() const { return link_.group; }
  Link& link() { return link_; }
  bool dead() const { return link_.dead; }
  bool ended() const { return ended_; }
  bool paused() const { return !link_.dead && services_.fibers->now() < link_.paused_until; }
  bool draining() const { return draining_; }
  // It answers requests.
  bool serving() const { return serving_ && !link_.dead; }
  // Why it is about to end; OK if it is not.
  absl::Status failure() const;
  // Each shard has had an owner, as it has seen.
  bool ready() const { return ready_; }
  Node& hosts() { return *hosts_; }
  uint64_t recoveries() const { return recoveries_; }
  uint64_t given() const { return given_; }

  // Returns the owner of the process to which a request for the shard goes on; empty if it is answered here.
  std::string ForwardTo(storage::ShardId shard) const;

  // Runs the executors, and lets work in the background begin and end.
  void RunLanes();
  // The time of the next timer of an executor.
  absl::Time NextTimer() const { return hosts_ == nullptr ? absl::InfiniteFuture() : hosts_->NextTimer(); }

 private:
  class Rows;

  // One of the backgrounds of a lane, and how many fibers work for it.
  struct Work {
    ManualBackground* background;
    size_t fibers_max;
    size_t fibers = 0;     // that have begun or will
    size_t not_begun = 0;  // of them
  };

  // The life of the process, in a fiber.
  void Live();
  absl::Status Open();
  void MakeSteps();
  void TakeSteps();
  void EndInOrder();
  // Waits until the executors have nothing to do, for some seconds at most.
  void WaitUntilIdle();
  void Wait(absl::Duration time) { driver_->Sleep(absl::ToChronoNanoseconds(time)); }
  bool WaitFor(service::ShardCountdown* countdown);

  const ProcessServices services_;
  const std::string node_name_;
  const std::function<void()> before_end_;
  Link link_;
  std::unique_ptr<storage::postgres::Driver> driver_;
  VirtualClock clock_;
  storage::PostgresOptions options_;

  Rows* rows_ = nullptr;  // of the store
  std::unique_ptr<storage::LoggedStore> store_;
  std::unique_ptr<Node> hosts_;
  std::deque<Work> work_;
  std::unique_ptr<service::ClusterSteps> steps_;
  service::ClusterMap map_;
  std::set<std::string> silent_;  // owners, with the map
  Fiber* agent_ = nullptr;

  bool draining_ = false;
  bool look_now_ = false;
  bool serving_ = false;
  bool ready_ = false;
  bool ended_ = false;
  absl::Status failure_;
  uint64_t recoveries_ = 0;
  uint64_t given_ = 0;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_CLUSTER_PROCESS_H_
