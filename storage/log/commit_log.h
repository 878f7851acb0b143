// A log of batches: a commit is durable when its batch is appended. The fold writes the batches to the store later, and
// trims the log.
//
// Invariants: batches are numbered without gaps; each is durable before the next is begun; a batch leaves the log only
// after Trim, when the store holds it.
//
// Threading: one thread at a time appends, closes and asks for last(); any thread trims and fails. Errors: after a
// failed Append or Close nobody can tell what is on disk, and the process must stop without another try; but
// RESOURCE_EXHAUSTED for a batch that the log can never hold comes before anything is written.

#ifndef HOLDFAST_STORAGE_LOG_COMMIT_LOG_H_
#define HOLDFAST_STORAGE_LOG_COMMIT_LOG_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/log/log_format.h"

namespace holdfast::storage {

class CommitLog {
 public:
  virtual ~CommitLog() = default;

  // Returns the most bytes that a batch may have.
  virtual uint64_t payload_bytes_max() const = 0;
  // Appends the batch after the last one; it is durable on return. Waits for a Trim where the log has no room left and
  // one can make some.
  virtual absl::Status Append(int64_t time_us, absl::string_view payload) = 0;
  // Counts the batch after the last one as appended and trimmed: it was too large, and the store holds it.
  virtual void Pass() = 0;
  // Returns the number of the last batch.
  virtual BatchNumber last() const = 0;
  // Tells that the store holds this batch, which was appended, and all before it.
  virtual void Trim(BatchNumber folded) = 0;
  // No batch will be folded any more: ends an append that waits for a Trim, and all later ones that would, with `why`.
  virtual void Fail(const absl::Status& why) = 0;
  // Writes the mark of an orderly end. Nothing is appended afterwards.
  virtual absl::Status Close() = 0;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_LOG_COMMIT_LOG_H_
