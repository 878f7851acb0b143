// A commit log and the archive of its batches (storage/backup/archiver.h) tell each other here how far the log is
// durable, and how far it is archived. A segment of the log is used again only when its batches are archived.
//
// Threading: any thread.

#ifndef HOLDFAST_STORAGE_LOG_ARCHIVE_MARK_H_
#define HOLDFAST_STORAGE_LOG_ARCHIVE_MARK_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "storage/base/batch_number.h"
#include "storage/base/mutex.h"

namespace holdfast::storage {

class ArchiveMark {
 public:
  // The archive has no interest in what the log has so far.
  static constexpr BatchNumber kNothingWaits = UINT64_MAX;

  explicit ArchiveMark(const std::function<void()>* wake) : wake_(wake) {}
  ArchiveMark(const ArchiveMark&) = delete;
  ArchiveMark& operator=(const ArchiveMark&) = delete;

  // The log says: this batch, and all before it, are durable.
  void SetDurable(BatchNumber batch) { durable_.store(batch, std::memory_order_release); }
  BatchNumber durable() const { return durable_.load(std::memory_order_acquire); }
  // The archive says: it holds this batch durably, and all before it.
  void SetArchived(BatchNumber batch) { archived_.store(batch, std::memory_order_release); }
  BatchNumber archived() const { return archived_.load(std::memory_order_acquire); }
  // The log says: more than half of its files wait for the archive.
  void SetBehind(bool behind) { behind_.store(behind, std::memory_order_relaxed); }
  bool behind() const { return behind_.load(std::memory_order_relaxed); }
  // The log says: a segment is full, so the archive had better copy it now.
  void Wake() { (*wake_)(); }

 private:
  const std::function<void()>* const wake_;
  std::atomic<BatchNumber> durable_ = 0;
  std::atomic<BatchNumber> archived_ = kNothingWaits;
  std::atomic<bool> behind_ = false;
};

// The marks of all logs of a store, by the number of the log. A mark lives as long as this.
class ArchiveMarks {
 public:
  // `wake` may be called on any thread, under the locks of a log: it must not wait.
  explicit ArchiveMarks(std::function<void()> wake) : wake_(std::move(wake)) {}

  ArchiveMark* For(uint32_t log) {
    MutexLock lock(&mutex_);
    return &marks_.try_emplace(log, &wake_).first->second;
  }
  // No batch of any log waits for the archive.
  void Reset() {
    MutexLock lock(&mutex_);
    for (auto& [log, mark] : marks_) mark.SetArchived(ArchiveMark::kNothingWaits);
  }
  // Returns whether one of the logs has more than half of its files waiting for the archive.
  bool behind() {
    MutexLock lock(&mutex_);
    for (const auto& [log, mark] : marks_) {
      if (mark.behind()) return true;
    }
    return false;
  }

 private:
  const std::function<void()> wake_;
  Mutex mutex_;
  std::map<uint32_t, ArchiveMark> marks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_LOG_ARCHIVE_MARK_H_
