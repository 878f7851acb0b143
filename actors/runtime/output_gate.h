// Holds an object's outcomes, replies and errors alike, until every write that they could reveal is durable: the
// turn's own, and those of earlier turns that it may have read. A handler can therefore write without waiting, and the
// next turn begins at once and sees the write, yet nobody outside learns of the write before it is on disk.
//
// If the commit fails, the waiting deliveries get OUTCOME_UNKNOWN instead; if the store refuses it, OBJECT_RESET. The
// process stops after either.

#ifndef HOLDFAST_ACTORS_RUNTIME_OUTPUT_GATE_H_
#define HOLDFAST_ACTORS_RUNTIME_OUTPUT_GATE_H_

#include <utility>

#include "absl/status/status.h"
#include "actors/runtime/delivery.h"
#include "storage/commit/commit_pipeline.h"

namespace holdfast::actors {

class OutputGate {
 public:
  explicit OutputGate(storage::CommitPipeline* pipeline) : pipeline_(pipeline) {}

  // Ends `delivery` with the outcome as soon as `batch`, the object's last, is durable; at once if it is already.
  void Pass(Delivery* delivery, absl::Status outcome, storage::BatchNumber batch) {
    if (batch <= pipeline_->durable()) {
      delivery->Done(outcome);
      return;
    }
    delivery->progress.outcome = std::move(outcome);
    pipeline_->WhenDurable(batch, delivery);
  }

 private:
  storage::CommitPipeline* const pipeline_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_OUTPUT_GATE_H_
