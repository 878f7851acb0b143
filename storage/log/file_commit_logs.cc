#include "storage/log/file_commit_logs.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "storage/base/group_access.h"
#include "storage/log/log_files.h"

namespace holdfast::storage {
namespace {

constexpr char kDirectory[] = "/commit-log";

}  // namespace

bool FileCommitLogs::Exist(const std::string& directory) {
  std::error_code error;
  return std::filesystem::exists(absl::StrCat(directory, kDirectory), error);
}

std::string FileCommitLogs::DirectoryOf(const std::string& data_dir, uint32_t log) {
  return absl::StrFormat("%s%s/%04d", data_dir, kDirectory, log);
}

std::string FileCommitLogs::NameOf(uint32_t log) const { return DirectoryOf(options_.directory, log); }

absl::StatusOr<std::vector<uint32_t>> FileCommitLogs::List() {
  const std::string directory = absl::StrCat(options_.directory, kDirectory);
  std::vector<uint32_t> logs;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    uint32_t log;
    if (absl::SimpleAtoi(it->path().filename().string(), &log) && it->path() == NameOf(log)) logs.push_back(log);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return absl::UnavailableError(absl::StrCat("list ", directory, ": ", error.message()));
  }
  std::sort(logs.begin(), logs.end());
  return logs;
}

absl::StatusOr<LogContents> FileCommitLogs::Read(uint32_t log, BatchNumber folded, ReplayBatch replay) {
  return ReadLog(NameOf(log), log, folded, std::move(replay));
}

absl::StatusOr<std::unique_ptr<CommitLog>> FileCommitLogs::Open(uint32_t log, const LogContents& contents) {
  FileCommitLogOptions options = options_;
  options.directory = NameOf(log);
  const std::string above = absl::StrCat(options_.directory, kDirectory);
  std::error_code error;
  if (std::filesystem::create_directory(above, error)) ShareWithGroup(above);
  ShareFilesWithGroup(options.directory);
  options.log = log;
  if (archive_ != nullptr) options.archive = archive_->For(log);
  auto opened = FileCommitLog::Open(std::move(options), contents);
  if (!opened.ok()) return opened.status();
  // FileCommitLog has made the names below the directory of all logs durable.
  if (absl::Status status = SyncDirectory(options_.directory); !status.ok()) return status;
  return *std::move(opened);
}

absl::Status FileCommitLogs::Remove(uint32_t log) {
  // The newest files go first: after a crash the rest is a log that ends earlier, and the store holds all of it.
  const std::string directory = NameOf(log);
  absl::StatusOr<std::vector<uint64_t>> segments = ListLogSegments(directory);
  if (!segments.ok()) return segments.status();
  std::error_code error;
  for (auto segment = segments->rbegin(); segment != segments->rend() && !error; ++segment) {
    std::filesystem::remove(LogSegmentPath(directory, *segment), error);
  }
  if (!error) std::filesystem::remove(directory, error);
  if (error) return absl::UnavailableError(absl::StrCat("remove ", directory, ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace holdfast::storage
