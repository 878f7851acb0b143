// The files of a commit log: "00000012.log" is the segment with the number 12.
//
// The numbers of the files in a directory have no gap: a new segment takes the next number, and the file of the oldest
// segment, when its batches are folded, is renamed to the next number. A segment is prepared, with its header durable,
// before the first record is written to it.
//
// Errors: RESOURCE_EXHAUSTED if the disk is full; UNAVAILABLE for other failures of the file system. Blocking.

#ifndef HOLDFAST_STORAGE_LOG_LOG_FILES_H_
#define HOLDFAST_STORAGE_LOG_LOG_FILES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/log/log_format.h"

namespace holdfast::storage {

// How crash tests have files lose what was not synced: SIGKILL leaves the page cache whole, so a test that kills a
// process cannot tell a synced write from one that was only written.
struct LogFaults {
  // Without it, Sync() does nothing.
  bool sync = true;
  // Written blocks stay in the memory of the process until Sync(), except that at random some reach the file at once,
  // as a power failure may leave it. The seed says which.
  std::optional<uint64_t> lose_unsynced_seed;
};

// An open file, which is closed with this.
class LogFile {
 public:
  LogFile() = default;
  explicit LogFile(int fd) : fd_(fd) {}
  LogFile(LogFile&& other) noexcept;
  LogFile& operator=(LogFile&& other) noexcept;
  ~LogFile();

  bool open() const { return fd_ >= 0; }
  // Writes all bytes at `offset`; they are not durable yet.
  absl::Status Write(uint64_t offset, absl::string_view bytes);
  // Replaces `*bytes` by what the file has from `offset` on, `size` bytes or up to its end.
  absl::Status Read(uint64_t offset, size_t size, std::string* bytes) const;
  // Makes everything that was written durable.
  absl::Status Sync();
  absl::StatusOr<uint64_t> Size() const;
  // Has the system forget what it keeps of the file in memory, which must be durable. It keeps what was filled in large
  // pieces, and a later write of one block would count as a write of its whole piece.
  void Uncache() const;
  // From now on the file has these faults.
  void SetFaults(const LogFaults& faults);

 private:
  absl::Status WriteThrough(uint64_t offset, absl::string_view bytes);

  int fd_ = -1;
  bool sync_ = true;
  std::optional<std::mt19937_64> lose_;
  std::map<uint64_t, std::string> unsynced_;  // blocks by offset
};

// Opens a file that is there, to read it.
absl::StatusOr<LogFile> OpenToRead(const std::string& path);
// Makes a file, or empties the one that is there, to write to it.
absl::StatusOr<LogFile> OpenToWrite(const std::string& path);

std::string LogSegmentPath(const std::string& directory, uint64_t segment);

// Returns the numbers of the segments in `directory`, in ascending order; none if it is missing. Other files are not
// looked at.
absl::StatusOr<std::vector<uint64_t>> ListLogSegments(const std::string& directory);

// Prepares the file of `header.segment`: a new one of `bytes`, all of which are taken from the disk and written once,
// or that of segment `recycled` if this is not 0; where that is shorter, the rest is written. On return the header, the
// file and its name are durable. After an error the segment may be tried again, and a new file is gone.
absl::StatusOr<LogFile> PrepareLogSegment(const std::string& directory, const LogSegmentHeader& header,
                                          uint64_t recycled, uint64_t bytes);

// Makes the directory durable, and the names in it.
absl::Status SyncDirectory(const std::string& directory);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_LOG_LOG_FILES_H_
