// How far the clocks of objects got in each run of an executor.
//
// An object's clock must not go backwards over a crash. Instead of storing what it read with each turn, an object that
// is in memory is marked once with the number of the run, and each batch stores, for all objects of the run together,
// the latest reading that its turns may have shown. An object that is found marked continues from there.
//
// Runs are numbered in the order in which they began. A run's record is written with its first reading; the newest
// 1,000 are kept, and the oldest of them speaks for all before it.
//
// Where records are damaged, what is readable of them counts, and for a run without a record the latest of all
// readings: an object's clock is then ahead of what it has shown rather than behind.
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

// In the node's family; the value is an int64 as in a key, microseconds since the epoch.
std::string RunClockKey(RunNumber run);
std::string RunClockValue(int64_t clock_us);

class RunClocks {
 public:
  // `store` must outlive this.
  explicit RunClocks(Store* store) : store_(store) {}

  // Blocking, once, before anything else: reads what earlier runs left. Logs `run_clocks_damaged`. Errors: those of
  // the store but DATA_LOSS.
  absl::Status Recover();

  // A number that no run has had whose record, or whose mark on an object, may be there. At least 1.
  RunNumber Begin() { return next_.fetch_add(1, std::memory_order_relaxed); }
  // The latest reading of an earlier run; 0 if it stored none.
  int64_t Of(RunNumber run) const;

 private:
  static constexpr size_t kRunsMax = 1000;
  // Numbers that are looked for one by one where they can't be walked over. More than any runs have records.
  static constexpr RunNumber kHiddenMax = 2 * kRunsMax;

  // Reads records with these numbers, of which some cannot be read.
  absl::Status RecoverOneByOne(RunNumber first, RunNumber end);

  Store* const store_;
  absl::btree_map<RunNumber, int64_t> clocks_;  // constant after Recover
  bool damaged_ = false;                        // some of them could not be read; constant after Recover
  std::atomic<RunNumber> next_ = 1;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_RUN_CLOCKS_H_
