// Whether the disk still has room for writes. Some of it is a reserve, in which what was already acknowledged can be
// flushed and compacted: below it writes are to be refused, since a commit that fails for want of room ends the
// process.

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

// The bytes that are free; nothing if nobody can tell.
using FreeBytes = std::function<std::optional<uint64_t>()>;

// What the file system of `dir` has for this process.
FreeBytes FreeBytesOf(const std::string& dir);

// Any thread may ask full(); one calls Refresh, which may block.
class DiskSpace {
 public:
  // Less than this is not enough to open a store: RocksDB writes a few files then, and may abort where it can't.
  static constexpr uint64_t kOpenBytesMin = 16 << 20;

  DiskSpace(FreeBytes free_bytes, uint64_t reserve_bytes)
      : free_bytes_(std::move(free_bytes)), reserve_(reserve_bytes) {}

  bool full() const { return full_.load(std::memory_order_relaxed); }
  // RESOURCE_EXHAUSTED if there is too little to open a store.
  absl::Status CheckOpen() const;
  // Looks again. Logs a change.
  void Refresh();

 private:
  const FreeBytes free_bytes_;
  const uint64_t reserve_;
  std::atomic<bool> full_ = false;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_DISK_SPACE_H_
