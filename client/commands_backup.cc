// admin backup, backups and restore-object.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands.h"

namespace holdfast::client {
namespace {

using v1::AdminService;

constexpr absl::Duration kBackupLook = absl::Milliseconds(200);

// Makes a backup and waits for its end; prints each step once.
int RunBackup(Session& session) {
  const auto begun = session.client().Call(CallKind::kMutation, &AdminService::Stub::CreateBackup, {});
  if (!begun.ok()) return session.Failed(CallKind::kMutation, begun.status());
  std::string step;
  while (true) {
    const auto listed = session.client().Call(CallKind::kIdempotent, &AdminService::Stub::ListBackups, {});
    if (!listed.ok()) return session.Failed(CallKind::kIdempotent, listed.status());
    const v1::BackupProgress& progress = listed->progress();
    if (progress.number() > begun->number() || (progress.number() == begun->number() && progress.step().empty())) {
      if (!progress.error().empty() && progress.number() == begun->number()) {
        return session.Failed(CallKind::kIdempotent, absl::AbortedError(progress.error()));
      }
      if (session.globals().json) return session.PrintJson(*listed);
      if (!listed->backups().empty()) {
        const v1::BackupSummary& made = listed->backups(listed->backups_size() - 1);
        session.text().Line(absl::StrCat("backup ", made.id(), " of ", TimeText(made.create_time()), ", ",
                                         BytesText(made.size_bytes())));
      }
      return kExitOk;
    }
    if (!session.globals().json && progress.number() == begun->number() && progress.step() != step) {
      step = progress.step();
      session.text().Line(absl::StrCat(step, "  ", BytesText(progress.copied_bytes()), " copied"));
      if (!session.Flush()) return kExitFailed;
    }
    // The server gives no event when a backup goes on; a person or a script waits here, and nothing else.
    session.Sleep(kBackupLook);
  }
}

CommandBody DeclareBackup(Arguments& arguments) {
  arguments.PrintsJson<v1::ListBackupsResponse>();
  arguments.TakesNoRequestId();
  return [](Session& session) { return RunBackup(session); };
}

}  // namespace

void AddBackupCommands(CommandGroup& admin) {
  admin.Command("backup", "Make a backup into the directory of the server's configuration, and wait for it",
                DeclareBackup);
  admin.Add(Unary<&AdminService::Stub::ListBackups>{
      .name = "backups",
      .help = "List the backups",
      .kind = CallKind::kIdempotent,
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            std::vector<std::vector<std::string>> rows;
            for (const v1::BackupSummary& backup : response.backups()) {
              rows.push_back(
                  {absl::StrCat(backup.id()), TimeText(backup.create_time()), BytesText(backup.size_bytes())});
            }
            text.Table({"ID", "TIME", "BYTES"}, rows);
          },
  });
  admin.Add(Unary<&AdminService::Stub::RestoreObject>{
      .name = "restore-object",
      .help =
          "Bring one object back out of the backups into the running server, whole; prints the moment it is of. A long "
          "archive takes a longer --timeout",
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments.Value("--at", "TIME",
                            "As of which moment, e.g. 2024-05-01T12:00:00Z; default that of the newest backup",
                            [&request](const std::string& text) {
                              const absl::StatusOr<absl::Time> time = ParseMoment(text, absl::Now());
                              if (time.ok()) *request.mutable_at() = ToProto(*time);
                              return time.status();
                            });
            arguments.Text("--as", "OTHER", "Restore it under this name, in the same namespace and class",
                           [&request](const std::string& name) { request.set_target_name(name); });
            arguments.Flag("--replace", "Replace an object that is there; without this it is left as it is",
                           [&request] { request.set_replace(true); });
          },
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            text.Line(absl::StrCat("as of ", TimeText(response.restored_to()), ", out of backup ", response.backup_id(),
                                   ", ", BytesText(response.bytes())));
          },
  });
}

}  // namespace holdfast::client
