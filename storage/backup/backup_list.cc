#include "storage/backup/backup_list.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::storage {
namespace {

using holdfast::storage::v1::BackupRecord;

// Returns whether `path` is `above`, or is inside it.
bool IsIn(const std::filesystem::path& path, const std::filesystem::path& above) {
  const auto [a, p] = std::mismatch(above.begin(), above.end(), path.begin(), path.end());
  return a == above.end();
}

// Returns the path without links, and without an empty last part.
std::filesystem::path Resolved(const std::string& path) {
  std::error_code error;
  std::filesystem::path whole = std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
  if (error) whole = std::filesystem::path(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

std::string CopiesPath(const std::string& directory) { return directory + "/store"; }

std::string EncodeBackupRecord(const Backup& backup) {
  BackupRecord record;
  record.set_time_us(absl::ToUnixMicros(backup.time));
  record.set_archive_line(backup.line);
  for (const auto& [log, folded] : backup.folded) (*record.mutable_folded())[log] = folded;
  return record.SerializeAsString();
}

std::vector<Backup> ListBackups(StoreCopies* copies) {
  std::vector<Backup> backups;
  for (const StoreCopies::Copy& copy : copies->List()) {
    BackupRecord record;
    if (!record.ParseFromString(copy.record) || record.time_us() == 0) continue;
    Backup& backup = backups.emplace_back();
    backup.id = copy.id;
    backup.bytes = copy.bytes;
    backup.time = absl::FromUnixMicros(record.time_us());
    backup.line = record.archive_line();
    backup.folded.insert(record.folded().begin(), record.folded().end());
  }
  return backups;
}

std::optional<Backup> FindBackup(const std::vector<Backup>& backups, absl::Time at) {
  const auto found =
      std::find_if(backups.rbegin(), backups.rend(), [at](const Backup& backup) { return backup.time <= at; });
  if (found == backups.rend()) return std::nullopt;
  return *found;
}

std::string TimeText(absl::Time time) { return absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone()); }

absl::Status CheckBackupDirectory(const std::string& directory, const std::string& data_dir) {
  const std::filesystem::path backups = Resolved(directory);
  const std::filesystem::path data = Resolved(data_dir);
  if (!IsIn(backups, data) && !IsIn(data, backups)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the backup directory ", backups.string(), " and the data directory ",
                                                 data.string(), " must not be inside each other"));
}

}  // namespace holdfast::storage
