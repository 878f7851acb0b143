#include "storage/backup/backups.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/log.h"
#include "storage/base/low_priority.h"

namespace holdfast::storage {
namespace {

constexpr int kBackupNice = 10;
// The schedule is looked at so often, and a backup that failed is tried again after this time.
constexpr std::chrono::milliseconds kLookEvery(200);
constexpr std::chrono::seconds kTryAgainAfter(10);
// A read waits so long until the archive has everything that was committed before.
constexpr std::chrono::seconds kCatchUpMax(5);

}  // namespace

absl::StatusOr<std::unique_ptr<Backups>> Backups::Open(BackupsOptions options, LoggedStore* store, Archiver* archiver,
                                                       OpenCopies open_copies) {
  absl::StatusOr<DirectoryLock> lock = DirectoryLock::Take(options.directory);
  if (!lock.ok()) return lock.status();
  auto copies = open_copies();
  if (!copies.ok()) return copies.status();
  std::unique_ptr<Backups> made(
      new Backups(std::move(options), store, archiver, std::move(open_copies), *std::move(lock)));
  {
    MutexLock locked(&made->mutex_);
    made->backups_ = ListBackups(copies->get());
  }
  made->thread_ = std::thread([backups = made.get()] { backups->Run(); });
  return made;
}

Backups::~Backups() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    if (running_ != nullptr) running_->Stop();
  }
  wake_.WakeOne();
  changed_.WakeAll();
  thread_.join();
}

uint64_t Backups::Request() {
  MutexLock lock(&mutex_);
  requested_ = true;
  wake_.WakeOne();
  return progress_.number + 1;
}

Backups::Progress Backups::progress() {
  MutexLock lock(&mutex_);
  return progress_;
}

Backups::Progress Backups::WaitForProgress(const Progress& seen, CondVar::Deadline deadline) {
  MutexLock lock(&mutex_);
  while (!stopping_ && progress_.number == seen.number && progress_.step == seen.step &&
         progress_.copied_bytes == seen.copied_bytes && changed_.WaitUntil(&mutex_, deadline)) {
  }
  return progress_;
}

std::vector<Backup> Backups::List() {
  MutexLock lock(&mutex_);
  return backups_;
}

void Backups::SetStep(Step step) {
  MutexLock lock(&mutex_);
  progress_.step = step;
  changed_.WakeAll();
}

bool Backups::IsDue() {
  // An archive is of use from the first backup of its line on.
  if (archiver_ != nullptr && (backups_.empty() || backups_.back().line != archiver_->line())) return true;
  if (options_.every == absl::InfiniteDuration()) return false;
  return backups_.empty() || options_.now() - backups_.back().time >= options_.every;
}

void Backups::Run() {
  GiveWay("backup", kBackupNice);
  CondVar::Deadline not_before;
  MutexLock lock(&mutex_);
  while (!stopping_) {
    const CondVar::Deadline next = std::chrono::steady_clock::now() + kLookEvery;
    const bool due = requested_ || (std::chrono::steady_clock::now() >= not_before && IsDue());
    if (!due) {
      (void)wake_.WaitUntil(&mutex_, next);
      continue;
    }
    requested_ = false;
    progress_ = {.number = progress_.number + 1, .step = Step::kFlushing};
    changed_.WakeAll();
    lock.Unlock();
    const auto start = std::chrono::steady_clock::now();
    const absl::StatusOr<Backup> made = Make();
    const absl::Duration time = absl::FromChrono(std::chrono::steady_clock::now() - start);
    if (made.ok()) {
      Log(LogLevel::kInfo, "backup_made",
          {{"backup", absl::StrCat(made->id)},
           {"bytes", absl::StrCat(made->bytes)},
           {"time", TimeText(made->time)},
           {"took", absl::FormatDuration(time)}});
    } else {
      not_before = std::chrono::steady_clock::now() + kTryAgainAfter;
      // Only the end of the server cancels a backup.
      const LogLevel level = absl::IsCancelled(made.status()) ? LogLevel::kInfo : LogLevel::kError;
      Log(level, "backup_failed", {{"status", made.status().ToString()}});
    }
    lock.Lock();
    progress_.step = Step::kNone;
    progress_.outcome = made.status();
    if (made.ok()) progress_.made = *made;
    changed_.WakeAll();
  }
}

absl::Status Backups::CheckRoom() const {
  const std::optional<uint64_t> free = options_.free_bytes != nullptr ? options_.free_bytes() : std::nullopt;
  if (!free || *free >= options_.disk_reserve_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("the backup directory ", options_.directory, " has ", *free,
                                                   " bytes free, and ", options_.disk_reserve_bytes, " are kept free"));
}

absl::StatusOr<Backup> Backups::Make() {
  if (absl::Status status = CheckRoom(); !status.ok()) return status;
  auto copies = open_copies_();
  if (!copies.ok()) return copies.status();
  {
    MutexLock lock(&mutex_);
    if (stopping_) return absl::CancelledError("the server stops");
    running_ = copies->get();
  }
  absl::StatusOr<Backup> made = Copy(copies->get());
  if (made.ok()) {
    SetStep(Step::kPruning);
    // The next backup removes whatever is left now.
    if (absl::Status status = PruneBetweenReads(copies->get()); !status.ok()) {
      Log(LogLevel::kWarning, "backups_not_pruned", {{"status", status.ToString()}});
    }
  }
  const std::vector<Backup> left = ListBackups(copies->get());
  MutexLock lock(&mutex_);
  backups_ = left;
  running_ = nullptr;
  return made;
}

absl::StatusOr<Backup> Backups::Copy(StoreCopies* copies) {
  if (absl::Status status = copies->Prepare(); !status.ok()) return status;
  Backup backup;
  // The line is read before the fold: if it ends meanwhile, the backup is of a line that has ended, and another
  // follows.
  if (archiver_ != nullptr) backup.line = archiver_->line();
  SetStep(Step::kFolding);
  absl::Status room;
  const absl::Status status =
      store_->HoldFolds([&](const LoggedStore::Folded& folded, const LoggedStore::Release& release) -> absl::Status {
        SetStep(Step::kCopying);
        backup.time = options_.now();
        backup.folded = folded;
        const StoreCopies::Watch watch{.settled = release, .grown = [&](uint64_t bytes) {
                                         if (room.ok()) room = CheckRoom();
                                         if (!room.ok()) copies->Stop();
                                         MutexLock lock(&mutex_);
                                         progress_.copied_bytes = bytes;
                                         changed_.WakeAll();
                                       }};
        auto copy = copies->Create(EncodeBackupRecord(backup), watch);
        if (!copy.ok()) return copy.status();
        backup.id = copy->id;
        backup.bytes = copy->bytes;
        return absl::OkStatus();
      });
  if (!room.ok()) return room;
  if (!status.ok()) return status;
  SetStep(Step::kVerifying);
  if (absl::Status verified = copies->Verify(backup.id); !verified.ok()) {
    // Otherwise nobody knows yet; a restore looks again.
    if (absl::IsDataLoss(verified)) (void)copies->Delete(backup.id);
    return verified;
  }
  return backup;
}

absl::Status Backups::PruneBetweenReads(StoreCopies* copies) {
  {
    MutexLock lock(&mutex_);
    // From here on no read begins, so that reads without end don't keep the old backups.
    pruning_ = true;
    while (reading_ && !stopping_) changed_.Wait(&mutex_);
    if (reading_) {
      pruning_ = false;
      return absl::CancelledError("the server stops");
    }
  }
  const absl::Status status = Prune(copies);
  const std::vector<Backup> left = ListBackups(copies);
  MutexLock lock(&mutex_);
  backups_ = left;
  pruning_ = false;
  changed_.WakeAll();
  return status;
}

absl::StatusOr<Backups::Found> Backups::ReadObject(const Wanted& wanted) {
  std::vector<Backup> backups;
  {
    MutexLock lock(&mutex_);
    while (pruning_ && !reading_) changed_.Wait(&mutex_);
    if (reading_) return absl::FailedPreconditionError("the backups are being read already");
    reading_ = true;
    backups = backups_;
  }
  absl::StatusOr<Found> found = ReadObjectHeld(wanted, backups);
  MutexLock lock(&mutex_);
  reading_ = false;
  changed_.WakeAll();
  return found;
}

absl::StatusOr<Backups::Found> Backups::ReadObjectHeld(const Wanted& wanted, const std::vector<Backup>& backups) {
  if (backups.empty()) return absl::NotFoundError("there is no backup yet");
  const std::optional<Backup> backup = FindBackup(backups, wanted.at.value_or(absl::InfiniteFuture()));
  if (!backup) {
    return absl::InvalidArgumentError(
        absl::StrCat("no backup is so old; the oldest is of ", TimeText(backups[0].time)));
  }
  const absl::StatusOr<std::unique_ptr<StoreCopies>> copies = options_.open_to_read();
  if (!copies.ok()) return copies.status();
  PastObjectOptions options;
  options.directory = options_.directory;
  options.copies = copies->get();
  options.backup = *backup;
  options.key = wanted.key;
  options.bytes_max = wanted.bytes_max;
  options.goes_on = wanted.goes_on;
  // The archive reaches up to now if it goes on from the backup and has caught up; nothing may be missing then.
  bool reaches = false;
  if (wanted.at) {
    options.until = std::min(*wanted.at, options_.now());
    reaches = archiver_ != nullptr && archiver_->CatchUp(std::chrono::steady_clock::now() + kCatchUpMax) &&
              archiver_->line() == backup->line;
  }
  absl::StatusOr<PastObject> object = ReadPastObject(options);
  if (absl::IsNotFound(object.status())) {
    return absl::NotFoundError(
        absl::StrCat(object.status().message(), ", by the backup ", backup->id, " of ", TimeText(backup->time),
                     reaches ? absl::StrCat(" and the archive up to ", TimeText(*options.until)) : ""));
  }
  if (!object.ok()) return object.status();
  Found found{.object = *std::move(object), .moment = backup->time};
  if (found.object.last_batch) found.moment = std::max(found.moment, *found.object.last_batch);
  if (reaches) found.moment = std::max(found.moment, *options.until);
  return found;
}

absl::Status Backups::Prune(StoreCopies* copies) {
  std::vector<Backup> backups = ListBackups(copies);
  while (backups.size() > static_cast<size_t>(options_.keep)) {
    if (absl::Status status = copies->Delete(backups.front().id); !status.ok()) return status;
    backups.erase(backups.begin());
  }
  if (archiver_ == nullptr) return absl::OkStatus();
  std::map<ArchiveLine, std::map<uint32_t, BatchNumber>> kept;
  for (const Backup& backup : backups) {
    if (backup.line != 0) kept.try_emplace(backup.line, backup.folded);
  }
  return archiver_->Prune(kept);
}

}  // namespace holdfast::storage
