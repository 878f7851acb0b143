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
// In a cluster several processes write to the store. The numbers of their runs are those of their writers, which are
// never used again, so they come from outside (ClusterRuns). An object that was marked by a process that is gone may
// come to any other one, at any time: that one first reads the records anew (Refresh). Records are removed only of runs
// that have ended. The record of a run that goes on is still being written, by its process alone: another one that
// removed it could remove a reading that it has not seen. Nobody writes a sum of the removed ones either, since two
// processes that remove at once would overwrite each other's. Instead a run without a record has the latest of all
// readings, and of the runs that have ended the one with the latest reading is never removed. Two processes at once
// agree on which that is, or one of them keeps a later one, since the record of a run that has ended does not change.
//
// If records are damaged, the readable ones still count, and a run without a record has the latest of all readings,
// too: an object's clock is then ahead of the time that it has shown rather than behind.
//
// Any thread may call any method.

#ifndef HOLDFAST_STORAGE_NODE_RUN_CLOCKS_H_
#define HOLDFAST_STORAGE_NODE_RUN_CLOCKS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/base/mutex.h"
#include "storage/store/store.h"

namespace holdfast::storage {

using RunNumber = uint32_t;

// The record of a run, in the node's family. The value is an int64 encoded as in a key, in microseconds since the
// epoch.
std::string RunClockKey(RunNumber run);
std::string RunClockValue(int64_t clock_us);

// The runs of a cluster, of which this process has some.
struct ClusterRuns {
  // The numbers of this process's runs: `first`, and those after it, one for each executor. Not 0.
  RunNumber first;
  RunNumber count;
  // Returns all runs that may still be written to the store below: those of processes that may be alive, and those
  // whose logs nobody has replayed yet. A number that is absent stays absent for good once it was there. Blocking.
  std::function<absl::StatusOr<absl::flat_hash_set<RunNumber>>()> unfinished;
};

class RunClocks {
 public:
  // `store` must outlive this. Without `cluster` no other process writes to the store.
  explicit RunClocks(Store* store, std::optional<ClusterRuns> cluster = std::nullopt)
      : store_(store), cluster_(std::move(cluster)), next_(cluster_ ? cluster_->first : 1) {}

  // Reads the records of earlier runs, and removes those beyond the newest kRunsMax. Blocking; called once, before
  // anything else. Logs `run_clocks_damaged`. Errors: those of the store; DATA_LOSS only if a damaged place could be
  // read at the second try.
  absl::Status Recover();
  // Reads the records again. Call it before this process gains shards, since objects there may be marked by runs that
  // have begun, or gone on, since they were read. Blocking. Errors: those of Recover; the readings stay as they were.
  absl::Status Refresh();

  // Returns the number of a new run, at least 1. No run has had it whose record, or whose mark on an object, may still
  // exist.
  RunNumber Begin();
  // Returns the latest reading of an earlier run; 0 if the run stored none.
  int64_t Of(RunNumber run) const;

 private:
  static constexpr size_t kRunsMax = 1000;
  // At most this many numbers are looked up one by one in a part that cannot be walked over: more than there are
  // records.
  static constexpr RunNumber kHiddenMax = 2 * kRunsMax;

  // The records as they were read at once.
  struct Readings {
    absl::btree_map<RunNumber, int64_t> clocks;
    bool damaged = false;            // some records could not be read
    bool hidden_after_last = false;  // there may be higher numbers than those that were read
  };

  absl::StatusOr<Readings> Read() const;
  // Reads the records of these runs, some of which cannot be read.
  absl::Status ReadOneByOne(RunNumber first, RunNumber end, Readings* readings) const;
  // These two remove what is beyond kRunsMax from the store and from `*readings`.
  absl::Status TrimAlone(Readings* readings);
  absl::Status TrimEnded(Readings* readings);
  absl::Status Commit(WriteSet* writes);
  void Take(Readings readings);

  Store* const store_;
  const std::optional<ClusterRuns> cluster_;
  std::atomic<RunNumber> next_;

  mutable Mutex mutex_;
  // Made anew by each reading, so that a lookup holds the mutex for a moment only.
  std::shared_ptr<const Readings> readings_ ABSL_GUARDED_BY(mutex_) = std::make_shared<Readings>();
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_RUN_CLOCKS_H_
