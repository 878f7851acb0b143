// One run of a cluster of three nodes in one thread, which follows from its seed: the nodes with all their threads
// (cluster_process.h), their database (cluster_database.h), the way to it (cluster_network.h), the way between the
// nodes, and clients who call any of them. Whatever may happen is drawn: nodes that die, are paused for longer than
// their lease, drain and start again; a database that stands still, restarts or is replaced; connections that are cut.
//
// At the end each object's history must have an order that explains every reply, a request that was sent twice must
// have got one reply, and every object must be served again.
//
//   ClusterWorld world(seed, ClusterBroken::kNothing);
//   for (const std::string& finding : world.Run()) ...

#ifndef HOLDFAST_TESTS_SIMULATION_CLUSTER_WORLD_H_
#define HOLDFAST_TESTS_SIMULATION_CLUSTER_WORLD_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/simulation/calls.h"
#include "tests/simulation/cluster_broken.h"
#include "tests/simulation/cluster_network.h"
#include "tests/simulation/cluster_process.h"
#include "tests/simulation/fibers.h"
#include "tests/simulation/linearizability.h"
#include "tests/simulation/seed.h"

namespace holdfast::simulation {

// Counts of the events of a run, for people, and to see that each kind of event does happen.
struct ClusterEvents {
  int64_t requests = 0;
  int64_t repeated = 0;   // attempts after the first of a request
  int64_t unknown = 0;    // requests whose outcome nobody learned
  int64_t refused = 0;    // attempts that ended with an error that says that nothing happened
  int64_t forwarded = 0;  // from a node to another one
  int64_t rerouted = 0;   // attempts that did not find their shard
  int64_t kills = 0;
  int64_t failures = 0;  // processes that ended by themselves
  int64_t pauses = 0;
  int64_t drains = 0;
  int64_t cuts = 0;
  int64_t hangs = 0;
  int64_t restarts = 0;  // of the database
  int64_t fail_overs = 0;
  int64_t recoveries = 0;
  int64_t given = 0;  // shards
  int64_t trips = 0;
  int64_t faults = 0;  // of trips
  int64_t states = 0;  // of the searches

  void Add(const ClusterEvents& other);
  std::string DebugString() const;
};

class ClusterWorld {
 public:
  ClusterWorld(uint64_t seed, ClusterBroken broken);
  ~ClusterWorld();
  ClusterWorld(const ClusterWorld&) = delete;
  ClusterWorld& operator=(const ClusterWorld&) = delete;

  // Returns the findings; the run ends at the first.
  std::vector<std::string> Run();

  const ClusterEvents& events() const { return events_; }
  // A hash of everything that happened, which two runs of a seed have in common.
  uint64_t trace() const { return trace_; }

 private:
  static constexpr size_t kNodes = 3;

  struct Tested {
    std::string name;
    Kind kind;
    storage::ObjectKey key;
  };
  // A request, which may be sent several times under its id.
  struct Request {
    size_t object;
    std::string text;
    std::string id;  // empty: it is sent once
    Moment begin = 0;
    std::optional<std::string> reply;  // that a client got
    Moment end = kNever;
    int attempts = 0;
    int under_way = 0;  // attempts that have not ended
    int unknown = 0;    // attempts of which nobody learned the outcome
    // A reply that came when nobody waited any more; it must be that of the other attempts.
    std::optional<std::string> unseen;
  };
  // One attempt: a call of a client to a node, which may send it on.
  struct Attempt {
    size_t request;
    std::string entry;  // the owner of the process that was called
    absl::Time give_up;
    absl::Time reroute_until;
    bool ended = false;
  };
  // An attempt at the process that runs it.
  struct UnderWay {
    std::shared_ptr<Attempt> attempt;
    std::string owner;
    std::unique_ptr<Call> call;
  };

  // --- cluster_world.cc: the run
  void Draw();
  // Runs everything that can run now, and lets time pass until something else can, `until` at the latest.
  void Step(absl::Time until);
  void RunUntil(absl::Time time);
  // Runs all that can run now. Returns false if that does not end.
  bool RunNow();
  void StartNode(size_t slot);
  void Kill(ClusterProcess* process);
  // Processes that have ended make room for new ones; those that have failed end.
  void Bury();
  void Incident();
  void Schedule();
  // Faults end, and all nodes serve again.
  void Heal();
  void End();
  ClusterProcess* Find(const std::string& owner);
  ClusterProcess* AnyProcess();
  absl::Duration Latency();
  void Found(absl::string_view what);
  void Trace(absl::string_view what);

  // --- cluster_clients.cc: requests and replies
  std::string AnyRequest(const Tested& object);
  size_t AddRequest(size_t object, std::string text, bool with_id);
  void SendNew();
  void SendAgain();
  void SendReads();
  std::shared_ptr<Attempt> Send(size_t request, absl::Duration patience);
  // The steps of an attempt on its way.
  void ArriveAtEntry(const std::shared_ptr<Attempt>& attempt);
  void Route(const std::shared_ptr<Attempt>& attempt, ClusterProcess* entry);
  void ArriveAtPeer(const std::shared_ptr<Attempt>& attempt, const std::string& owner);
  void Deliver(const std::shared_ptr<Attempt>& attempt, ClusterProcess* process);
  void OnEnd(Call* call, const absl::Status& status);
  void Reroute(const std::shared_ptr<Attempt>& attempt);
  // The ends of an attempt, at its client.
  void OnReply(const std::shared_ptr<Attempt>& attempt, const std::string& reply);
  void OnRefused(const std::shared_ptr<Attempt>& attempt);
  void OnUnknown(const std::shared_ptr<Attempt>& attempt);
  void OnStatus(const std::shared_ptr<Attempt>& attempt, const absl::Status& status);
  // Nobody hears any more of the attempts that this process was called for, or runs.
  void LoseAttemptsOf(const std::string& owner);
  void JudgeAll();
  History HistoryOf(size_t object) const;

  const uint64_t seed_;
  const ClusterBroken broken_;
  Dice dice_;
  Fibers fibers_;
  Agenda agenda_;
  Network network_;
  ProcessServices services_;
  std::vector<Tested> objects_;
  std::vector<Request> requests_;
  std::vector<std::shared_ptr<Attempt>> attempts_;  // that have not ended
  std::map<Call*, UnderWay> calls_;
  std::vector<std::unique_ptr<Call>> ended_;   // destroyed after the step in which they told their outcome
  std::map<std::string, std::string> newest_;  // the last value that was put under each key
  int64_t values_ = 0;

  std::array<std::unique_ptr<ClusterProcess>, kNodes> nodes_;
  std::vector<std::unique_ptr<ClusterProcess>> ended_processes_;
  int groups_ = 0;
  uint64_t clients_max_ = 4;
  bool mostly_reads_ = false;
  uint64_t network_faults_ = 0;
  bool healing_ = false;

  Moment moment_ = 0;
  uint64_t trace_ = 0;
  ClusterEvents events_;
  std::vector<std::string> findings_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_CLUSTER_WORLD_H_
