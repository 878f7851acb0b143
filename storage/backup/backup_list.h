// The backups in a directory, each with its record.

#ifndef HOLDFAST_STORAGE_BACKUP_BACKUP_LIST_H_
#define HOLDFAST_STORAGE_BACKUP_BACKUP_LIST_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/backup/archive_files.h"
#include "storage/base/batch_number.h"
#include "storage/store/store_copies.h"

namespace holdfast::storage {

struct Backup {
  uint32_t id = 0;
  uint64_t bytes = 0;
  // The backup has everything that was committed before this time.
  absl::Time time;
  // The line of the archive that goes on from the backup; 0: there was no archive.
  ArchiveLine line = 0;
  // The last batch of each commit log that it holds.
  std::map<uint32_t, BatchNumber> folded;
};

// Returns the directory, in that of the backups, in which the copies of the store are.
std::string CopiesPath(const std::string& directory);

std::string EncodeBackupRecord(const Backup& backup);
// Returns the backups among the copies, in the order in which they were made. A copy whose record is garbled is left
// out.
std::vector<Backup> ListBackups(StoreCopies* copies);
// Returns the newest of `backups` whose time is not after `at`; nothing if there is none.
std::optional<Backup> FindBackup(const std::vector<Backup>& backups, absl::Time at);

// Returns the time as messages have it: "2026-01-02T03:04:05.678+00:00".
std::string TimeText(absl::Time time);

// Refuses with INVALID_ARGUMENT a directory of backups that is the data directory, is in it, or has it inside: a backup
// would copy itself, or go with the data. Missing directories are compared by name.
absl::Status CheckBackupDirectory(const std::string& directory, const std::string& data_dir);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BACKUP_BACKUP_LIST_H_
