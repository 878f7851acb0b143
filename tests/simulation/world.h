// One run of the whole system in one thread, which follows from its seed: clients with requests under way at the same
// time, the executors of a server, the log and the fold over a disk, and the clocks. Whatever may happen in between is
// drawn: deadlines that pass, requests that are sent again under their id, kills, syncs that fail or are slow, steps of
// the wall clock, objects that leave memory, moves, restarts with other numbers of executors.
//
// At the end each object's history must have an order that explains every reply, and a request that was sent twice must
// have got one reply.
//
//   World world(seed, Broken::kNothing);
//   for (const std::string& finding : world.Run()) ...

#ifndef HOLDFAST_TESTS_SIMULATION_WORLD_H_
#define HOLDFAST_TESTS_SIMULATION_WORLD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/runtime/lane.h"
#include "storage/fold/logged_store.h"
#include "tests/simulation/calls.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/linearizability.h"
#include "tests/simulation/node.h"
#include "tests/simulation/seed.h"

namespace holdfast::simulation {

// A variant of the server that is broken on purpose, from outside, so that no server has a seam for it.
enum class Broken {
  kNothing,
  kAcknowledgesBeforeSync,  // the disk lies about syncs
  kReadPassesNoGate,        // a read is answered when its handler ends
  kRecordLost,              // a start removes the records of requests
  kTurnsInterleave,         // a context hides the writes of a turn that waits from its activation
};

// Counts of the events of a run, for people, and to see that each kind of event does happen.
struct Events {
  int64_t requests = 0;
  int64_t repeated = 0;  // attempts after the first of a request
  int64_t unknown = 0;   // requests whose outcome nobody learned
  int64_t refused = 0;   // attempts that ended with an error that says that nothing happened
  int64_t kills = 0;
  int64_t killed_in_write = 0;  // of them in the middle of a write to the disk
  int64_t killed_in_start = 0;
  int64_t restarts = 0;  // in order
  int64_t failed_syncs = 0;
  int64_t folds = 0;
  int64_t clock_steps = 0;
  int64_t passivations = 0;
  int64_t states = 0;  // of the searches

  void Add(const Events& other);
  std::string DebugString() const;
};

class World {
 public:
  World(uint64_t seed, Broken broken);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Returns the findings; the run ends at the first.
  std::vector<std::string> Run();

  const Events& events() const { return events_; }
  // A hash of everything that happened, which two runs of a seed have in common.
  uint64_t trace() const { return trace_; }

 private:
  struct Tested {
    std::string name;
    Kind kind;
    storage::ObjectKey key;
    bool sql = false;
  };
  // A request, which may be sent several times under its id.
  struct Request {
    size_t object;
    std::string text;
    std::string id;  // empty: it is sent once
    Moment begin = 0;
    // The reply that a client got.
    std::optional<std::string> reply;
    Moment end = kNever;
    int attempts = 0;
    int under_way = 0;        // attempts that have not ended
    int unknown = 0;          // attempts of which nobody learned the outcome
    bool waited_for = false;  // by a client
    bool closed = false;      // its reply leaves no record, so it is not sent again
    bool other = false;       // it has the id of another request
    Moment last_ended = 0;    // when the last attempt ended
    bool until_kill = false;  // a failed sync: a kill decides what has happened
    // A reply that came when nobody waited any more; it must be that of the other attempts.
    std::optional<std::string> unseen;
  };

  // --- world.cc: the run
  // Draws what this run is like.
  void Draw();
  void Step();
  void StepServer();
  bool StepLane(size_t number);
  void Advance(absl::Duration time);
  void StepClock();
  void HoldCommits();
  void Passivate();
  // Starts a process. It may die while it starts; the last one does not.
  void Start();
  bool TryStart(bool may_die);
  void Kill();
  void KillInFold();
  void Fold();
  // The server goes on while the disk is busy with a fold.
  void DuringFold();
  void Restart();
  // The process is dead: ends its calls, whose outcome nobody learns.
  void EndProcess();
  // Returns whether the disk of the process has failed.
  bool failed() const { return fold_failed_ || node_->disk_failure().has_value(); }
  // Runs the server until all calls are answered.
  void Settle();
  void End();
  void Find(absl::string_view what);
  void Trace(absl::string_view what);

  // --- world_clients.cc: requests and replies
  void SendNew();
  void SendAgain();
  // Sends another request under the id of one that has happened.
  void SendOther();
  void SendReads();
  std::string AnyRequest(const Tested& object);
  size_t AddRequest(size_t object, std::string text, bool with_id);
  void Send(const std::vector<size_t>& requests);
  std::unique_ptr<Call> MakeAttempt(size_t number);
  uint64_t waiting() const;
  void OnEnd(Call* call, const absl::Status& status);
  void OnReply(Call* call, const std::string& reply);
  // The attempt had no effect, and leaves no record: an error of the object, or a denial.
  void OnRefusal(Call* call, const std::string& reply);
  void OnError(Call* call, const absl::Status& status);
  // Clients whose deadline has passed wait no longer.
  void GiveUp();
  void JudgeAll();
  History HistoryOf(size_t object) const;

  const uint64_t seed_;
  const Broken broken_;
  Dice dice_;
  VirtualClock clock_;
  Disk disk_;
  std::vector<Tested> objects_;
  std::vector<Request> requests_;
  std::map<Call*, std::unique_ptr<Call>> calls_;
  std::vector<std::unique_ptr<Call>> ended_;   // destroyed after the step in which they told their outcome
  std::map<std::string, std::string> newest_;  // the last value that was put under each key
  int64_t values_ = 0;

  // The process.
  std::unique_ptr<storage::LoggedStore> store_;
  std::unique_ptr<Node> node_;
  std::vector<int> held_;  // the steps for which the commits of each lane are held up
  bool fold_failed_ = false;
  bool folding_ = false;

  // The traits of this run.
  actors::HostOptions options_;
  int families_max_ = 0;
  size_t fold_bytes_ = 64 << 20;
  bool steps_in_folds_ = false;
  uint64_t clients_max_ = 4;
  absl::Duration stepped_;  // the wall clock, by now

  Moment now_ = 0;
  uint64_t trace_ = 0;
  Events events_;
  std::vector<std::string> findings_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_WORLD_H_
