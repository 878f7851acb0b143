// A temporary file of one connection: memory first, and then, if there is room for it, a file.

#ifndef HOLDFAST_STORAGE_SQL_TEMP_FILE_H_
#define HOLDFAST_STORAGE_SQL_TEMP_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "storage/sql/budget.h"
#include "storage/sql/temp_space.h"

namespace holdfast::storage::sql {

// The bound that a write has reached: that of the connection, or that of the space, which others fill too.
enum class TempFull { kNo, kConnection, kSpace };

// The memory and disk that all temporary files of one connection take.
struct TempUse {
  // The most bytes that all of them together have in memory, if there is a space for files.
  static constexpr size_t kMemoryBytesMax = 256 << 10;

  TempSpace* space;  // null: all is memory
  uint64_t bytes_max;
  Budget* budget;
  uint64_t memory_bytes = 0;
  uint64_t file_bytes = 0;
  TempFull full = TempFull::kNo;  // why a write has failed
};

class TempFile {
 public:
  // `use` outlives this.
  explicit TempFile(TempUse* use) : use_(use) {}
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile();

  uint64_t size() const { return size_; }
  // The results are SQLite's. No file is made on the executor: a write that needs one fails with SQLITE_FULL.
  int Read(char* buffer, size_t bytes, uint64_t offset) const;
  int Write(const char* buffer, size_t bytes, uint64_t offset);
  int Truncate(uint64_t bytes);

 private:
  static constexpr size_t kChunkBytes = 64 << 10;

  int WriteFile(const char* buffer, size_t bytes, uint64_t offset);
  // These two make room for `bytes` bytes in all.
  bool GrowMemory(uint64_t bytes);
  TempFull GrowFile(uint64_t bytes);
  // Moves the bytes in memory to a file.
  int MoveToFile();

  TempUse* const use_;
  uint64_t size_ = 0;
  std::vector<std::unique_ptr<char[]>> chunks_;
  int file_ = -1;
  uint64_t reserved_ = 0;  // bytes of the space
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_TEMP_FILE_H_
