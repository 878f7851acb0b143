// Brings a store back from a backup, at the time of the backup or, with the archive, at any moment after it.
//
// The store is restored beside the wanted data directory, in "DATA_DIR.restoring", and gets its name at the end: after
// a crash there is no data directory, and one that is there is whole. The restored store has no commit logs; the server
// that opens it goes on behind its marks. It begins a new line of the archive.
//
// Errors, after which nothing is restored and the backups are as before: NOT_FOUND if there is no backup, or none
// before the time; FAILED_PRECONDITION if the data directory is not empty; DATA_LOSS if the backup is damaged or the
// archive has a gap, with the file; RESOURCE_EXHAUSTED if the disk is full.

#ifndef HOLDFAST_STORAGE_BACKUP_RESTORE_H_
#define HOLDFAST_STORAGE_BACKUP_RESTORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/backup/backup_list.h"
#include "storage/store/store.h"
#include "storage/store/store_copies.h"

namespace holdfast::storage {

struct RestoreOptions {
  std::string directory;  // of the backups
  std::string data_dir;
  // Without it, everything that the newest backup and the archive have.
  std::optional<absl::Time> at;
  StoreCopies* copies = nullptr;  // in CopiesPath(directory)
  // Opens the store that was copied to a directory.
  std::function<absl::StatusOr<std::unique_ptr<Store>>(const std::string& data_dir)> open_store;
};

struct Restored {
  Backup backup;
  // The batches that came from the archive, and the time of the last one.
  uint64_t batches = 0;
  std::optional<absl::Time> last;
};

absl::StatusOr<Restored> Restore(const RestoreOptions& options);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BACKUP_RESTORE_H_
