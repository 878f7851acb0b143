#include "storage/log/file_commit_log.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/check.h"
#include "storage/base/group_access.h"
#include "storage/base/log.h"

namespace holdfast::storage {
namespace {

constexpr std::chrono::milliseconds kLookAtArchiveEvery(50);

}  // namespace

absl::StatusOr<std::unique_ptr<FileCommitLog>> FileCommitLog::Open(FileCommitLogOptions options,
                                                                   const LogContents& contents) {
  std::error_code error;
  if (std::filesystem::create_directories(options.directory, error)) ShareWithGroup(options.directory);
  if (error) return absl::UnavailableError(absl::StrCat("make ", options.directory, ": ", error.message()));
  std::unique_ptr<FileCommitLog> log(new FileCommitLog(std::move(options), contents));
  // The directory itself is a name in the one above.
  const std::string above = std::filesystem::path(log->options_.directory).parent_path().string();
  if (absl::Status status = SyncDirectory(above.empty() ? "." : above); !status.ok()) return status;
  {
    MutexLock lock(&log->mutex_);
    if (absl::Status status = log->RemoveExcess(); !status.ok()) return status;
  }
  if (absl::Status status = log->NextSegment(); !status.ok()) return status;
  MutexLock lock(&log->mutex_);
  if (absl::StatusOr<bool> prepared = log->Prepare(true); !prepared.ok()) return prepared.status();
  return log;
}

FileCommitLog::FileCommitLog(FileCommitLogOptions options, const LogContents& contents)
    : options_(std::move(options)),
      last_(contents.last),
      folded_(contents.last),
      newest_(contents.segments.empty() ? 0 : contents.segments.back()),
      segments_(static_cast<int>(contents.segments.size())) {
  for (uint64_t segment : contents.segments) full_.push_back({segment, contents.last});
  if (options_.archive != nullptr) options_.archive->SetDurable(last_);
}

BatchNumber FileCommitLog::Reusable() const {
  return options_.archive == nullptr ? folded_ : std::min(folded_, options_.archive->archived());
}

void FileCommitLog::TellBehind() {
  if (options_.archive == nullptr) return;
  const BatchNumber archived = options_.archive->archived();
  const auto waiting =
      std::count_if(full_.begin(), full_.end(), [archived](const Full& full) { return full.last > archived; });
  options_.archive->SetBehind(2 * waiting > options_.segments_max);
}

absl::Status FileCommitLog::Append(int64_t time_us, absl::string_view payload) {
  if (payload.size() > payload_bytes_max()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a batch of ", payload.size(), " bytes; the commit log takes ", payload_bytes_max()));
  }
  LogRecord record = {.run = options_.run, .batch = last_ + 1, .time_us = time_us, .payload = payload};
  for (;;) {
    const absl::StatusOr<size_t> taken = WritePart(record);
    if (!taken.ok()) return taken.status();
    record.payload.remove_prefix(*taken);
    if (record.payload.empty()) break;
    ++record.part;
    if (absl::Status status = NextSegment(); !status.ok()) return status;
  }
  if (absl::Status status = file_.Sync(); !status.ok()) return status;
  ++last_;
  if (options_.archive != nullptr) options_.archive->SetDurable(last_);
  return absl::OkStatus();
}

absl::StatusOr<size_t> FileCommitLog::WritePart(LogRecord record) {
  if (options_.segment_bytes - offset_ < kLogBlockBytes) {
    if (absl::Status status = NextSegment(); !status.ok()) return status;
  }
  const size_t room = options_.segment_bytes - offset_ - kLogRecordHeaderBytes;
  record.last = record.payload.size() <= room;
  record.payload = record.payload.substr(0, room);
  record.segment = segment_;
  blocks_.clear();
  AppendLogRecord(record, &blocks_);
  if (absl::Status status = file_.Write(offset_, blocks_); !status.ok()) return status;
  offset_ += blocks_.size();
  return record.payload.size();
}

absl::Status FileCommitLog::NextSegment() {
  // What was written to the segment so far is durable before anything in the next one is.
  if (file_.open()) {
    if (absl::Status status = file_.Sync(); !status.ok()) return status;
  }
  MutexLock lock(&mutex_);
  // Its last batch may be the one that is being appended.
  if (file_.open()) {
    full_.push_back({segment_, last_ + 1});
    TellBehind();
    if (options_.archive != nullptr) options_.archive->Wake();
  }
  bool told = false;
  for (;;) {
    // A Trim makes room only if the oldest segment ends before the batch that is being appended.
    const bool may_wait = !full_.empty() && full_.front().last > Reusable() && full_.front().last <= last_;
    const absl::StatusOr<bool> prepared = Prepare(may_wait);
    if (prepared.ok() && *prepared) break;
    // Where the disk has no room for another file, the files that are there are used again.
    if (!prepared.ok() && !(may_wait && absl::IsResourceExhausted(prepared.status()))) return prepared.status();
    HOLDFAST_CHECK(may_wait, options_.directory);
    if (!failure_.ok()) return failure_;
    if (!std::exchange(told, true)) {
      Log(LogLevel::kWarning, "commit_log_full", {{"log", absl::StrCat(options_.log)}});
    }
    // The archive wakes nobody.
    (void)trimmed_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + kLookAtArchiveEvery);
  }
  file_ = *std::move(prepared_);
  LogFaults faults = options_.faults;
  if (faults.lose_unsynced_seed) *faults.lose_unsynced_seed += newest_;
  file_.SetFaults(faults);
  prepared_.reset();
  segment_ = newest_;
  offset_ = kLogSegmentHeaderBytes;
  return absl::OkStatus();
}

absl::Status FileCommitLog::RemoveExcess() {
  if (segments_ <= options_.segments_max) return absl::OkStatus();
  for (; segments_ > options_.segments_max; --segments_) {
    const std::string path = LogSegmentPath(options_.directory, full_.front().segment);
    std::error_code error;
    std::filesystem::remove(path, error);
    if (error) return absl::UnavailableError(absl::StrCat("remove ", path, ": ", error.message()));
    full_.pop_front();
  }
  return SyncDirectory(options_.directory);
}

absl::StatusOr<bool> FileCommitLog::Prepare(bool may_wait) {
  if (prepared_) return true;
  const bool recycles = !full_.empty() && full_.front().last <= Reusable();
  if (!recycles && segments_ >= options_.segments_max) return false;
  if (!recycles && may_wait && options_.keep_room && options_.keep_room()) return false;
  const LogSegmentHeader header = {.log = options_.log, .run = options_.run, .segment = newest_ + 1, .folded = folded_};
  auto file =
      PrepareLogSegment(options_.directory, header, recycles ? full_.front().segment : 0, options_.segment_bytes);
  if (!file.ok()) return file.status();
  if (recycles) {
    full_.pop_front();
  } else {
    ++segments_;
  }
  ++newest_;
  prepared_ = *std::move(file);
  return true;
}

void FileCommitLog::Trim(BatchNumber folded) {
  MutexLock lock(&mutex_);
  folded_ = std::max(folded_, folded);
  TellBehind();
  const absl::StatusOr<bool> prepared = Prepare(true);
  // An append that needs the segment tries again, and its error counts.
  if (!prepared.ok()) Log(LogLevel::kError, "segment_not_prepared", {{"status", prepared.status().ToString()}});
  trimmed_.WakeOne();
}

void FileCommitLog::Fail(const absl::Status& why) {
  MutexLock lock(&mutex_);
  if (failure_.ok()) failure_ = why;
  trimmed_.WakeOne();
}

absl::Status FileCommitLog::Close() {
  if (const absl::StatusOr<size_t> written = WritePart({.run = options_.run, .batch = last_ + 1, .end = true});
      !written.ok()) {
    return written.status();
  }
  return file_.Sync();
}

}  // namespace holdfast::storage
