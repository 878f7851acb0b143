// Room for the temporary files of SQL: sorts and intermediate results that do not fit into memory, and files that
// clients send. The process has one space, with a bound on all files together, in bytes and in number. The files leave
// the reserve of the disk free, which is for acknowledged writes.
//
// The files have no name, so nothing is left of them after a crash.
//
// Threading: any thread.

#ifndef HOLDFAST_STORAGE_SQL_TEMP_SPACE_H_
#define HOLDFAST_STORAGE_SQL_TEMP_SPACE_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "storage/base/disk_space.h"

namespace holdfast::storage::sql {

class TempSpace {
 public:
  struct Limits {
    uint64_t bytes_max;
    int files_max = 256;
    uint64_t disk_reserve_bytes = 0;  // files leave this much of the disk free
  };

  // `directory` is there, and outlives this. `free_bytes` may be null.
  TempSpace(std::string directory, const Limits& limits, FreeBytes free_bytes = nullptr)
      : directory_(std::move(directory)), limits_(limits), free_bytes_(std::move(free_bytes)) {}
  TempSpace(const TempSpace&) = delete;
  TempSpace& operator=(const TempSpace&) = delete;

  // Reserves room for `bytes` bytes, which are to be released later. Returns false, and reserves nothing, if there is
  // no room. Files that clients send find room only up to import_bytes_max(), and leave the rest for sorts.
  bool Reserve(uint64_t bytes);
  bool ReserveForImport(uint64_t bytes);
  uint64_t import_bytes_max() const { return limits_.bytes_max / 4 * 3; }
  void Release(uint64_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // Opens a new file without a name, for reading and writing. Returns -1 if it can't; errno says why, and is EMFILE if
  // there are too many files.
  int OpenFile();
  void CloseFile(int file);

 private:
  bool ReserveUpTo(uint64_t bytes, uint64_t bytes_max);

  const std::string directory_;
  const Limits limits_;
  const FreeBytes free_bytes_;
  std::atomic<int> files_ = 0;
  std::atomic<uint64_t> bytes_ = 0;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_TEMP_SPACE_H_
