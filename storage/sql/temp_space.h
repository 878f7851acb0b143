// Room for the temporary files of SQL: what is sorted, and results in between that do not fit into memory. One for the
// process, with a bound on all of them together, in bytes and in number. They stop before the reserve of the disk,
// which is for what was acknowledged.
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

#include "storage/disk_space.h"

namespace holdfast::storage::sql {

class TempSpace {
 public:
  struct Limits {
    uint64_t bytes_max;
    int files_max = 256;
    uint64_t disk_reserve_bytes = 0;  // files leave so much of the disk free
  };

  // `directory` is there, and outlives this. `free_bytes` may be null.
  TempSpace(std::string directory, const Limits& limits, FreeBytes free_bytes = nullptr)
      : directory_(std::move(directory)), limits_(limits), free_bytes_(std::move(free_bytes)) {}
  TempSpace(const TempSpace&) = delete;
  TempSpace& operator=(const TempSpace&) = delete;

  // Each: whether files may take so many bytes more; each that may is to be released. Files that clients send may have
  // import_bytes_max() of the room, and leave the rest for sorts.
  bool Reserve(uint64_t bytes);
  bool ReserveForImport(uint64_t bytes);
  uint64_t import_bytes_max() const { return limits_.bytes_max / 4 * 3; }
  void Release(uint64_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // A new file without a name, for reading and writing; -1: errno says why not, EMFILE that there are too many.
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
