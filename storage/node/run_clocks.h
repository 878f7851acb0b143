// The latest reading of the objects' clocks in each run of an executor.
//
// An object's clock must not go backwards over a crash. A turn does not store its reading. Instead, an object that is
// in memory is marked once with the number of the run, and each batch stores, for all objects of the run together, the
// latest reading that its turns may have shown. The clock of an object that is found marked continues from that
// reading.
//
// Runs are numbered in the order in which they began. A run's record is written with its first reading; the newest
// 1,000 are kept, and the oldest of them speaks for all before it.
//
// If records are damaged, the readable ones still count, and a run without a record has the latest of all readings: an
// object's clock is then ahead of the time that it has shown rather than behind.
//
// Any thread may call any method.

#ifndef HOLDFAST_STORAGE_NODE_RUN_CLOCKS_H_
#define HOLDFAST_STORAGE_NODE_RUN_CLOCKS_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "storage/store/store.h"

namespace holdfast::storage {

using RunNumber = uint32_t;

// The record of a run, in the node's family. The value is an int64 encoded as in a key, in microseconds since the
// epoch.
std::string RunClockKey(RunNumber run);
std::string RunClockValue(int64_t clock_us);

class RunClocks {
 public:
  // `store` must outlive this.
  explicit RunClocks(Store* store) : store_(store) {}

  // Reads the records of earlier runs, and removes those beyond the newest kRunsMax. Blocking; called once, before
  // anything else. Logs `run_clocks_damaged`. Errors: those of the store; DATA_LOSS only if a damaged place could be
  // read at the second try.
  absl::Status Recover();

  // Returns the number of a new run, at least 1. No run has had it whose record, or whose mark on an object, may still
  // exist.
  RunNumber Begin() { return next_.fetch_add(1, std::memory_order_relaxed); }
  // Returns the latest reading of an earlier run; 0 if the run stored none.
  int64_t Of(RunNumber run) const;

 private:
  static constexpr size_t kRunsMax = 1000;
  // At most this many numbers are looked up one by one in a part that cannot be walked over: more than there are
  // records.
  static constexpr RunNumber kHiddenMax = 2 * kRunsMax;

  // Reads the records of these runs, some of which cannot be read.
  absl::Status RecoverOneByOne(RunNumber first, RunNumber end);

  Store* const store_;
  absl::btree_map<RunNumber, int64_t> clocks_;  // constant after Recover
  bool damaged_ = false;                        // some records could not be read; constant after Recover
  std::atomic<RunNumber> next_ = 1;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_RUN_CLOCKS_H_
