// Watches whether the disk still has room for writes. Some of the disk is a reserve, in which acknowledged writes can
// be flushed and compacted. Once only the reserve is left, new writes must be refused, since a commit that fails for
// want of room ends the process.

#ifndef HOLDFAST_STORAGE_BASE_DISK_SPACE_H_
#define HOLDFAST_STORAGE_BASE_DISK_SPACE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace holdfast::storage {

// Returns the free bytes of the disk; nothing if nobody can tell.
using FreeBytes = std::function<std::optional<uint64_t>()>;

// Returns a function that asks the file system of `dir` for the bytes that this process may still use.
FreeBytes FreeBytesOf(const std::string& dir);

// Any thread may call full(); one thread calls Refresh, which may block.
class DiskSpace {
 public:
  // A store needs at least this many free bytes to open: RocksDB then writes a few files, and may abort if it cannot.
  static constexpr uint64_t kOpenBytesMin = 16 << 20;

  DiskSpace(FreeBytes free_bytes, uint64_t reserve_bytes)
      : free_bytes_(std::move(free_bytes)), reserve_(reserve_bytes) {}

  bool full() const { return full_.load(std::memory_order_relaxed); }
  // Asks for the free bytes now; 0 if nobody can tell. May block; any thread.
  uint64_t FreeBytesNow() const { return free_bytes_().value_or(0); }
  uint64_t reserve_bytes() const { return reserve_; }
  // Returns RESOURCE_EXHAUSTED if there is too little room to open a store.
  absl::Status CheckOpen() const;
  // Looks at the free bytes again. Logs a change of full().
  void Refresh();

 private:
  const FreeBytes free_bytes_;
  const uint64_t reserve_;
  std::atomic<bool> full_ = false;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_DISK_SPACE_H_
