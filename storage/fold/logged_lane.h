// The store of one executor: that of all, but for the log through which it commits.

#ifndef HOLDFAST_STORAGE_FOLD_LOGGED_LANE_H_
#define HOLDFAST_STORAGE_FOLD_LOGGED_LANE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "storage/base/mutex.h"
#include "storage/fold/logged_store.h"
#include "storage/log/commit_log.h"
#include "storage/store/store.h"

namespace holdfast::storage {

class LoggedStore::Lane final : public Store {
 public:
  Lane(LoggedStore* whole, uint32_t number, std::unique_ptr<CommitLog> log)
      : whole_(whole), number_(number), log_(std::move(log)) {}

  uint32_t number() const { return number_; }
  CommitLog* log() { return log_.get(); }

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override {
    return whole_->Get(location, key, tier, value, error);
  }
  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override {
    return whole_->NewCursor(location, std::move(range), tier);
  }
  void Prefetch(const Location& location, const KeyRange& range) override { whole_->Prefetch(location, range); }
  bool HoldsLease() override { return whole_->HoldsLease(); }
  bool DiskFull() override { return whole_->DiskFull(); }
  StoreStats Stats() override { return whole_->Stats(); }
  bool Overloaded() override { return whole_->Overloaded(); }
  absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override { return whole_->CreateFamily(name); }
  absl::Status DropFamily(FamilyId family) override { return whole_->DropFamily(family); }
  std::vector<OwnFamily> ListOwnFamilies() override { return whole_->ListOwnFamilies(); }

  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override;
  void Commit(absl::Span<const KeyspaceWrites> writes, Background* background, CommitDone done) override;

 private:
  // A batch that is durable. `folded`: the store below has its writes.
  struct Appended {
    BatchNumber number;
    size_t logged_bytes;
    bool folded;
  };

  absl::StatusOr<Appended> Append(absl::Span<const KeyspaceWrites> writes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes the batch visible, and takes the contents of its sets.
  void Add(const Appended& batch, absl::Span<const KeyspaceWrites> writes);

  LoggedStore* const whole_;
  const uint32_t number_;
  // The commits of an executor follow each other; CommitSync may have several callers.
  Mutex mutex_;
  const std::unique_ptr<CommitLog> log_;
  std::string payload_ ABSL_GUARDED_BY(mutex_);
  int64_t time_us_ ABSL_GUARDED_BY(mutex_) = 0;  // of the last batch
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_FOLD_LOGGED_LANE_H_
