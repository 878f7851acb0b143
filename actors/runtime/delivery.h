// A delivery is one piece of work that an object does in a turn: a request, an alarm, a load, a move. It waits in the
// mailbox, runs, and gets its outcome in Done when the output gate lets the outcome pass.
//
// Ownership: the maker of a delivery owns it and keeps it until Done, which is called exactly once, on the object's
// executor. Done may delete the delivery or deliver it again.

#ifndef HOLDFAST_ACTORS_RUNTIME_DELIVERY_H_
#define HOLDFAST_ACTORS_RUNTIME_DELIVERY_H_

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/executor/executor.h"
#include "actors/executor/task.h"
#include "actors/runtime/recorded_request.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::actors {

class Object;
struct ObjectClass;

// The times of a delivery's turn by the steady clock, for a delivery whose call is traced. A time stays InfinitePast if
// its moment does not come.
struct TurnTimes {
  absl::Time began = absl::InfinitePast();
  absl::Time ended = absl::InfinitePast();  // the outcome may still wait behind the output gate
};

class Delivery : public storage::CommitPipeline::Waiter {
 public:
  virtual ~Delivery() = default;

  // Begins the turn's coroutine. `object` lives as long as the task does.
  virtual Task<absl::Status> Run(Object& object) = 0;
  // Checks, before the turn commits, that its reply may be sent; an error, such as a reply that is too large, drops the
  // turn.
  virtual absl::Status CheckReply() { return absl::OkStatus(); }
  // Returns the recorded form of a request with a request_id; null for all other deliveries.
  virtual RecordedRequest* recorded() { return nullptr; }
  // Tells the outcome. OK: everything that the turn wrote or read is durable. An error: none of its writes happened,
  // unless the error is OUTCOME_UNKNOWN or the turn had committed a part with NextTurn().
  virtual void Done(const absl::Status& status) = 0;

  // The turn does not begin after this time, by the steady clock.
  absl::Time deadline = absl::InfiniteFuture();
  // The delivery's share of the mailbox's bound on bytes.
  size_t bytes = 0;
  // The activation tells the times of the turn here, unless it is null. They live until Done.
  TurnTimes* times = nullptr;

  // The progress of the delivery's turn, kept by the activation and the output gate.
  struct Progress {
    std::optional<Task<absl::Status>> task;
    std::optional<Executor::TimerId> time_limit;
    // No record is kept of the reply: the handler asked for that, or the reply is itself a replay.
    bool unrecorded = false;
    // The steady time at which the turn of a request began; set only if there is an observer.
    std::optional<absl::Time> began;
    // The outcome that waits behind the output gate.
    absl::Status outcome;
    // The store that must hold its lease when the outcome has waited; null if the wait itself says who the owner is.
    storage::Store* lease = nullptr;
  };
  Progress progress;

  // CommitPipeline::Waiter: tells the outcome that has waited.
  void OnDurable(const absl::Status& status) override;

 private:
  friend class DeliveryQueue;
  Delivery* next_ = nullptr;  // in a queue
};

// A delivery with its object. The delivery keeps `key` alive.
struct Addressed {
  const storage::ObjectKey* key;
  const ObjectClass* object_class;
  Delivery* delivery;
};

// A FIFO queue of deliveries. It is intrusive: each object in memory has two queues, so an empty one allocates nothing,
// and neither does a push. A delivery is in one queue at most.
class DeliveryQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  size_t size() const { return size_; }
  void Push(Delivery* delivery) {
    delivery->next_ = nullptr;
    (empty() ? first_ : last_->next_) = delivery;
    last_ = delivery;
    ++size_;
  }
  // Returns null when the queue is empty.
  Delivery* Pop() {
    Delivery* const delivery = first_;
    if (delivery == nullptr) return nullptr;
    first_ = delivery->next_;
    --size_;
    return delivery;
  }

 private:
  Delivery* first_ = nullptr;
  Delivery* last_ = nullptr;  // valid unless the queue is empty
  size_t size_ = 0;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_DELIVERY_H_
