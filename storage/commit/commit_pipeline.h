// Group commit: while one batch is being synced, turns go on and fill the next.
//
// The writes of a turn join the pipeline when the turn ends, all at once, and belong to it from then on, keyed by
// keyspace; they outlive the activation that made them. Writes to one key join in the order of the turns, so a thousand
// increments of one counter in a batch are one Put. When a batch is durable, its waiters are told, in the order in
// which they came.
//
// The executor decides when to commit: it calls Submit when its queues are empty, and after a bounded number of events
// at the latest. A lonely write is therefore committed at once; while the disk is fast, on the executor itself, without
// a thread to wake. Under load a batch gathers while the one before it is synced, and goes to the disk before the
// replies of that one are sent.
//
// Invariants:
//   1. Batches are numbered from 1 and become durable in order; at most one is being committed.
//   2. durable() < number of the batch in flight < filling().
//   3. A keyspace's pending writes are in those two batches and nowhere else.
//
// Ownership: keyspaces that a batch names must live until it is durable. Threading: one executor.
//
// Errors: a commit that fails or is refused is final. Every waiter, now or later, gets its status, and `on_failure` is
// called with it once: the process must stop.
//   - After a failure nobody can tell what is on disk, and clients are to see OUTCOME_UNKNOWN.
//   - If IsNotOwner(status), the store refused the batch: nothing of it, nor of a later batch, has happened, and
//     clients may try again elsewhere. The process cannot go on either, since activations hold the refused writes in
//     memory; nothing here drops the pending layers of the keyspaces.

#ifndef HOLDFAST_STORAGE_COMMIT_COMMIT_PIPELINE_H_
#define HOLDFAST_STORAGE_COMMIT_COMMIT_PIPELINE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/base/background.h"
#include "storage/base/batch_number.h"
#include "storage/base/observer.h"
#include "storage/object/keyspace.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

class CommitPipeline {
 public:
  // A waiter is told once. The pipeline does not own it.
  class Waiter {
   public:
    virtual void OnDurable(const absl::Status& status) = 0;

   protected:
    ~Waiter() = default;
  };

  // `committer` has one thread, for the commits of this pipeline alone. Everything pointed to must outlive the
  // pipeline; a commit that is under way must end before it (Store::Commit). Submit itself commits a batch that has
  // exactly one waiter if recent commits took no longer than `inline_commit_max`; at zero it never does. `observer` may
  // be null.
  CommitPipeline(Store* store, Background* committer, absl::AnyInvocable<void(const absl::Status&)> on_failure,
                 absl::Duration inline_commit_max = absl::ZeroDuration(), Observer* observer = nullptr);
  CommitPipeline(const CommitPipeline&) = delete;
  CommitPipeline& operator=(const CommitPipeline&) = delete;

  // Adds writes to the batch that is being filled; leaves `*writes` empty. Writes that join before the next Submit
  // commit together, so a turn that writes to several keyspaces joins them one after the other.
  void Join(Keyspace* keyspace, WriteSet* writes);

  // The batch that the next Join goes into.
  BatchNumber filling() const { return filling_->number; }
  BatchNumber durable() const { return durable_; }

  // `waiter` is told when that batch is durable. Only for a batch that writes have joined and that is not durable yet.
  void WhenDurable(BatchNumber batch, Waiter* waiter);
  // Does the same with a function, which may own things that must live until then.
  void WhenDurable(BatchNumber batch, absl::AnyInvocable<void(const absl::Status&)> function);

  // Begins to commit the writes that have joined, unless a batch is being committed or there are none.
  void Submit();

  // Bytes joined and not durable.
  size_t pending_bytes() const { return in_flight_bytes_ + filling_->bytes; }
  bool idle() const { return in_flight_ == nullptr && filling_->parts.empty(); }
  bool failed() const { return !failure_.ok(); }
  // The status of the commit that failed or was refused; OK if none was.
  const absl::Status& failure() const { return failure_; }

 private:
  struct Part {
    Keyspace* keyspace;
    WriteSet writes;
  };
  struct Batch {
    explicit Batch(BatchNumber n) : number(n) {}

    BatchNumber number;
    std::deque<Part> parts;  // their addresses are in the keyspaces
    size_t bytes = 0;
    std::vector<KeyspaceWrites> writes;  // the parts as the store takes them, once the batch is in flight
    std::vector<absl::AnyInvocable<void(const absl::Status&)>> waiting;
  };

  // Makes the batch that is being filled the batch in flight.
  void Take();
  bool CommitsInline() const;
  void CommitInline();
  void CommitInBackground();
  // Ends the batch in flight; `time` is how long the store took.
  void OnCommitted(const absl::Status& status, absl::Duration time);
  static void Tell(Batch* batch, const absl::Status& status);

  Store* const store_;
  Background* const committer_;
  absl::AnyInvocable<void(const absl::Status&)> on_failure_;
  BatchNumber durable_ = 0;
  std::unique_ptr<Batch> filling_;
  std::unique_ptr<Batch> in_flight_;
  size_t in_flight_bytes_ = 0;
  const absl::Duration inline_commit_max_;
  absl::Duration recent_commit_time_ = absl::InfiniteDuration();
  Observer* const observer_;
  absl::Status failure_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_COMMIT_COMMIT_PIPELINE_H_
