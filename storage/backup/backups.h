// The backups of a running server: made by schedule and on request, checked, and removed when there are enough.
//
// A backup is a copy of the store below the log (storage/store/store_copies.h) as a fold has left it: whole batches of
// every log, up to the marks that the copy has. So it is consistent per object, and over objects too, since everything
// of an object goes through one log at a time and a fold is one write. What is committed later is in the archive
// (archiver.h), if there is one.
//
// A backup is made in these steps; a crash between two leaves the earlier backups whole, and a restore checks again:
//   1. the store flushes its memory, if its write-ahead logs are long
//   2. everything that is committed is folded, and folds wait
//   3. the files of the copy are settled, and folds go on
//   4. the files are copied, those that no earlier backup has; the backup is there
//   5. it is read and checked; if it is damaged it is removed
//   6. the oldest backups beyond `keep` are removed, and the archive before the oldest of the others
//
// Threading: any thread. One backup at a time, on a thread of its own that gives way to all others.

#ifndef HOLDFAST_STORAGE_BACKUP_BACKUPS_H_
#define HOLDFAST_STORAGE_BACKUP_BACKUPS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/backup/archiver.h"
#include "storage/backup/backup_list.h"
#include "storage/backup/directory_lock.h"
#include "storage/backup/past_object.h"
#include "storage/base/disk_space.h"
#include "storage/base/mutex.h"
#include "storage/fold/logged_store.h"
#include "storage/store/object_id.h"
#include "storage/store/store_copies.h"

namespace holdfast::storage {

struct BackupsOptions {
  std::string directory;
  // A backup is made when the newest one is so old; infinite: on request only.
  absl::Duration every = absl::InfiniteDuration();
  // Backups that are kept, at least 1.
  int keep = 7;
  // With less than this free in the directory a backup is refused, and one under way is stopped.
  uint64_t disk_reserve_bytes = 0;
  FreeBytes free_bytes;  // of the directory
  std::function<absl::Time()> now = absl::Now;
  // Opens the copies in CopiesPath(directory) to be read only.
  std::function<absl::StatusOr<std::unique_ptr<StoreCopies>>()> open_to_read;
};

class Backups {
 public:
  enum class Step { kNone, kFlushing, kFolding, kCopying, kVerifying, kPruning };
  struct Progress {
    uint64_t number = 0;      // of the backup that is under way, or of the last one; they count up from 1
    Step step = Step::kNone;  // kNone: it has ended
    uint64_t copied_bytes = 0;
    absl::Status outcome;        // once it has ended
    std::optional<Backup> made;  // once it has ended well
  };
  using OpenCopies = std::function<absl::StatusOr<std::unique_ptr<StoreCopies>>()>;

  // Takes the directory, which no other process may use meanwhile. `store` and `archiver`, which may be null, outlive
  // this. `open_copies` opens the copies in CopiesPath(directory).
  static absl::StatusOr<std::unique_ptr<Backups>> Open(BackupsOptions options, LoggedStore* store, Archiver* archiver,
                                                       OpenCopies open_copies);
  // Stops a backup that is under way.
  ~Backups();

  // Begins a backup and returns its number. If one is under way: the number of the next one, which begins behind it;
  // whoever asks meanwhile gets the same. Does not wait.
  uint64_t Request();
  Progress progress();
  // Waits until the progress has changed since `seen`, or until the deadline.
  Progress WaitForProgress(const Progress& seen, CondVar::Deadline deadline);
  // Returns the backups, oldest first, as they were when the last one ended.
  std::vector<Backup> List();

  struct Wanted {
    ObjectKey key;
    // Nothing: as the newest backup has it. Else as it was at that time, as far as the archive reaches from the newest
    // backup that is not later; without an archive as that backup has it.
    std::optional<absl::Time> at;
    size_t bytes_max = SIZE_MAX;
    std::function<bool()> goes_on;  // as of PastObjectOptions
  };
  struct Found {
    PastObject object;
    // The object is as it was at this time; it is not after Wanted::at.
    absl::Time moment;
  };
  // Reads one object out of the backups. Blocking; one at a time. No backup is removed meanwhile, nor anything of the
  // archive: what is over is removed when the read has ended. Errors: those of ReadPastObject; NOT_FOUND also if there
  // is no backup, and INVALID_ARGUMENT if there is none before the time.
  absl::StatusOr<Found> ReadObject(const Wanted& wanted);

 private:
  Backups(BackupsOptions options, LoggedStore* store, Archiver* archiver, OpenCopies open_copies, DirectoryLock lock)
      : options_(std::move(options)),
        store_(store),
        archiver_(archiver),
        open_copies_(std::move(open_copies)),
        lock_(std::move(lock)) {}

  void Run();
  // Returns whether a backup is due by the schedule, or since the archive has begun a new line.
  bool IsDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Backup> Make();
  absl::StatusOr<Backup> Copy(StoreCopies* copies);
  absl::Status CheckRoom() const;
  // Waits until nobody reads the backups.
  absl::Status PruneBetweenReads(StoreCopies* copies);
  absl::Status Prune(StoreCopies* copies);
  void SetStep(Step step);
  absl::StatusOr<Found> ReadObjectHeld(const Wanted& wanted, const std::vector<Backup>& backups);

  const BackupsOptions options_;
  LoggedStore* const store_;
  Archiver* const archiver_;
  const OpenCopies open_copies_;
  const DirectoryLock lock_;
  std::thread thread_;

  Mutex mutex_;
  CondVar wake_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool requested_ ABSL_GUARDED_BY(mutex_) = false;
  Progress progress_ ABSL_GUARDED_BY(mutex_);
  std::vector<Backup> backups_ ABSL_GUARDED_BY(mutex_);     // oldest first
  StoreCopies* running_ ABSL_GUARDED_BY(mutex_) = nullptr;  // to be stopped with this
  // Backups are read, and are removed, at different times.
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool pruning_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BACKUP_BACKUPS_H_
