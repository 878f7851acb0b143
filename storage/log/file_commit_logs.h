// The commit logs of a data directory: log 7 is the directory "commit-log/0007" (storage/log/log_files.h).

#ifndef HOLDFAST_STORAGE_LOG_FILE_COMMIT_LOGS_H_
#define HOLDFAST_STORAGE_LOG_FILE_COMMIT_LOGS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/log/archive_mark.h"
#include "storage/log/commit_logs.h"
#include "storage/log/file_commit_log.h"

namespace holdfast::storage {

class FileCommitLogs final : public CommitLogs {
 public:
  // The options' directory is the data directory; each log has its own number.
  // `archive` outlives the logs; without it they are not archived.
  explicit FileCommitLogs(FileCommitLogOptions options, ArchiveMarks* archive = nullptr)
      : options_(std::move(options)), archive_(archive) {}

  // Returns whether a data directory has commit logs.
  static bool Exist(const std::string& directory);
  // Returns the directory of a log.
  static std::string DirectoryOf(const std::string& data_dir, uint32_t log);

  absl::StatusOr<std::vector<uint32_t>> List() override;
  absl::StatusOr<LogContents> Read(uint32_t log, BatchNumber folded, ReplayBatch replay) override;
  absl::StatusOr<std::unique_ptr<CommitLog>> Open(uint32_t log, const LogContents& contents) override;
  absl::Status Remove(uint32_t log) override;
  std::string NameOf(uint32_t log) const override;

 private:
  const FileCommitLogOptions options_;
  ArchiveMarks* const archive_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_LOG_FILE_COMMIT_LOGS_H_
