// Copies the commit logs of a store to the archive, so that a restore can bring back any moment (archive_files.h).
//
//   auto archiver = Archiver::Open(options);                       // copies what the run before has left in its logs
//   ... FileCommitLogs(..., (*archiver)->marks()) ... LoggedStore::Open ...
//   (*archiver)->Start(logs);                                      // copies as the logs grow
//
// A batch is archived some archive_interval after it is durable, so a lost machine loses that much more than the disk
// of the archive has. A segment of a log is used again only when the archive has its batches. Where the archive does
// not keep up, behind() has the store refuse new writes before its logs are full, and batches wait in the logs.
//
// The line (archive_files.h) goes on over restarts as long as nothing is missing: its number is in the data directory,
// in "archive-line", which no backup has. Where the logs and the archive do not meet, since the archive was off, a
// batch was too large for its log, or the data directory is another one, a new line begins and the gap is logged.
// Whoever wants to restore needs a backup of the same line, so a new line calls for a backup.
//
// Threading: Open, Start and Stop on one thread; the others on any. A thread of its own, at low priority, copies.
// Errors of the file system while it runs are logged and tried again; the logs wait meanwhile.

#ifndef HOLDFAST_STORAGE_BACKUP_ARCHIVER_H_
#define HOLDFAST_STORAGE_BACKUP_ARCHIVER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/backup/archive_files.h"
#include "storage/backup/segment_follower.h"
#include "storage/base/mutex.h"
#include "storage/log/archive_mark.h"

namespace holdfast::storage {

struct ArchiverOptions {
  std::string directory;  // of the backups; the archive is in it
  std::string data_dir;
  uint64_t run = 0;  // of the commit logs of this process
  absl::Duration interval = absl::Milliseconds(500);
  uint64_t file_bytes = 64 << 20;
  // Draws the number of a line.
  std::function<uint64_t()> random;
};

class Archiver {
 public:
  // Opens the archive of a store whose logs are not open yet, and copies what they have. Errors name the file.
  static absl::StatusOr<std::unique_ptr<Archiver>> Open(ArchiverOptions options);
  // Ends the line of a data directory whose store is opened without an archive.
  static absl::Status EndLine(const std::string& data_dir);
  ~Archiver() { Stop(); }

  ArchiveMarks* marks() { return &marks_; }
  bool behind() { return marks_.behind(); }
  // Begins to copy the logs 0 to `logs` - 1, which are open now.
  absl::Status Start(uint32_t logs);
  // Copies what is durable, and ends. Nothing is committed any more.
  void Stop();

  // Waits until the archive has everything that is durable at the call. Returns false if it does not come to that
  // before the deadline. Any thread.
  bool CatchUp(CondVar::Deadline deadline);

  // The line to which the archive of this moment belongs. It changes when a batch is missing.
  ArchiveLine line() const { return line_; }
  // Removes what no restore needs that begins with a backup of `kept`: for each line that a backup has, the batches of
  // each log that the oldest of its backups holds. Lines without a backup go whole, except the present one.
  absl::Status Prune(const std::map<ArchiveLine, std::map<uint32_t, BatchNumber>>& kept);

 private:
  struct OpenLog {
    ArchiveMark* mark;
    std::unique_ptr<SegmentFollower> follower;
    std::unique_ptr<ArchiveWriter> writer;
  };

  explicit Archiver(ArchiverOptions options);

  absl::Status ContinueLine();
  // Copies what the log of an earlier run has beyond the archive.
  absl::Status ArchiveRest(uint32_t log, uint32_t epoch);
  absl::Status BeginLine();
  std::unique_ptr<ArchiveWriter> NewWriter(uint32_t log) const;
  void Run();
  absl::Status ArchiveAll();
  absl::Status ArchiveLog(uint32_t number, OpenLog* log);

  const ArchiverOptions options_;
  ArchiveMarks marks_;
  std::atomic<ArchiveLine> line_ = 0;
  uint32_t epoch_ = 0;
  std::map<uint32_t, OpenLog> logs_;
  std::thread thread_;

  Mutex mutex_;
  CondVar wake_;
  std::atomic<bool> full_segment_ = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Looks at all logs: begun so far, and the last one that copied everything.
  uint64_t passes_begun_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t pass_done_ ABSL_GUARDED_BY(mutex_) = 0;
  CondVar passed_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BACKUP_ARCHIVER_H_
