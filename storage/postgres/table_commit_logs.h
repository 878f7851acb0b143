// Commit logs in the table hf_log: a batch is a row.
//
// The log of an executor is appended to by the executor's writer, so each append is a fenced commit with a known
// outcome. The store below writes the folds through kNodeWriter, whose claim fences them. So a process that was taken
// over can neither append nor fold, and who takes over all writers of a process reads a log to which nothing more
// comes.
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
  // The writers are those of the executors, whose numbers are those of the logs. They and the reader outlive the logs.
  TableCommitLogs(std::vector<Writer*> writers, Reader* reader) : writers_(std::move(writers)), reader_(reader) {}

  absl::StatusOr<std::vector<uint32_t>> List() override;
  absl::StatusOr<LogContents> Read(uint32_t log, BatchNumber folded, ReplayBatch replay) override;
  absl::StatusOr<std::unique_ptr<CommitLog>> Open(uint32_t log, const LogContents& contents) override;
  absl::Status Remove(uint32_t log) override;
  std::string NameOf(uint32_t log) const override;

 private:
  const std::vector<Writer*> writers_;
  Reader* const reader_;
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_TABLE_COMMIT_LOGS_H_
