// Requests that wait before the mailboxes while more come than the executor can do, so that one namespace gets no more
// than its share.
//
// While the executor keeps up, a request goes to its object at once. When a round has delivered for round_max, its
// other requests wait here, each namespace in a queue of its own (fair queueing: Nagle, RFC 970; with the drop from the
// longest queue of Suter et al., INFOCOM 1998). Each later round delivers from the queues in turn, a request from each,
// for round_max. So a request of a namespace with few others waits for about a round, however many another namespace
// has sent. A share is counted in requests; statements of SQL that take long are shared out by time elsewhere
// (storage/sql/workers.h).
//
// Order: requests of one namespace, so those of one object, begin in the order in which they came.
// Bounds: `waiting_max` requests wait; with one more the newest of the longest queue is refused. A namespace whose
// oldest request has waited for `waiting_time_max` is refused new ones until that one's turn comes. A request whose
// deadline has passed ends here, before it costs a load of its object.
// Threading: the executor's. Errors: those of Refusal; nothing of such a request happened.

#ifndef HOLDFAST_ACTORS_RUNTIME_FAIR_QUEUE_H_
#define HOLDFAST_ACTORS_RUNTIME_FAIR_QUEUE_H_

#include <cstddef>
#include <deque>
#include <list>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "actors/executor/executor.h"
#include "actors/runtime/delivery.h"

namespace holdfast::actors {

class FairQueue {
 public:
  struct Options {
    size_t waiting_max = 4096;
    absl::Duration waiting_time_max = absl::Seconds(1);
    // A round delivers for this long, and at least this many: where the system gives the process little time, most of
    // round_max may pass while the thread does not run.
    absl::Duration round_max = absl::Microseconds(200);
    size_t round_min = 64;
  };
  enum class Refusal { kTooMany, kTooLong, kDeadlinePassed };
  // The requests of one object are in the order in which they are to begin. The span is valid during the call.
  using Deliver = absl::AnyInvocable<void(absl::Span<const Addressed> requests)>;
  using Refuse = absl::AnyInvocable<void(const Addressed& request, Refusal why)>;

  // Both functions are called on the executor's thread, perhaps within Add. The executor outlives the queue.
  FairQueue(Executor* executor, const Options& options, Deliver deliver, Refuse refuse)
      : executor_(executor), options_(options), deliver_(std::move(deliver)), refuse_(std::move(refuse)) {}
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  // Delivers the requests, of one namespace or of many, now or in later rounds, or refuses them.
  void Add(absl::Span<const Addressed> requests);
  // Call it at the end of each round.
  void RoundDone() {
    round_began_ = absl::InfinitePast();
    delivered_ = 0;
  }

  bool idle() const { return waiting_ == 0; }
  size_t waiting() const { return waiting_; }

 private:
  struct Waiting {
    Addressed request;
    absl::Time since;
  };
  // The requests of one namespace. It is in turns_ as long as it has any.
  struct Flow {
    std::string ns;
    std::deque<Waiting> requests;
  };
  using Turns = std::list<Flow>;

  // Returns how many requests may be delivered at once now.
  size_t RoomInRound();
  void Wait(const Addressed& request);
  void RefuseLongest();
  // Delivers from the queues in turn until the time of the round is over.
  void Drain();
  // Takes up to round_min of the requests that wait, in turn, and delivers them.
  void DeliverSome(absl::Time now);
  void DrainSoon();
  void Resize(Turns::iterator flow, size_t before);

  Executor* const executor_;
  const Options options_;
  Deliver deliver_;
  Refuse refuse_;
  // The steady time from which this round is timed, and the requests that it has delivered at once.
  absl::Time round_began_ = absl::InfinitePast();
  size_t delivered_ = 0;
  Turns turns_;  // the front has the next turn
  absl::flat_hash_map<std::string, Turns::iterator> by_namespace_;
  // The flows by length, longest last; the pointer tells flows of one length apart.
  std::set<std::pair<size_t, const Flow*>> by_length_;
  size_t waiting_ = 0;
  bool draining_soon_ = false;
  std::vector<Addressed> next_;  // of DeliverSome
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_FAIR_QUEUE_H_
