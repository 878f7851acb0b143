// A store that commits by one append to a commit log, and writes to the store below it about once a second.
//
// A batch is durable when it is in the log of its executor. Its writes then lie in memory (Unfolded), where reads see
// them on top of the store below. The fold writes all of them to that store in one commit, coalesced, together with a
// mark for each log: "folded through batch n". Then it trims the logs. A counter that was incremented 30,000 times in
// between is one put.
//
// Invariants:
//   1. A batch is acknowledged only when it is in its log, or in the store below.
//   2. The store below holds of each log the batches up to the mark, and nothing of a later one.
//   3. mark + 1 is not below the first batch of the log, so that nothing is lost between.
//   4. A family is dropped when the store below holds all batches that name it.
//
// Recovery (Open): replays of each log what is above its mark, folds, and goes on. So more or fewer executors than in
// the run before change nothing. Each mark says if its log is in use, so that a log that is gone is noticed.
//
// Bounds: unfolded_bytes_max in memory, and the logs' own. At a bound a commit waits for the fold.
//
// Errors: DATA_LOSS from Open if a log is damaged, or does not reach the store's mark. After an append or a fold that
// failed every commit fails, and the process must stop.
//
// Threading: any thread, as for every store. Folds are on a thread of their own.

#ifndef HOLDFAST_STORAGE_FOLD_LOGGED_STORE_H_
#define HOLDFAST_STORAGE_FOLD_LOGGED_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/base/mutex.h"
#include "storage/base/observer.h"
#include "storage/fold/unfolded.h"
#include "storage/log/commit_logs.h"
#include "storage/store/store.h"

namespace holdfast::storage {

struct LoggedStoreOptions {
  // Logs in use: one for each executor. 0: nothing is committed, but batches may be replayed.
  uint32_t logs = 1;
  // The number of the first of them; the others follow it.
  uint32_t first_log = 0;
  // A fold begins this long after the one before, or sooner when so many bytes are in memory or were logged. Infinite:
  // there is no thread for folds, and a commit that finds so many bytes folds first.
  absl::Duration fold_every = absl::Seconds(1);
  size_t fold_bytes = 64 << 20;
  size_t unfolded_bytes_max = 256 << 20;
  // Called once, on any thread, when a fold fails. May be null.
  absl::AnyInvocable<void(const absl::Status&)> on_failure;
  // The wall clock, whose time each batch has in the log. While it is set back, batches have the last time before.
  std::function<absl::Time()> now = absl::Now;
  // Returns whether new writes are to be refused until something behind the log has caught up. Any thread. May be null.
  std::function<bool()> overloaded;
  Observer* observer = nullptr;  // may be null
};

class LoggedStore final : public Store {
 public:
  // Opens the logs over `below`, which must hold a whole store. Blocking.
  static absl::StatusOr<std::unique_ptr<LoggedStore>> Open(std::unique_ptr<Store> below,
                                                           std::unique_ptr<CommitLogs> logs,
                                                           LoggedStoreOptions options);
  // Folds, and closes the logs. No commit may be under way.
  ~LoggedStore() override;

  // Returns the store through which executor `number` commits; it lives as long as this one.
  Store* ForExecutor(int number) override;

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override;
  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override;
  void Prefetch(const Location& location, const KeyRange& range) override { below_->Prefetch(location, range); }
  // Commits through the first log, also for several callers at once; but not while Commit of the first executor is
  // under way.
  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override;
  bool HoldsLease() override { return below_->HoldsLease(); }
  bool DiskFull() override { return below_->DiskFull(); }
  StoreStats Stats() override;
  absl::Status CompactTables(TableWorkGoesOn goes_on) override { return below_->CompactTables(goes_on); }
  absl::Status CheckTables(uint64_t bytes_per_second, TableWorkGoesOn goes_on,
                           std::vector<DamagedTable>* damaged) override {
    return below_->CheckTables(bytes_per_second, goes_on, damaged);
  }
  bool Overloaded() override { return options_.overloaded != nullptr && options_.overloaded(); }
  absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override;
  absl::Status DropFamily(FamilyId family) override;
  std::vector<OwnFamily> ListOwnFamilies() override;

  // Writes everything that was committed before the call to the store below. Blocking. Errors: those of its commits.
  absl::Status Fold() { return FoldWith(nullptr); }

  // The last batch of each log that the store below holds.
  using Folded = std::map<uint32_t, BatchNumber>;
  using Release = std::function<void()>;
  // Folds, and holds back further folds until `copy` has called `release`, on any thread, or has returned. Meanwhile
  // the store below has the batches of `folded` and nothing else. Commits go on, as far as the bounds of what is not
  // folded allow. Blocking. Returns the error of the fold, or of `copy`.
  absl::Status HoldFolds(absl::FunctionRef<absl::Status(const Folded& folded, const Release& release)> copy);

  // These two are for a restore, which opens a store without logs of its own (LoggedStoreOptions::logs is 0).
  //
  // Returns how far the store below has each log.
  Folded folded();
  // Replays the batch of a log that follows on the one before. A family that it names and that is not there is made,
  // since archived batches may be of a later time than the store. One thread. Errors: as of recovery.
  absl::Status Replay(uint32_t log, BatchNumber batch, absl::string_view payload);

  // The bytes of the writes that no fold has written yet.
  size_t unfolded_bytes() const { return unfolded_.bytes(); }

 private:
  class Lane;

  // A batch that is too large for its log.
  struct LargeBatch {
    uint32_t log;
    BatchNumber number;
    absl::Span<const KeyspaceWrites> writes;
  };
  // As the store below has it.
  struct Mark {
    BatchNumber folded = 0;
    bool in_use = false;

    bool operator==(const Mark&) const = default;
  };

  LoggedStore(std::unique_ptr<Store> below, std::unique_ptr<CommitLogs> logs, LoggedStoreOptions options);

  // The steps of Open.
  absl::Status Recover();
  absl::Status ReadMarks();
  absl::Status ReadMarksIn(FamilyId family);
  absl::Status ReplayLog(uint32_t log, LogContents* contents);
  // `families` has the objects' own families by name; those that are missing are made if `make_families`.
  absl::Status ReplayBatchOf(uint32_t log, BatchNumber batch, absl::string_view payload, bool make_families,
                             std::map<std::string, FamilyId, std::less<>>* families);
  // Opens the logs in use, and retires the others.
  absl::Status OpenLogs(const std::map<uint32_t, LogContents>& contents);

  // Folds, and after all else commits a batch that is too large for its log, if there is one.
  absl::Status FoldWith(const LargeBatch* large);
  absl::Status FoldHeld(const LargeBatch* large) ABSL_EXCLUSIVE_LOCKS_REQUIRED(fold_mutex_);
  // Commits the writes with the marks, which are in two families, so that one damaged block hides none.
  absl::Status CommitBelow(std::vector<KeyspaceWrites> writes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(fold_mutex_);
  // Drops the families that were to be dropped when the last fold began. One that the store below can't drop stays in
  // it, and goes at the next start, since no object has it.
  void DropFamilies(const std::set<FamilyId>& dropped);
  void FoldLoop();
  // Ends folds and commits with the first failure; returns whether this is the first.
  bool Stop(const absl::Status& status);
  // Does so after a fold that failed, and tells of it.
  void Fail(const absl::Status& status);
  // Returns the first failure.
  absl::Status failure();
  // Waits until there is room in memory for another batch.
  absl::Status WaitForRoom();
  bool IsEnoughToFold() const;
  void FoldSoon();

  bool IsOpen(FamilyId family);
  std::string NameOf(FamilyId family);

  const std::unique_ptr<Store> below_;
  const std::unique_ptr<CommitLogs> logs_;
  LoggedStoreOptions options_;
  Unfolded unfolded_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<size_t> logged_bytes_ = 0;  // since the last fold began

  // One fold at a time, and none while they are held back.
  Mutex fold_mutex_;
  CondVar released_;
  bool folds_held_ ABSL_GUARDED_BY(fold_mutex_) = false;
  std::map<uint32_t, Mark> marks_ ABSL_GUARDED_BY(fold_mutex_);

  std::map<std::string, FamilyId, std::less<>> replay_families_;  // of the thread that calls Replay

  SharedMutex families_mutex_;
  std::map<FamilyId, std::string> families_ ABSL_GUARDED_BY(families_mutex_);  // without those to be dropped
  std::map<FamilyId, std::string> to_drop_ ABSL_GUARDED_BY(families_mutex_);

  Mutex mutex_;
  CondVar wake_;    // of the thread that folds
  CondVar folded_;  // of the commits that wait
  bool fold_now_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::thread folder_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_FOLD_LOGGED_STORE_H_
