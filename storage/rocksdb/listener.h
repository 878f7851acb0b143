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

#include "absl/time/time.h"
#include "rocksdb/listener.h"
#include "rocksdb/table_properties.h"
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
    if (observer_ != nullptr) {
      observer_->TableWritten({.compaction = true,
                               .bytes_read = info.stats.total_input_bytes,
                               .bytes_written = info.stats.total_output_bytes,
                               .time = absl::Microseconds(info.stats.elapsed_micros),
                               .ok = info.status.ok()});
    }
    if (!info.status.IsCorruption()) return;
    MutexLock lock(&mutex_);
    corrupt_.insert(info.cf_name);
  }
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
    if (observer_ == nullptr) return;
    const rocksdb::TableProperties& table = info.table_properties;
    observer_->TableWritten({.compaction = false,
                             .bytes_read = 0,
                             .bytes_written = table.data_size + table.index_size + table.filter_size,
                             .time = absl::ZeroDuration(),
                             .ok = true});
  }
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    const bool was_stalled = info.condition.prev != rocksdb::WriteStallCondition::kNormal;
    const bool stalled = info.condition.cur != rocksdb::WriteStallCondition::kNormal;
    if (observer_ != nullptr && stalled != was_stalled) observer_->StoreStalled(info.cf_name, stalled);
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
