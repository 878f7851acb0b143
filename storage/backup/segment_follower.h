// Reads the batches of a commit log while the log is written, as far as they are durable.
//
// The log must not use a segment again before its batches were read (storage/log/archive_mark.h).

#ifndef HOLDFAST_STORAGE_BACKUP_SEGMENT_FOLLOWER_H_
#define HOLDFAST_STORAGE_BACKUP_SEGMENT_FOLLOWER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/base/batch_number.h"
#include "storage/log/log_files.h"

namespace holdfast::storage {

class SegmentFollower {
 public:
  // Follows the batches above `last` that the process with this run appends to the log in `directory`.
  SegmentFollower(std::string directory, uint64_t run, BatchNumber last)
      : directory_(std::move(directory)), run_(run), last_(last) {}

  using Each = absl::FunctionRef<absl::Status(BatchNumber batch, int64_t time_us, absl::string_view payload)>;
  // Calls `each` with the batches up to `durable` that were not read before, in order. After an error, the batches
  // since the last call of Keep come again. NOT_FOUND: a batch is not in the log, since it was too large for it; its
  // number is skipped.
  absl::Status Read(BatchNumber durable, Each each);
  // The batches that were read need not be read again.
  void Keep() { kept_ = {segment_, offset_, last_}; }
  // Goes back to the batches since Keep.
  void GoBack();

  BatchNumber last() const { return last_; }

 private:
  struct Position {
    uint64_t segment = 0;
    uint64_t offset = 0;
    BatchNumber last = 0;
  };

  absl::Status FindFirst();
  absl::Status OpenSegment(uint64_t segment, uint64_t offset);

  const std::string directory_;
  const uint64_t run_;
  LogFile file_;
  uint64_t size_ = 0;
  uint64_t segment_ = 0;  // 0: none is open
  uint64_t offset_ = 0;
  BatchNumber last_;
  Position kept_;
  std::string bytes_;
  std::string payload_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BACKUP_SEGMENT_FOLLOWER_H_
