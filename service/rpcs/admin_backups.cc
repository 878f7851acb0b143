// CreateBackup and ListBackups.

#include <cstdint>
#include <string>

#include "actors/wire/errors.h"
#include "service/call/admin_services.h"
#include "service/rpcs/admin_calls.h"
#include "storage/backup/backups.h"

namespace holdfast::service {
namespace {

using storage::Backup;
using storage::Backups;

// Returns the backups, or null, and ends the call, if the call may not have them.
Backups* BackupsOf(Endpoint* endpoint, Admission admit, DirectDone& done) {
  absl::Status status = admit(Target::Server());
  Backups* const backups = endpoint->admin->backups;
  if (status.ok() && backups == nullptr) status = NoBackups();
  if (status.ok()) return backups;
  done(status);
  return nullptr;
}

std::string StepName(Backups::Step step) {
  switch (step) {
    case Backups::Step::kNone:
      return "";
    case Backups::Step::kFlushing:
      return "flushing";
    case Backups::Step::kFolding:
      return "folding";
    case Backups::Step::kCopying:
      return "copying";
    case Backups::Step::kVerifying:
      return "verifying";
    case Backups::Step::kPruning:
      return "pruning";
  }
  return "";
}

}  // namespace

absl::Status NoBackups() {
  return actors::Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_PRECONDITION_FAILED,
                       "the configuration has no directory for backups (backup.directory)");
}

void CreateBackup(Endpoint* endpoint, Admission admit, const v1::CreateBackupRequest&,
                  v1::CreateBackupResponse* response, DirectDone done) {
  Backups* const backups = BackupsOf(endpoint, admit, done);
  if (backups == nullptr) return;
  response->set_number(static_cast<int64_t>(backups->Request()));
  done(absl::OkStatus());
}

void ListBackups(Endpoint* endpoint, Admission admit, const v1::ListBackupsRequest&, v1::ListBackupsResponse* response,
                 DirectDone done) {
  Backups* const backups = BackupsOf(endpoint, admit, done);
  if (backups == nullptr) return;
  // A backup that ends between the two is told by the next call.
  const Backups::Progress progress = backups->progress();
  for (const Backup& backup : backups->List()) {
    v1::BackupSummary* const summary = response->add_backups();
    summary->set_id(backup.id);
    actors::SetTimestamp(absl::ToUnixMicros(backup.time), summary->mutable_create_time());
    summary->set_size_bytes(static_cast<int64_t>(backup.bytes));
  }
  v1::BackupProgress* const told = response->mutable_progress();
  told->set_number(static_cast<int64_t>(progress.number));
  told->set_step(StepName(progress.step));
  told->set_copied_bytes(static_cast<int64_t>(progress.copied_bytes));
  if (!progress.outcome.ok()) told->set_error(std::string(progress.outcome.message()));
  done(absl::OkStatus());
}

}  // namespace holdfast::service
