// Room for the temporary files of SQL: what is sorted, and results in between that do not fit into memory. One for the
// process, with a bound on all of them together.
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

namespace holdfast::storage::sql {

class TempSpace {
 public:
  // `directory` is there, and outlives this.
  TempSpace(std::string directory, uint64_t bytes_max) : directory_(std::move(directory)), bytes_max_(bytes_max) {}
  TempSpace(const TempSpace&) = delete;
  TempSpace& operator=(const TempSpace&) = delete;

  // Whether files may take so many bytes more; each that may is to be released.
  bool Reserve(uint64_t bytes);
  void Release(uint64_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // A new file without a name, for reading and writing; -1: errno says why not.
  int OpenFile() const;

 private:
  const std::string directory_;
  const uint64_t bytes_max_;
  std::atomic<uint64_t> bytes_ = 0;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_TEMP_SPACE_H_
