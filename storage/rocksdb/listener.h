// Keeps the events of RocksDB's background work for the store's upkeep thread, since a listener itself must not call
// RocksDB. Any thread.
//
// By itself, RocksDB ends all writes of all families for good when a compaction meets a corrupt block. The listener
// prevents that, and the store compacts the family no more until the next start, since each try would fail again. Reads
// of the block's keys return DATA_LOSS.

#ifndef HOLDFAST_STORAGE_ROCKSDB_LISTENER_H_
#define HOLDFAST_STORAGE_ROCKSDB_LISTENER_H_

#include <atomic>
#include <set>
#include <string>
#include <utility>

#include "rocksdb/listener.h"
#include "storage/base/mutex.h"
#include "storage/base/observer.h"

namespace holdfast::storage {

class RocksDbListener : public rocksdb::EventListener {
 public:
  // `observer` may be null.
  explicit RocksDbListener(Observer* observer) : observer_(observer) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (reason == rocksdb::BackgroundErrorReason::kCompaction && error->IsCorruption()) *error = rocksdb::Status::OK();
  }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& info) override {
    if (!info.status.IsCorruption()) return;
    MutexLock lock(&mutex_);
    corrupt_.insert(info.cf_name);
  }
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    if (observer_ == nullptr) return;
    observer_->StoreStalled(info.cf_name, info.condition.cur != rocksdb::WriteStallCondition::kNormal);
  }

  // Returns the names of the families whose compaction has met a corrupt block since the last call.
  std::set<std::string> TakeCorrupt() {
    MutexLock lock(&mutex_);
    return std::exchange(corrupt_, {});
  }

 private:
  Observer* const observer_;

  Mutex mutex_;
  std::set<std::string> corrupt_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_LISTENER_H_
