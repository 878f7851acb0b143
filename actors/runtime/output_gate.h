// Holds an object's outcomes, replies and errors alike, until every write that they could reveal is durable: the
// turn's own, and those of earlier turns that it may have read. A handler can therefore write without waiting, and the
// next turn begins at once and sees the write, yet nobody outside learns of the write before it is on disk.
//
// If the commit fails, the waiting deliveries get OUTCOME_UNKNOWN instead; if the store refuses it, OBJECT_RESET. The
// process stops after either.
//
// An outcome that waits for no commit could be of an object that another process owns by now, and has changed. It
// leaves only while the store holds its lease (Store::HoldsLease), and is LeaseEnded() otherwise. "Waits for no commit"
// means a batch that the store has begun to commit before the turn ended: its commit may be older than the request. A
// batch that is still being filled is committed after the turn, behind the fence of the store, so its acknowledgement
// says that this process was the owner even then. The outcome of a turn that has written is always of that kind, and so
// is the delivery of an alarm to a watcher, which its turn stores (Object::AfterCommit).
//
// Replies that leave by another way than a turn ask for the lease themselves: descriptions and lists of objects. A file
// that is exported in many messages is of one snapshot, which is taken in a turn.

#ifndef HOLDFAST_ACTORS_RUNTIME_OUTPUT_GATE_H_
#define HOLDFAST_ACTORS_RUNTIME_OUTPUT_GATE_H_

#include <utility>

#include "absl/status/status.h"
#include "actors/runtime/delivery.h"
#include "actors/wire/errors.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/store/store.h"

namespace holdfast::actors {

class OutputGate {
 public:
  OutputGate(storage::CommitPipeline* pipeline, storage::Store* store) : pipeline_(pipeline), store_(store) {}

  // Ends `delivery` with the outcome as soon as `batch`, the object's last, is durable; at once if it is already.
  void Pass(Delivery* delivery, absl::Status outcome, storage::BatchNumber batch) {
    if (batch <= pipeline_->durable()) {
      delivery->Done(store_->HoldsLease() ? outcome : LeaseEnded());
      return;
    }
    delivery->progress.outcome = std::move(outcome);
    delivery->progress.lease = batch < pipeline_->filling() ? store_ : nullptr;
    pipeline_->WhenDurable(batch, delivery);
  }

 private:
  storage::CommitPipeline* const pipeline_;
  storage::Store* const store_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_OUTPUT_GATE_H_
