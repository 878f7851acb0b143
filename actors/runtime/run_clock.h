// The clock record of one run of an executor, which stands for the clocks of all objects in its memory.
//
// The header of an object in memory may lag behind its clock. Each batch with a turn that moved such a clock has this
// record, which is no earlier than any of them. After a crash the clock of such an object begins from the record of the
// run in which it was in memory.
//
// Threading: the executor. Durability: the record is durable with the batch that is being filled.

#ifndef HOLDFAST_ACTORS_RUNTIME_RUN_CLOCK_H_
#define HOLDFAST_ACTORS_RUNTIME_RUN_CLOCK_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/node/run_clocks.h"
#include "storage/object/keyspace.h"
#include "storage/store/write_set.h"

namespace holdfast::actors {

class RunClock {
 public:
  // Begins a run. `node` is the keyspace over the node's family. The pointers outlive this.
  RunClock(storage::RunClocks* clocks, storage::CommitPipeline* pipeline, storage::Keyspace* node)
      : clocks_(clocks), pipeline_(pipeline), node_(node), run_(clocks->Begin()), key_(storage::RunClockKey(run_)) {}
  RunClock(const RunClock&) = delete;
  RunClock& operator=(const RunClock&) = delete;

  storage::RunNumber run() const { return run_; }
  // Returns a time, in microseconds: the clock of an object that was in memory in that run never reads earlier.
  int64_t Of(storage::RunNumber run) const { return run == run_ ? latest_us_ : clocks_->Of(run); }
  // Records that turns in the batch that is being filled may have shown this time while their headers lag behind it.
  void Note(absl::Time reading) {
    latest_us_ = std::max(latest_us_, absl::ToUnixMicros(reading));
    storage::WriteSet writes;
    writes.Put(key_, storage::RunClockValue(latest_us_));
    pipeline_->Join(node_, &writes);
  }

 private:
  storage::RunClocks* const clocks_;
  storage::CommitPipeline* const pipeline_;
  storage::Keyspace* const node_;
  const storage::RunNumber run_;
  const std::string key_;
  int64_t latest_us_ = 0;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_RUN_CLOCK_H_
