// Reads the batches of a commit log when a store is opened, and tells a torn end from damage.
//
// The batches of a log are numbered without gaps. Those up to the store's mark (`folded`) are in the store already. The
// log ends with the last batch that is whole and follows without a gap; behind it there may be a batch that a crash has
// torn, which nobody was told of. These are damage, and DATA_LOSS that names the file:
//   1. A whole record of a later batch behind the end. Batches are written one after the other, each durable before the
//      next, so what is between was whole once.
//   2. A first batch above folded + 1: those between are in neither place.
//   3. A segment that was prepared when the store held more than it and the log have now: what was folded is lost.
//   4. A segment that is missing between others.
//   5. A last batch that is damaged where the run of the process has the mark of its orderly end.
// Damage to batches up to the store's mark is no loss. A damaged last batch without the mark of an orderly end can't be
// told from a torn one, nor can the loss of all files behind a batch.

#ifndef HOLDFAST_STORAGE_LOG_LOG_READER_H_
#define HOLDFAST_STORAGE_LOG_LOG_READER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/log/log_format.h"

namespace holdfast::storage {

struct LogContents {
  BatchNumber last = 0;            // the last batch of the log, or `folded` if it has none above that
  bool closed = false;             // the last run that wrote to the log has the mark of its orderly end
  std::vector<uint64_t> segments;  // the numbers of its files, in ascending order
};

// Called with each batch above `folded`, in order. The payload is valid during the call only. An error ends the read.
using ReplayBatch = absl::AnyInvocable<absl::Status(BatchNumber batch, int64_t time_us, absl::string_view payload)>;

// Follows the batches from one segment to the next.
class LogReader {
 public:
  LogReader(uint32_t log, BatchNumber folded, ReplayBatch replay)
      : log_(log), folded_(folded), replay_(std::move(replay)), next_(folded + 1) {}

  // Reads the next segment of the log. `bytes` are those of the file, which errors name by `path`.
  absl::Status Read(const std::string& path, uint64_t segment, absl::string_view bytes);
  // Checks, after the last segment, that the log and the store together have all that the store has had.
  absl::Status CheckEnd() const;
  // As LogContents has them.
  bool closed() const { return closed_; }
  BatchNumber last() const { return next_ - 1; }

 private:
  absl::Status CheckHeader(const std::string& path, uint64_t segment, const LogSegmentHeader& header);
  // Adds a record of the batch next_ or a later one.
  absl::Status Add(const std::string& path, const LogRecord& record);

  const uint32_t log_;
  const BatchNumber folded_;
  ReplayBatch replay_;
  uint64_t run_ = 0;
  // The latest batch that the store held when a segment was prepared, and the path of that segment.
  BatchNumber held_ = 0;
  std::string held_path_;
  BatchNumber next_;
  // The records of batch next_ so far.
  uint16_t part_ = 0;
  std::string payload_;
  bool closed_ = false;
};

// Reads the log with this number in `directory`, which may be missing: then the log is empty. Changes nothing. Holds
// one segment and one batch in memory. Errors: DATA_LOSS; UNAVAILABLE if a file can't be read; those of `replay`.
absl::StatusOr<LogContents> ReadLog(const std::string& directory, uint32_t log, BatchNumber folded, ReplayBatch replay);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_LOG_LOG_READER_H_
