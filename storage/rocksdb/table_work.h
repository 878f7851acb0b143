// Long work over all tables of an open store, beside its reads and writes (Store::CompactTables, Store::CheckTables).

#ifndef HOLDFAST_STORAGE_ROCKSDB_TABLE_WORK_H_
#define HOLDFAST_STORAGE_ROCKSDB_TABLE_WORK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "rocksdb/db.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// Holds reads back, so that they are no more than so many bytes in a second. One thread.
class Pace {
 public:
  // The clock never goes back; `sleep` returns after the time. 0 bytes a second: reads are not held back.
  Pace(uint64_t bytes_per_second, std::function<absl::Time()> now, std::function<void(absl::Duration)> sleep)
      : bytes_per_second_(bytes_per_second), now_(std::move(now)), sleep_(std::move(sleep)), next_(now_()) {}

  // Returns when `bytes` may be read, or false once `goes_on` returns false. It is called before each sleep, which is
  // kSleepMax at most.
  bool Wait(size_t bytes, absl::FunctionRef<bool()> goes_on);

  static constexpr absl::Duration kSleepMax = absl::Milliseconds(100);

 private:
  const uint64_t bytes_per_second_;
  const std::function<absl::Time()> now_;
  const std::function<void(absl::Duration)> sleep_;
  absl::Time next_;  // when the next read may begin
};

// Blocking; see Store.
absl::Status CompactFamilies(rocksdb::DB* db, const std::vector<std::shared_ptr<rocksdb::ColumnFamilyHandle>>& families,
                             TableWorkGoesOn goes_on);
absl::Status CheckAllTables(rocksdb::DB* db, Pace* pace, TableWorkGoesOn goes_on, std::vector<DamagedTable>* damaged);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_TABLE_WORK_H_
