// One object as it was: in a backup, or at a moment after it that the archive reaches.
//
// The backup is read where it lies; nothing is copied, and nothing is written to a disk. What the archive has of the
// object is put on top of it in memory: batches are read one by one, and only the writes to the object are kept. So the
// memory is that of the object, twice, and one batch; the time is that of reading the archive from the backup on.
//
// Threading: one thread, which blocks.

#ifndef HOLDFAST_STORAGE_BACKUP_PAST_OBJECT_H_
#define HOLDFAST_STORAGE_BACKUP_PAST_OBJECT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/backup/backup_list.h"
#include "storage/object/object_image.h"
#include "storage/store/object_id.h"
#include "storage/store/store_copies.h"

namespace holdfast::storage {

struct PastObjectOptions {
  std::string directory;  // of the backups
  StoreCopies* copies = nullptr;
  Backup backup;  // one of `copies`, which stays meanwhile
  ObjectKey key;
  // Up to this time the archive is put on top of the backup, if the backup has a line of it.
  std::optional<absl::Time> until;
  // The most bytes of the object's keys and values.
  size_t bytes_max = SIZE_MAX;
  // Called often; the work ends soon with CANCELLED once it returns false.
  std::function<bool()> goes_on;
};

struct PastObject {
  ObjectImage image;
  Backup backup;
  // The time of the last batch of the archive, of any object, that was read; nothing: none was.
  std::optional<absl::Time> last_batch;
};

// Errors: NOT_FOUND if the object was not there; OUT_OF_RANGE if it is larger than `bytes_max`; DATA_LOSS if the backup
// is damaged, or the archive is, or has a gap; UNAVAILABLE; CANCELLED.
absl::StatusOr<PastObject> ReadPastObject(const PastObjectOptions& options);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BACKUP_PAST_OBJECT_H_
