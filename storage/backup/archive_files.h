// The files of the archive: the batches of a store's commit logs, kept after the logs have used their segments again.
//
// "archive/LINE/EPOCH/LOG-BATCH.log" has batches of the log LOG in order, of which the first is BATCH. A line is a span
// of time in which everything that the store committed was archived; a store that archives anew, and one that was
// restored, begins a new line, so that two stores never continue the same one. An epoch is one run of the server: an
// object may be in another log in the next run, so the batches of all logs of an epoch come before those of the next.
//
// Each log has a file in an epoch from its beginning on, even if it is empty. A file begins with the header of a
// segment (storage/log/log_format.h), whose segment is the number of the first batch. The batches follow as records
// without the padding to blocks, each batch one record.
//
// A crash may leave a file with a torn end, whose batches the next file then has: a file counts up to its first byte
// that is no whole record, and a batch that was seen before does not count. So the batches of a log are whole if none
// is missing between the last of one file and the first of the next. Errors: DATA_LOSS names the file before a gap.

#ifndef HOLDFAST_STORAGE_BACKUP_ARCHIVE_FILES_H_
#define HOLDFAST_STORAGE_BACKUP_ARCHIVE_FILES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/base/batch_number.h"
#include "storage/log/log_files.h"

namespace holdfast::storage {

using ArchiveLine = uint64_t;

struct ArchiveFile {
  uint32_t epoch = 0;
  uint32_t log = 0;
  BatchNumber first = 0;
  std::string path;
};

// Returns the directory of a line.
std::string ArchiveLinePath(const std::string& directory, ArchiveLine line);
std::string ArchiveEpochPath(const std::string& directory, ArchiveLine line, uint32_t epoch);

// Returns the lines that have a directory, in no order.
absl::StatusOr<std::vector<ArchiveLine>> ListArchiveLines(const std::string& directory);
// Returns the files of a line by epoch, log and first batch.
absl::StatusOr<std::vector<ArchiveFile>> ListArchiveFiles(const std::string& directory, ArchiveLine line);
// Returns the highest epoch that has a directory; 0: none has.
absl::StatusOr<uint32_t> LastArchiveEpoch(const std::string& directory, ArchiveLine line);
// Makes the directory of an epoch, and those above it, durable.
absl::Status MakeArchiveEpoch(const std::string& directory, ArchiveLine line, uint32_t epoch);

// Writes the batches of one log to files.
class ArchiveWriter {
 public:
  // `epoch_path` is there. A file that has `file_bytes` or more is followed by another.
  ArchiveWriter(std::string epoch_path, uint32_t log, uint64_t run, uint64_t file_bytes)
      : epoch_path_(std::move(epoch_path)), log_(log), run_(run), file_bytes_(file_bytes) {}

  // Begins a file for this batch and those behind it, so that the archive says where it goes on.
  absl::Status Begin(BatchNumber first);
  // Adds the batch; it is durable after Sync. After an error all batches since the last Sync are to be added again.
  absl::Status Add(BatchNumber batch, int64_t time_us, absl::string_view payload);
  absl::Status Sync();

 private:
  absl::Status Write();
  absl::Status Failed(const absl::Status& status);

  const std::string epoch_path_;
  const uint32_t log_;
  const uint64_t run_;
  const uint64_t file_bytes_;
  LogFile file_;
  std::string path_;
  BatchNumber first_ = 0;
  uint64_t offset_ = 0;
  std::string buffer_;  // not written yet
};

// Called with each batch in order; the payload is valid during the call. Returns whether to go on.
using ArchivedBatch =
    absl::FunctionRef<absl::StatusOr<bool>(BatchNumber batch, int64_t time_us, absl::string_view payload)>;

struct ArchiveFileEnd {
  uint64_t offset;  // of the first byte that was not read
  bool whole;       // the file has no bytes there, or `each` ended the walk
};
// Reads the whole records of a file, one after the other, in memory of one batch. Errors: UNAVAILABLE; those of `each`.
absl::StatusOr<ArchiveFileEnd> ReadArchiveFile(const ArchiveFile& file, ArchivedBatch each);

// Replays the archive on top of a store that has the batches of each log up to `folded`: in every epoch, in order, the
// batches of each log whose time is not after `until_us`. The first epoch that has a later one is the last.
//
// Errors: DATA_LOSS where a batch is missing that has a later one, and where whole records follow damage at the end of
// the last file of a log.
using ReplayArchived = absl::FunctionRef<absl::Status(const ArchiveFile& file, BatchNumber batch, int64_t time_us,
                                                      absl::string_view payload)>;
absl::Status ReplayArchive(const std::string& directory, ArchiveLine line, std::map<uint32_t, BatchNumber> folded,
                           int64_t until_us, ReplayArchived replay);

// Removes the files of a line whose batches are all in `folded`, except the last one of each log.
absl::Status PruneArchiveLine(const std::string& directory, ArchiveLine line,
                              const std::map<uint32_t, BatchNumber>& folded);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BACKUP_ARCHIVE_FILES_H_
