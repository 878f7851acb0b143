#include "storage/backup/archive_files.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "storage/base/group_access.h"
#include "storage/log/log_format.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

constexpr char kArchive[] = "archive";
constexpr char kSuffix[] = ".log";
constexpr size_t kBufferBytes = 1 << 20;

std::string ArchiveFilePath(const std::string& epoch_path, uint32_t log, BatchNumber first) {
  return absl::StrFormat("%s/%04d-%020d%s", epoch_path, log, first, kSuffix);
}

// Calls `each` with the names in a directory, which may be missing.
absl::Status ForEachName(const std::string& directory, absl::FunctionRef<void(const std::string&)> each) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    each(it->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return absl::UnavailableError(absl::StrCat("list ", directory, ": ", error.message()));
  }
  return absl::OkStatus();
}

std::optional<ArchiveFile> ParseName(const std::string& epoch_path, uint32_t epoch, const std::string& name) {
  absl::string_view digits = name;
  ArchiveFile file{.epoch = epoch, .path = absl::StrCat(epoch_path, "/", name)};
  const size_t dash = digits.find('-');
  if (!absl::ConsumeSuffix(&digits, kSuffix) || dash == absl::string_view::npos || dash > digits.size() ||
      !absl::SimpleAtoi(digits.substr(0, dash), &file.log) || !absl::SimpleAtoi(digits.substr(dash + 1), &file.first) ||
      file.path != ArchiveFilePath(epoch_path, file.log, file.first)) {
    return std::nullopt;
  }
  return file;
}

absl::StatusOr<std::set<uint32_t>> ListEpochs(const std::string& directory, ArchiveLine line) {
  std::set<uint32_t> epochs;
  const absl::Status status = ForEachName(ArchiveLinePath(directory, line), [&](const std::string& name) {
    uint32_t epoch;
    if (absl::SimpleAtoi(name, &epoch) && absl::StrFormat("%08d", epoch) == name) epochs.insert(epoch);
  });
  if (!status.ok()) return status;
  return epochs;
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  if (fs::create_directories(path, error)) ShareWithGroup(path);
  if (!error) return SyncDirectory(fs::path(path).parent_path());
  const auto code =
      error == std::errc::no_space_on_device ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kUnavailable;
  return absl::Status(code, absl::StrCat("make ", path, ": ", error.message()));
}

// Returns the whole record of the file that begins at `offset`; nothing if there is none. Its payload is in `*bytes`.
absl::StatusOr<std::optional<LogRecord>> ReadRecord(const LogFile& file, const LogSegmentHeader& header,
                                                    uint64_t offset, uint64_t size, std::string* bytes) {
  if (size - offset < kLogRecordHeaderBytes) return std::nullopt;
  if (absl::Status status = file.Read(offset, kLogRecordHeaderBytes, bytes); !status.ok()) return status;
  if (bytes->size() < kLogRecordHeaderBytes) return std::nullopt;
  uint32_t payload;
  std::memcpy(&payload, bytes->data() + sizeof(uint64_t), sizeof(payload));
  if (payload > size - offset - kLogRecordHeaderBytes) return std::nullopt;
  if (absl::Status status = file.Read(offset, kLogRecordHeaderBytes + payload, bytes); !status.ok()) return status;
  return ParseLogRecord(*bytes, header.run, header.segment);
}

struct OpenedFile {
  LogFile file;
  uint64_t size;
  LogSegmentHeader header;
};

// Returns nothing if the file has no header: a crash came before.
absl::StatusOr<std::optional<OpenedFile>> OpenArchiveFile(const ArchiveFile& name) {
  absl::StatusOr<LogFile> file = OpenToRead(name.path);
  if (!file.ok()) return file.status();
  const absl::StatusOr<uint64_t> size = file->Size();
  if (!size.ok()) return size.status();
  std::string bytes;
  if (absl::Status status = file->Read(0, kLogSegmentHeaderBytes, &bytes); !status.ok()) return status;
  const auto header = ParseLogSegmentHeader(bytes);
  if (!header || header->log != name.log || header->segment != name.first) return std::nullopt;
  return OpenedFile{*std::move(file), *size, *header};
}

// Returns whether a whole record begins anywhere from `offset` on.
absl::StatusOr<bool> HasRecordAfter(const ArchiveFile& name, uint64_t offset) {
  const auto opened = OpenArchiveFile(name);
  if (!opened.ok()) return opened.status();
  if (!*opened) return false;
  const auto& [file, size, header] = **opened;
  // The run and the segment stand in every record at the same place.
  constexpr size_t kRunAt = 16;
  std::string wanted(2 * sizeof(uint64_t), '\0');
  std::memcpy(wanted.data(), &header.run, sizeof(uint64_t));
  std::memcpy(wanted.data() + sizeof(uint64_t), &header.segment, sizeof(uint64_t));
  std::string window;
  std::string bytes;
  for (; offset + kLogRecordHeaderBytes <= size; offset += kBufferBytes) {
    const size_t part = std::min<uint64_t>(kBufferBytes + kLogRecordHeaderBytes, size - offset);
    if (absl::Status status = file.Read(offset, part, &window); !status.ok()) return status;
    for (size_t at = window.find(wanted, kRunAt); at != std::string::npos; at = window.find(wanted, at + 1)) {
      const auto record = ReadRecord(file, header, offset + at - kRunAt, size, &bytes);
      if (!record.ok()) return record.status();
      if (*record) return true;
    }
  }
  return false;
}

}  // namespace

std::string ArchiveLinePath(const std::string& directory, ArchiveLine line) {
  return absl::StrFormat("%s/%s/%016x", directory, kArchive, line);
}

std::string ArchiveEpochPath(const std::string& directory, ArchiveLine line, uint32_t epoch) {
  return absl::StrFormat("%s/%08d", ArchiveLinePath(directory, line), epoch);
}

absl::StatusOr<std::vector<ArchiveLine>> ListArchiveLines(const std::string& directory) {
  std::vector<ArchiveLine> lines;
  const absl::Status status = ForEachName(absl::StrCat(directory, "/", kArchive), [&](const std::string& name) {
    ArchiveLine line;
    if (absl::SimpleHexAtoi(name, &line) && absl::StrFormat("%016x", line) == name) lines.push_back(line);
  });
  if (!status.ok()) return status;
  return lines;
}

absl::StatusOr<std::vector<ArchiveFile>> ListArchiveFiles(const std::string& directory, ArchiveLine line) {
  const auto epochs = ListEpochs(directory, line);
  if (!epochs.ok()) return epochs.status();
  std::vector<ArchiveFile> files;
  for (uint32_t epoch : *epochs) {
    const std::string path = ArchiveEpochPath(directory, line, epoch);
    const absl::Status status = ForEachName(path, [&](const std::string& name) {
      if (auto file = ParseName(path, epoch, name)) files.push_back(*std::move(file));
    });
    if (!status.ok()) return status;
  }
  std::sort(files.begin(), files.end(), [](const ArchiveFile& a, const ArchiveFile& b) {
    return std::tie(a.epoch, a.log, a.first) < std::tie(b.epoch, b.log, b.first);
  });
  return files;
}

absl::StatusOr<uint32_t> LastArchiveEpoch(const std::string& directory, ArchiveLine line) {
  const auto epochs = ListEpochs(directory, line);
  if (!epochs.ok()) return epochs.status();
  return epochs->empty() ? 0 : *epochs->rbegin();
}

absl::Status MakeArchiveEpoch(const std::string& directory, ArchiveLine line, uint32_t epoch) {
  for (const std::string& path : {absl::StrCat(directory, "/", kArchive), ArchiveLinePath(directory, line),
                                  ArchiveEpochPath(directory, line, epoch)}) {
    if (absl::Status status = MakeDirectory(path); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// --- Writing

absl::Status ArchiveWriter::Begin(BatchNumber first) {
  if (file_.open()) {
    if (absl::Status status = Sync(); !status.ok()) return status;
  }
  path_ = ArchiveFilePath(epoch_path_, log_, first);
  absl::StatusOr<LogFile> file = OpenToWrite(path_);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  first_ = first;
  offset_ = 0;
  buffer_ = EncodeLogSegmentHeader({.log = log_, .run = run_, .segment = first});
  return SyncDirectory(epoch_path_);
}

absl::Status ArchiveWriter::Add(BatchNumber batch, int64_t time_us, absl::string_view payload) {
  if (!file_.open() || offset_ + buffer_.size() >= file_bytes_) {
    if (absl::Status status = Begin(batch); !status.ok()) return Failed(status);
  }
  const size_t at = buffer_.size();
  AppendLogRecord({.run = run_, .segment = first_, .batch = batch, .time_us = time_us, .payload = payload}, &buffer_);
  buffer_.resize(at + kLogRecordHeaderBytes + payload.size());
  return buffer_.size() < kBufferBytes ? absl::OkStatus() : Write();
}

absl::Status ArchiveWriter::Write() {
  if (absl::Status status = file_.Write(offset_, buffer_); !status.ok()) return Failed(status);
  offset_ += buffer_.size();
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status ArchiveWriter::Sync() {
  if (!file_.open()) return absl::OkStatus();
  if (absl::Status status = Write(); !status.ok()) return status;
  const absl::Status status = file_.Sync();
  return status.ok() ? status : Failed(status);
}

absl::Status ArchiveWriter::Failed(const absl::Status& status) {
  // The batches that come again begin a file of their own.
  file_ = LogFile();
  buffer_.clear();
  return absl::Status(status.code(), absl::StrCat(path_, ": ", status.message()));
}

// --- Reading

absl::StatusOr<ArchiveFileEnd> ReadArchiveFile(const ArchiveFile& file, ArchivedBatch each) {
  const auto opened = OpenArchiveFile(file);
  if (!opened.ok()) return opened.status();
  if (!*opened) return ArchiveFileEnd{0, false};
  std::string bytes;
  uint64_t offset = kLogSegmentHeaderBytes;
  while (offset < (*opened)->size) {
    const auto record = ReadRecord((*opened)->file, (*opened)->header, offset, (*opened)->size, &bytes);
    if (!record.ok()) return record.status();
    if (!*record) return ArchiveFileEnd{offset, false};
    const absl::StatusOr<bool> goes_on = each((*record)->batch, (*record)->time_us, (*record)->payload);
    if (!goes_on.ok()) return goes_on.status();
    if (!*goes_on) break;
    offset += kLogRecordHeaderBytes + (*record)->payload.size();
  }
  return ArchiveFileEnd{offset, true};
}

absl::Status ReplayArchive(const std::string& directory, ArchiveLine line, std::map<uint32_t, BatchNumber> folded,
                           int64_t until_us, ReplayArchived replay) {
  const auto files = ListArchiveFiles(directory, line);
  if (!files.ok()) return files.status();
  std::map<uint32_t, std::string> last_path;
  std::set<uint32_t> ended;  // logs that have a batch after until_us
  for (size_t i = 0; i < files->size(); ++i) {
    const ArchiveFile& file = (*files)[i];
    if (!ended.empty() && file.epoch != (*files)[i - 1].epoch) break;
    if (ended.contains(file.log)) continue;
    BatchNumber& last = folded[file.log];
    const auto after = std::find_if(files->begin() + static_cast<ptrdiff_t>(i) + 1, files->end(),
                                    [&](const ArchiveFile& other) { return other.log == file.log; });
    const bool last_of_log = after == files->end();
    // The store has all of it.
    if (!last_of_log && after->first <= last + 1) continue;
    bool log_ended = false;
    const absl::StatusOr<ArchiveFileEnd> end = ReadArchiveFile(
        file, [&](BatchNumber batch, int64_t time_us, absl::string_view payload) -> absl::StatusOr<bool> {
          if (batch <= last) return true;
          if (time_us > until_us) {
            log_ended = true;
            return false;
          }
          if (batch != last + 1) {
            const auto before = last_path.find(file.log);
            return absl::DataLossError(absl::StrCat(
                "the archive has a gap: batches ", last + 1, " to ", batch - 1, " of log ", file.log,
                " are missing or damaged", before == last_path.end() ? "" : absl::StrCat(" behind ", before->second),
                ", before ", file.path));
          }
          if (absl::Status replayed = replay(file, batch, time_us, payload); !replayed.ok()) {
            return absl::Status(replayed.code(), absl::StrCat(file.path, ": batch ", batch, ": ", replayed.message()));
          }
          last = batch;
          return true;
        });
    if (!end.ok()) return end.status();
    last_path[file.log] = file.path;
    if (log_ended) {
      ended.insert(file.log);
      continue;
    }
    if (end->whole || !last_of_log) continue;
    const absl::StatusOr<bool> behind = HasRecordAfter(file, end->offset + 1);
    if (!behind.ok()) return behind.status();
    if (*behind) {
      return absl::DataLossError(absl::StrCat("the archive has a gap: ", file.path, " is damaged behind batch ", last,
                                              " of log ", file.log, "; restore to a time before it"));
    }
  }
  return absl::OkStatus();
}

absl::Status PruneArchiveLine(const std::string& directory, ArchiveLine line,
                              const std::map<uint32_t, BatchNumber>& folded) {
  const auto files = ListArchiveFiles(directory, line);
  if (!files.ok()) return files.status();
  std::map<uint32_t, const ArchiveFile*> before;
  std::error_code error;
  for (const ArchiveFile& file : *files) {
    const auto mark = folded.find(file.log);
    const ArchiveFile*& previous = before[file.log];
    if (previous != nullptr && mark != folded.end() && file.first <= mark->second + 1) {
      fs::remove(previous->path, error);
      if (error) return absl::UnavailableError(absl::StrCat("remove ", previous->path, ": ", error.message()));
    }
    previous = &file;
  }
  // An epoch that has no file any more; a directory that has some stays.
  const auto epochs = ListEpochs(directory, line);
  if (!epochs.ok()) return epochs.status();
  for (uint32_t epoch : *epochs) {
    if (epoch != *epochs->rbegin()) fs::remove(ArchiveEpochPath(directory, line, epoch), error);
  }
  return absl::OkStatus();
}

}  // namespace holdfast::storage
