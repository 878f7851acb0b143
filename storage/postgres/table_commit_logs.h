// Commit logs in the table hf_log: a batch is a row.
//
// The log of an executor is appended to by the executor's writer, so each append is a fenced commit with a known
// outcome; the number of the log is that of the writer. The store below writes the folds through another writer of the
// same member (claims.h). All writers of a member are taken over together, so a process that was taken over can neither
// append nor fold, and who takes over reads logs to which nothing more comes.
//
// A fold and its marks are one transaction; the rows that it makes superfluous are deleted in a later one, and are
// passed over until then.
//
// Threading: as the interfaces say. Blocking.

#ifndef HOLDFAST_STORAGE_POSTGRES_TABLE_COMMIT_LOGS_H_
#define HOLDFAST_STORAGE_POSTGRES_TABLE_COMMIT_LOGS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/log/commit_logs.h"
#include "storage/postgres/reader.h"
#include "storage/postgres/writer.h"

namespace holdfast::storage::postgres {

class TableCommitLogs final : public CommitLogs {
 public:
  // The writers are those of the executors. They and the reader outlive the logs. `found`: there may be batches in the
  // logs, of a member that was taken over.
  TableCommitLogs(std::vector<Writer*> writers, Reader* reader, bool found)
      : writers_(std::move(writers)), reader_(reader), found_(found) {}

  absl::StatusOr<std::vector<uint32_t>> List() override;
  bool Covers(uint32_t log) const override { return Find(log) != nullptr; }
  absl::StatusOr<LogContents> Read(uint32_t log, BatchNumber folded, ReplayBatch replay) override;
  absl::StatusOr<std::unique_ptr<CommitLog>> Open(uint32_t log, const LogContents& contents) override;
  absl::Status Remove(uint32_t log) override;
  std::string NameOf(uint32_t log) const override;

 private:
  // Returns the writer of a log; null if it is not one of these.
  Writer* Find(uint32_t log) const;

  const std::vector<Writer*> writers_;
  Reader* const reader_;
  const bool found_;
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_TABLE_COMMIT_LOGS_H_
