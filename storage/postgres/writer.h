// A writer: the fence of one executor, and the order and the outcomes of its commits.
//
// A writer has a row in hf_writer, and every commit changes that row in the transaction that writes its data:
// batch n-1 becomes n, if epoch and owner are still this writer's. So one row tells whether the writer is fenced, in
// which order its commits happened, and whether a commit has happened at all.
//
// Invariants:
//   1. A commit is acknowledged only after the server has told that its transaction has ended and is synced.
//   2. A commit that has a deadline is never cancelled. After the deadline, or when the connection is lost, its outcome
//      is found out on a new connection by a write to the row: a read could be of a server that is about to lose what
//      it shows.
//   3. That write raises the epoch. So a statement of the old connection that the server has received and not carried
//      out can't happen later: after the answer "it has not happened" it never will.
//   4. A batch in the row below the last one that was acknowledged means that the database has lost commits: DATA_LOSS.
//   5. The owner of a row is a number of one process, made when it starts. A row that has another owner fences.
//
// While the database can't be reached, a commit is tried again until outage_max.
//
// Errors of a commit: NotOwner() if another process has taken over the writer, and the commit has no effect; DATA_LOSS;
// otherwise nobody can tell, and the process must stop (storage/store/store.h). After any error every later commit
// fails.
//
// Threading: one thread at a time commits; any thread asks for the other things. Blocking: never on an executor.

#ifndef HOLDFAST_STORAGE_POSTGRES_WRITER_H_
#define HOLDFAST_STORAGE_POSTGRES_WRITER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/base/mutex.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/database_part.h"
#include "storage/postgres/schema.h"
#include "storage/store/store.h"

namespace holdfast::storage::postgres {

// The time since the machine has started, while it sleeps too (CLOCK_BOOTTIME): the clock of leases.
absl::Duration BootTime();

struct WriterOptions {
  SessionOptions session;
  // The process, in the rows of its writers.
  std::string owner;
  std::string node;
  std::string address;
  // The database of the writer.
  DatabasePart part = {};
  // A text that all members of the cluster have in common; empty: none.
  std::string cluster_mark;
  // Others leave a writer alone for so long after its row has changed.
  absl::Duration lease = absl::Seconds(5);
  // The most time that a commit may take until its outcome is asked for.
  absl::Duration commit_timeout = absl::Seconds(3);
  // The most time that a commit goes on to try while the database can't be reached.
  absl::Duration outage_max = absl::Seconds(60);
  std::function<absl::Duration()> boot_time = BootTime;
  // The clock by which alarms are due, and how far it may be from that of the database when the process starts.
  std::function<absl::Time()> wall_clock = absl::Now;
  absl::Duration clock_apart_max = absl::Seconds(10);
  // For tests: commits whoever owns the writer, as if there were no fence.
  bool fence_off = false;
  // For tests: called at each step of a commit.
  enum class Step { kSend, kSent, kResolve };
  std::function<void(Step)> on_step = nullptr;
};

// A writer as its owner has it.
struct WriterState {
  int64_t id;
  int64_t epoch;
  int64_t batch;
};

// How far a server must have the row of a writer, to have all that this process was told of. A writer that does not
// commit has beats, so a server that was replaced is found out by the next one at the latest.
struct WriterMark {
  int64_t id;
  int64_t epoch;
  int64_t batch;
  int64_t beat;
};

class Writer {
 public:
  // The row is this process's, as claims.h has made it.
  Writer(const WriterOptions& options, const WriterState& state, absl::Duration claimed_at);

  // Commits rows of hf_entry.
  absl::Status Commit(absl::Span<const KeyspaceWrites> writes);
  // Commits the statements that `add` adds to a trip. It may be called several times, on one connection after the
  // other, and must add the same each time.
  using AddStatements = absl::FunctionRef<void(Connection*)>;
  absl::Status CommitStatements(AddStatements add);

  int64_t id() const { return id_; }
  // The last batch that was acknowledged.
  int64_t batch() const { return batch_.load(std::memory_order_acquire); }
  // The epoch is the one with which this process began: every server that has not been replaced has at least that.
  WriterMark mark() const { return {id_, first_epoch_, batch(), beat_.load(std::memory_order_acquire)}; }
  // How long ago the last write to the row that was acknowledged was sent.
  absl::Duration lease_age() const;
  // The boot_time at which that write was sent.
  absl::Duration renewed() const { return absl::Nanoseconds(renewed_ns_.load(std::memory_order_acquire)); }
  // A write to the row, which was sent at this time, was acknowledged.
  void Renew(absl::Duration sent_at);
  // The same of a beat, with its number. One thread.
  void RenewByBeat(absl::Duration sent_at, int64_t beat) {
    Renew(sent_at);
    beat_.store(beat, std::memory_order_release);
  }
  // The failures that end commits: the first one, or OK.
  absl::Status failure() const;
  // Ends all later commits with `why`, unless they have a failure.
  void Fail(const absl::Status& why);
  // Returns whether the server has no room for the commit under way, which is tried again.
  bool disk_full() const { return disk_full_.load(std::memory_order_relaxed); }
  // The outcomes that had to be found out by a write.
  int64_t resolved() const { return resolved_.load(std::memory_order_relaxed); }

 private:
  enum class Outcome { kCommitted, kNotCommitted };

  absl::Status CommitLocked(AddStatements add) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Connects; after a failure to the next host of the conninfo, since one may hang that was replaced.
  absl::StatusOr<std::unique_ptr<Connection>> Open() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Finds out what has become of batch `number`, and connects anew. `refused`: the fence has refused it, and it is to
  // be found out why. Errors: those of a commit.
  absl::StatusOr<Outcome> Resolve(int64_t number, bool refused, Deadline give_up) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns why the row is no longer this process's; OK if nobody can tell now. A server that was replaced could show
  // what was never durable, so the look is in one transaction with a write: once that is synced, so is what it saw.
  absl::Status WhyLost(Connection* connection, bool refused) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Step(WriterOptions::Step step) {
    if (options_.on_step != nullptr) options_.on_step(step);
  }
  Deadline CommitDeadline() const;

  const WriterOptions options_;
  const int64_t id_;
  const int64_t first_epoch_;
  std::atomic<int64_t> batch_;
  std::atomic<int64_t> beat_ = 0;    // the last one that was acknowledged
  std::atomic<int64_t> renewed_ns_;  // of BootTime
  std::atomic<int64_t> resolved_ = 0;
  std::atomic<bool> disk_full_ = false;

  Mutex mutex_;
  int64_t epoch_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Connection> connection_ ABSL_GUARDED_BY(mutex_);  // null: to be opened
  size_t first_host_ ABSL_GUARDED_BY(mutex_) = 0;

  mutable Mutex failure_mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(failure_mutex_);
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_WRITER_H_
