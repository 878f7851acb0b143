#include "storage/backup/archiver.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "storage/base/log.h"
#include "storage/base/low_priority.h"
#include "storage/log/file_commit_logs.h"
#include "storage/log/log_reader.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

// The archive must keep up with the logs, so it gives way no more than the fold does.
constexpr int kArchiveNice = 5;

std::string LineFile(const std::string& data_dir) { return data_dir + "/archive-line"; }

// Returns nothing if there is no number, or one that is garbled.
std::optional<ArchiveLine> ReadLine(const std::string& data_dir) {
  std::ifstream file(LineFile(data_dir));
  std::string text;
  ArchiveLine line;
  if (!std::getline(file, text) || !absl::SimpleHexAtoi(text, &line)) return std::nullopt;
  return line;
}

absl::Status WriteLine(const std::string& data_dir, ArchiveLine line) {
  const std::string path = LineFile(data_dir);
  const std::string next = path + ".new";
  absl::StatusOr<LogFile> file = OpenToWrite(next);
  if (!file.ok()) return file.status();
  if (absl::Status status = file->Write(0, absl::StrFormat("%016x\n", line)); !status.ok()) return status;
  if (absl::Status status = file->Sync(); !status.ok()) return status;
  std::error_code error;
  fs::rename(next, path, error);
  if (error) return absl::UnavailableError(absl::StrCat("rename to ", path, ": ", error.message()));
  return SyncDirectory(data_dir);
}

}  // namespace

Archiver::Archiver(ArchiverOptions options)
    : options_(std::move(options)), marks_([this] {
        full_segment_ = true;
        wake_.WakeOne();
      }) {}

absl::Status Archiver::EndLine(const std::string& data_dir) {
  std::error_code error;
  if (!fs::remove(LineFile(data_dir), error)) return absl::OkStatus();
  return SyncDirectory(data_dir);
}

absl::StatusOr<std::unique_ptr<Archiver>> Archiver::Open(ArchiverOptions options) {
  std::unique_ptr<Archiver> archiver(new Archiver(std::move(options)));
  const std::optional<ArchiveLine> line = ReadLine(archiver->options_.data_dir);
  absl::Status status = absl::NotFoundError("");
  if (line) {
    archiver->line_ = *line;
    status = archiver->ContinueLine();
  }
  // The store and the archive do not meet. Damage of the logs is found when the store is opened.
  if (absl::IsNotFound(status) || absl::IsDataLoss(status)) {
    if (line) Log(LogLevel::kError, "archive_gap", {{"status", status.ToString()}});
    // A new line has no use for the contents of the logs: it goes on from a backup that has them.
    archiver->marks_.Reset();
    status = archiver->BeginLine();
  }
  if (!status.ok()) return status;
  return archiver;
}

absl::Status Archiver::BeginLine() {
  line_ = options_.random();
  epoch_ = 1;
  // The directory comes first: a line without one would look like a lost archive.
  if (absl::Status status = MakeArchiveEpoch(options_.directory, line_, epoch_); !status.ok()) return status;
  if (absl::Status status = WriteLine(options_.data_dir, line_); !status.ok()) return status;
  Log(LogLevel::kInfo, "archive_line_begun", {{"line", absl::StrFormat("%016x", line_)}});
  return absl::OkStatus();
}

absl::Status Archiver::ContinueLine() {
  const absl::StatusOr<uint32_t> last_epoch = LastArchiveEpoch(options_.directory, line_);
  if (!last_epoch.ok()) return last_epoch.status();
  if (*last_epoch == 0) return absl::NotFoundError(ArchiveLinePath(options_.directory, line_) + " is missing");
  const auto files = ListArchiveFiles(options_.directory, line_);
  if (!files.ok()) return files.status();
  std::map<uint32_t, const ArchiveFile*> newest;
  for (const ArchiveFile& file : *files) newest[file.log] = &file;
  for (const auto& [log, file] : newest) {
    BatchNumber last = file->first - 1;
    const auto end = ReadArchiveFile(*file, [&](BatchNumber batch, int64_t, absl::string_view) {
      last = batch;
      return true;
    });
    if (!end.ok()) return end.status();
    marks_.For(log)->SetArchived(last);
  }
  FileCommitLogs logs({.directory = options_.data_dir});
  const auto found = logs.List();
  if (!found.ok()) return found.status();
  for (uint32_t log : *found) {
    if (absl::Status status = ArchiveRest(log, *last_epoch); !status.ok()) return status;
  }
  epoch_ = *last_epoch + 1;
  return MakeArchiveEpoch(options_.directory, line_, epoch_);
}

absl::Status Archiver::ArchiveRest(uint32_t log, uint32_t epoch) {
  ArchiveMark* const mark = marks_.For(log);
  // A log that is not in the archive is one that this line has not seen yet.
  BatchNumber last = mark->archived() == ArchiveMark::kNothingWaits ? 0 : mark->archived();
  ArchiveWriter writer(ArchiveEpochPath(options_.directory, line_, epoch), log, options_.run, options_.file_bytes);
  const auto read = ReadLog(FileCommitLogs::DirectoryOf(options_.data_dir, log), log, last,
                            [&](BatchNumber batch, int64_t time_us, absl::string_view payload) {
                              last = batch;
                              return writer.Add(batch, time_us, payload);
                            });
  if (!read.ok()) return read.status();
  if (absl::Status status = writer.Sync(); !status.ok()) return status;
  mark->SetArchived(last);
  return absl::OkStatus();
}

std::unique_ptr<ArchiveWriter> Archiver::NewWriter(uint32_t log) const {
  return std::make_unique<ArchiveWriter>(ArchiveEpochPath(options_.directory, line_, epoch_), log, options_.run,
                                         options_.file_bytes);
}

absl::Status Archiver::Start(uint32_t logs) {
  // A line that has begun just now has no files, and its batches begin here.
  const auto files = ListArchiveFiles(options_.directory, line_);
  if (!files.ok()) return files.status();
  bool meets = true;
  for (uint32_t number = 0; number < logs && (!files->empty() || epoch_ > 1); ++number) {
    const ArchiveMark* const mark = marks_.For(number);
    if (mark->archived() == mark->durable() || mark->archived() == ArchiveMark::kNothingWaits) continue;
    meets = false;
    Log(LogLevel::kError, "archive_gap",
        {{"log", absl::StrCat(number)},
         {"archived", absl::StrCat(mark->archived())},
         {"durable", absl::StrCat(mark->durable())}});
  }
  if (!meets) {
    if (absl::Status status = BeginLine(); !status.ok()) return status;
  }
  for (uint32_t number = 0; number < logs; ++number) {
    ArchiveMark* const mark = marks_.For(number);
    const BatchNumber last = mark->durable();
    mark->SetArchived(last);
    OpenLog& log = logs_[number];
    log.mark = mark;
    log.follower =
        std::make_unique<SegmentFollower>(FileCommitLogs::DirectoryOf(options_.data_dir, number), options_.run, last);
    log.writer = NewWriter(number);
    // The file says where the log goes on, also if the process ends before it has a batch.
    if (absl::Status status = log.writer->Begin(last + 1); !status.ok()) return status;
    if (absl::Status status = log.writer->Sync(); !status.ok()) return status;
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Archiver::Stop() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.WakeOne();
  thread_.join();
}

void Archiver::Run() {
  GiveWay("archive", kArchiveNice);
  bool failed = false;
  MutexLock lock(&mutex_);
  while (true) {
    const CondVar::Deadline next = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.interval);
    while (!stopping_ && !full_segment_ && wake_.WaitUntil(&mutex_, next)) {
    }
    full_segment_ = false;
    const bool last = stopping_;
    const uint64_t pass = ++passes_begun_;
    lock.Unlock();
    const absl::Status status = ArchiveAll();
    // One line when it begins to fail and one when it works again, however long that takes.
    if (status.ok() == failed) {
      failed = !status.ok();
      Log(failed ? LogLevel::kError : LogLevel::kInfo, failed ? "archive_failed" : "archive_works",
          {{"status", status.ToString()}});
    }
    lock.Lock();
    if (status.ok()) pass_done_ = pass;
    passed_.WakeAll();
    if (last) return;
    // A failure is not tried again at once for a segment that fills.
    while (failed && !stopping_ && wake_.WaitUntil(&mutex_, next)) {
    }
  }
}

bool Archiver::CatchUp(CondVar::Deadline deadline) {
  MutexLock lock(&mutex_);
  // The pass that is under way may have looked at some logs before the call.
  const uint64_t wanted = passes_begun_ + 1;
  full_segment_ = true;
  wake_.WakeOne();
  while (pass_done_ < wanted && !stopping_ && passed_.WaitUntil(&mutex_, deadline)) {
  }
  return pass_done_ >= wanted;
}

absl::Status Archiver::ArchiveAll() {
  absl::Status first;
  for (auto& [number, log] : logs_) {
    const absl::Status status = ArchiveLog(number, &log);
    if (first.ok()) first = status;
  }
  return first;
}

absl::Status Archiver::ArchiveLog(uint32_t number, OpenLog* log) {
  const BatchNumber durable = log->mark->durable();
  absl::Status status =
      log->follower->Read(durable, [&](BatchNumber batch, int64_t time_us, absl::string_view payload) {
        return log->writer->Add(batch, time_us, payload);
      });
  const bool missing = absl::IsNotFound(status);
  if (status.ok() || missing) {
    const absl::Status synced = log->writer->Sync();
    if (!synced.ok()) status = synced;
  }
  if (!status.ok() && !(missing && absl::IsNotFound(status))) {
    log->follower->GoBack();
    return status;
  }
  log->follower->Keep();
  log->mark->SetArchived(log->follower->last());
  if (!missing) return absl::OkStatus();
  Log(LogLevel::kError, "archive_gap", {{"status", status.ToString()}});
  // All logs go on in a new line: what they have archived so far is of no use beyond the gap.
  if (absl::Status begun = BeginLine(); !begun.ok()) return begun;
  for (auto& [other, state] : logs_) state.writer = NewWriter(other);
  return ArchiveLog(number, log);
}

absl::Status Archiver::Prune(const std::map<ArchiveLine, std::map<uint32_t, BatchNumber>>& kept) {
  const auto lines = ListArchiveLines(options_.directory);
  if (!lines.ok()) return lines.status();
  for (ArchiveLine line : *lines) {
    if (const auto found = kept.find(line); found != kept.end()) {
      if (absl::Status status = PruneArchiveLine(options_.directory, line, found->second); !status.ok()) return status;
    } else if (line != line_) {
      std::error_code error;
      fs::remove_all(ArchiveLinePath(options_.directory, line), error);
      if (error) return absl::UnavailableError(absl::StrCat("remove an archive: ", error.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace holdfast::storage
