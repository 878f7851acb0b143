#include "storage/backup/restore.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/backup/archive_files.h"
#include "storage/fold/logged_store.h"
#include "storage/log/commit_logs.h"
#include "storage/log/log_files.h"
#include "storage/node/families.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

// The logs of the store that was copied. None of them is restored: what the copy lacks is in the archive.
class NoLogs final : public CommitLogs {
 public:
  explicit NoLogs(const std::map<uint32_t, BatchNumber>& known) {
    for (const auto& [log, folded] : known) known_.push_back(log);
  }
  absl::StatusOr<std::vector<uint32_t>> List() override { return known_; }
  absl::StatusOr<LogContents> Read(uint32_t, BatchNumber folded, ReplayBatch) override {
    return LogContents{.last = folded};
  }
  absl::StatusOr<std::unique_ptr<CommitLog>> Open(uint32_t, const LogContents&) override {
    return absl::InternalError("a restore opens no log");
  }
  absl::Status Remove(uint32_t) override { return absl::OkStatus(); }
  std::string NameOf(uint32_t log) const override { return absl::StrCat("log ", log); }

 private:
  std::vector<uint32_t> known_;
};

absl::Status Failed(const std::string& what, const std::error_code& error) {
  const auto code =
      error == std::errc::no_space_on_device ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kUnavailable;
  return absl::Status(code, absl::StrCat(what, ": ", error.message()));
}

// Checks that nothing is restored over a store, or over the rest of a restore.
absl::Status CheckTarget(const std::string& data_dir, const std::string& restoring) {
  std::error_code error;
  if (fs::exists(data_dir, error) && !(fs::is_directory(data_dir, error) && fs::is_empty(data_dir, error))) {
    return absl::FailedPreconditionError(
        absl::StrCat("the data directory ", data_dir, " is not empty; a restore makes a new one"));
  }
  if (fs::exists(restoring, error)) {
    return absl::FailedPreconditionError(absl::StrCat(restoring, " is left of a restore that did not end; remove it"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Backup> Choose(const RestoreOptions& options) {
  const std::vector<Backup> backups = ListBackups(options.copies);
  if (backups.empty()) return absl::NotFoundError(absl::StrCat(options.directory, " has no backup"));
  const std::optional<Backup> found = FindBackup(backups, options.at.value_or(absl::InfiniteFuture()));
  if (found) return *found;
  return absl::NotFoundError(absl::StrCat(options.directory, " has no backup before ", TimeText(*options.at),
                                          "; the oldest is of ", TimeText(backups.front().time)));
}

// Does what the start of the next run did: drops the families that no object has, whose names that run may use again.
absl::Status EndRun(LoggedStore* store) {
  if (absl::Status status = store->Fold(); !status.ok()) return status;
  Families families(store, std::numeric_limits<int>::max());
  if (absl::Status status = families.Recover(); !status.ok()) return status;
  return store->Fold();
}

absl::StatusOr<Restored> RestoreTo(const std::string& restoring, const Backup& backup, const RestoreOptions& options) {
  if (absl::Status status = options.copies->Restore(backup.id, restoring); !status.ok()) return status;
  auto below = options.open_store(restoring);
  if (!below.ok()) return below.status();
  LoggedStoreOptions logged;
  logged.logs = 0;
  logged.fold_every = absl::InfiniteDuration();
  auto store = LoggedStore::Open(*std::move(below), std::make_unique<NoLogs>(backup.folded), std::move(logged));
  if (!store.ok()) return store.status();
  Restored restored{.backup = backup};
  uint32_t epoch = 0;
  if (backup.line != 0) {
    const int64_t until_us = options.at ? absl::ToUnixMicros(*options.at) : INT64_MAX;
    absl::Status replayed = ReplayArchive(
        options.directory, backup.line, (*store)->folded(), until_us,
        [&](const ArchiveFile& file, BatchNumber batch, int64_t time_us, absl::string_view payload) -> absl::Status {
          if (std::exchange(epoch, file.epoch) < file.epoch && restored.batches > 0) {
            if (absl::Status status = EndRun(store->get()); !status.ok()) return status;
          }
          ++restored.batches;
          restored.last = std::max(restored.last.value_or(absl::InfinitePast()), absl::FromUnixMicros(time_us));
          return (*store)->Replay(file.log, batch, payload);
        });
    if (!replayed.ok()) return replayed;
  }
  if (absl::Status status = (*store)->Fold(); !status.ok()) return status;
  return restored;
}

}  // namespace

absl::StatusOr<Restored> Restore(const RestoreOptions& options) {
  fs::path data_dir = fs::path(options.data_dir).lexically_normal();
  if (!data_dir.has_filename()) data_dir = data_dir.parent_path();
  const std::string restoring = data_dir.string() + ".restoring";
  if (absl::Status status = CheckTarget(data_dir, restoring); !status.ok()) return status;
  const absl::StatusOr<Backup> backup = Choose(options);
  if (!backup.ok()) return backup.status();
  if (absl::Status status = options.copies->Verify(backup->id); !status.ok()) return status;

  std::error_code error;
  fs::create_directories(restoring, error);
  if (error) return Failed(restoring, error);
  absl::StatusOr<Restored> restored = RestoreTo(restoring, *backup, options);
  if (!restored.ok()) {
    fs::remove_all(restoring, error);
    return restored;
  }
  fs::rename(restoring, data_dir, error);
  if (error) return Failed(absl::StrCat("rename ", restoring), error);
  const std::string above = data_dir.parent_path().string();
  if (absl::Status status = SyncDirectory(above.empty() ? "." : above); !status.ok()) return status;
  return restored;
}

}  // namespace holdfast::storage
