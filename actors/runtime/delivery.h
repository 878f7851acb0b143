// One thing that an object is to do in a turn of its own: a request, an alarm, a load, a move. It waits in the mailbox,
// runs, and is told the outcome when that may leave the object.
//
// Whoever makes a delivery owns it and keeps it until Done, which is called exactly once, on the object's executor; it
// may then delete it or use it again.

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

namespace holdfast::actors {

class Object;

class Delivery : public storage::CommitPipeline::Waiter {
 public:
  virtual ~Delivery() = default;

  // Begins the turn's coroutine. `object` lives as long as the task does.
  virtual Task<absl::Status> Run(Object& object) = 0;
  // Whether the outcome can be given at all (its size), before it is committed.
  virtual absl::Status CheckReply() { return absl::OkStatus(); }
  // Not null for a request with a request_id.
  virtual RecordedRequest* recorded() { return nullptr; }
  // Everything that the turn wrote or read is durable, or nothing of it happened.
  virtual void Done(const absl::Status& status) = 0;

  // Not begun after this.
  absl::Time deadline = absl::InfiniteFuture();
  // What it counts in the mailbox.
  size_t bytes = 0;

  // How far the turn is that the delivery has become. The activation and the output gate keep it here.
  struct Progress {
    std::optional<Task<absl::Status>> task;
    std::optional<Executor::TimerId> time_limit;
    // No record is kept of the reply: the handler asked for that, or the reply is itself a replay.
    bool unrecorded = false;
    // When the turn of a request began, by the steady clock, if an observer is told when it ends.
    std::optional<absl::Time> began;
    // The outcome that waits behind the output gate.
    absl::Status outcome;
  };
  Progress progress;

  // CommitPipeline::Waiter: tells the outcome that has waited.
  void OnDurable(const absl::Status& status) override;

 private:
  friend class DeliveryQueue;
  Delivery* next_ = nullptr;  // in a queue
};

// Deliveries that wait, first in, first out. It links them itself: an empty queue, of which each object in memory has
// two, costs no memory, and a full one no allocation. A delivery is in one queue at most.
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
  // Null when empty.
  Delivery* Pop() {
    Delivery* const delivery = first_;
    if (delivery == nullptr) return nullptr;
    first_ = delivery->next_;
    --size_;
    return delivery;
  }

 private:
  Delivery* first_ = nullptr;
  Delivery* last_ = nullptr;  // unless it is empty
  size_t size_ = 0;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_DELIVERY_H_
