// A commit log in files: segments of one size, which are used again when their batches are folded.
//
// The first batch of a process goes into a new segment. When a segment is full the next one is prepared by Trim, so
// that an append finds it; if it does not, Append prepares it. Room is taken from the disk when a segment is first
// made, so a later append needs none, unless the setting of a segment's size was raised.
//
// An append is one write and one fdatasync, on the calling thread. A batch that does not fit in what is left of a
// segment goes on in the next one.
//
// With an archive of the log, a segment is used again only when its batches are archived too.
//
// Bounds: segments_max files of segment_bytes; fewer while keep_room() says that the disk has no more to give. With all
// of them full of batches that are not folded, Append waits for Trim. A batch that does not fit into all segments but
// one is refused, since no Trim could ever make room for it.

#ifndef HOLDFAST_STORAGE_LOG_FILE_COMMIT_LOG_H_
#define HOLDFAST_STORAGE_LOG_FILE_COMMIT_LOG_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/base/mutex.h"
#include "storage/log/archive_mark.h"
#include "storage/log/commit_log.h"
#include "storage/log/log_files.h"
#include "storage/log/log_format.h"
#include "storage/log/log_reader.h"

namespace holdfast::storage {

struct FileCommitLogOptions {
  std::string directory;
  uint32_t log = 0;                   // the number of the log
  uint64_t run = 0;                   // drawn at random
  uint64_t segment_bytes = 16 << 20;  // whole blocks; at least 64 KiB
  int segments_max = 16;              // at least 2
  // Returns whether what is left of the disk is to be left alone: no file is added then, unless the log can't go on
  // without one. Any thread. May be null.
  std::function<bool()> keep_room;
  // The archive of this log; null: it has none.
  ArchiveMark* archive = nullptr;
  LogFaults faults;
};

class FileCommitLog final : public CommitLog {
 public:
  // Opens the log behind `contents`, which were read from it and which the store holds by now. Makes the directory if
  // it is missing. Errors are those of log_files.h.
  static absl::StatusOr<std::unique_ptr<FileCommitLog>> Open(FileCommitLogOptions options, const LogContents& contents);

  uint64_t payload_bytes_max() const override {
    return SegmentPayloadBytes() * static_cast<uint64_t>(options_.segments_max - 1);
  }
  absl::Status Append(int64_t time_us, absl::string_view payload) override;
  void Pass() override { Trim(++last_); }
  BatchNumber last() const override { return last_; }
  void Trim(BatchNumber folded) override;
  void Fail(const absl::Status& why) override;
  absl::Status Close() override;

 private:
  // A segment that is full, or of an earlier run.
  struct Full {
    uint64_t segment;
    BatchNumber last;  // the last batch that has a record in it
  };

  FileCommitLog(FileCommitLogOptions options, const LogContents& contents);

  // Returns the bytes of payload that a segment takes if it has nothing else.
  uint64_t SegmentPayloadBytes() const {
    return options_.segment_bytes - kLogSegmentHeaderBytes - kLogRecordHeaderBytes;
  }
  // Writes the record, or as much of its payload as fits into a segment; the caller syncs. Returns how many bytes of
  // the payload it took.
  absl::StatusOr<size_t> WritePart(LogRecord record);
  // Returns the last batch of those whose records may be overwritten.
  BatchNumber Reusable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells the archive whether it is far behind.
  void TellBehind() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends the current segment, if there is one, and begins the next.
  absl::Status NextSegment();
  // Removes the oldest segments while there are too many; their batches are folded.
  absl::Status RemoveExcess() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Prepares the next segment, if there is a file for it. Returns whether there is one now. `may_wait`: without one the
  // log can still go on, after a Trim.
  absl::StatusOr<bool> Prepare(bool may_wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const FileCommitLogOptions options_;

  // Of the thread that appends.
  BatchNumber last_;
  LogFile file_;
  uint64_t segment_ = 0;
  uint64_t offset_ = 0;
  std::string blocks_;

  Mutex mutex_;
  BatchNumber folded_ ABSL_GUARDED_BY(mutex_);
  std::deque<Full> full_ ABSL_GUARDED_BY(mutex_);
  uint64_t newest_ ABSL_GUARDED_BY(mutex_);   // the highest number of a segment
  int segments_ ABSL_GUARDED_BY(mutex_) = 0;  // files
  std::optional<LogFile> prepared_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  CondVar trimmed_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_LOG_FILE_COMMIT_LOG_H_
