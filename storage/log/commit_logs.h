// The commit logs of a store: one for each executor, by number.
//
// Threading: one thread at a time. Blocking.

#ifndef HOLDFAST_STORAGE_LOG_COMMIT_LOGS_H_
#define HOLDFAST_STORAGE_LOG_COMMIT_LOGS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/log/commit_log.h"
#include "storage/log/log_reader.h"

namespace holdfast::storage {

class CommitLogs {
 public:
  virtual ~CommitLogs() = default;

  // Returns the numbers of the logs that are there, in ascending order.
  virtual absl::StatusOr<std::vector<uint32_t>> List() = 0;
  // Returns whether the log is one of these, though it may be missing. The store may have marks of others.
  virtual bool Covers(uint32_t /*log*/) const { return true; }
  // Reads a log, which may be missing, as ReadLog does.
  virtual absl::StatusOr<LogContents> Read(uint32_t log, BatchNumber folded, ReplayBatch replay) = 0;
  // Opens a log to append behind `contents`, which were read from it and which the store holds by now. On return the
  // log is one of those that List returns after a crash, too.
  virtual absl::StatusOr<std::unique_ptr<CommitLog>> Open(uint32_t log, const LogContents& contents) = 0;
  // Removes a log that is not open.
  virtual absl::Status Remove(uint32_t log) = 0;
  // Returns how errors name a log.
  virtual std::string NameOf(uint32_t log) const = 0;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_LOG_COMMIT_LOGS_H_
