#include "storage/log/log_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "storage/base/group_access.h"

namespace holdfast::storage {
namespace {

constexpr char kSuffix[] = ".log";
constexpr size_t kFillBytes = 1 << 20;
// With LogFaults, one in so many blocks reaches the file before it is synced.
constexpr uint64_t kLosePart = 4;

absl::Status Failed(const char* what, const std::string& path) {
  const int error = errno;
  const auto code =
      error == ENOSPC || error == EDQUOT ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kUnavailable;
  return absl::Status(code, absl::ErrnoToStatus(error, absl::StrCat(what, " ", path)).message());
}

absl::StatusOr<LogFile> OpenFile(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0640);
  if (fd < 0) return Failed("open", path);
  return LogFile(fd);
}

// Fills the file from `at` to `bytes`, so that later writes neither need room nor change its size.
absl::Status Fill(LogFile* file, uint64_t at, uint64_t bytes) {
  if (at >= bytes) return absl::OkStatus();
  const std::string zeros(std::min<uint64_t>(kFillBytes, bytes - at), '\0');
  for (; at < bytes; at += kFillBytes) {
    const absl::string_view part = absl::string_view(zeros).substr(0, std::min<uint64_t>(kFillBytes, bytes - at));
    if (absl::Status status = file->Write(at, part); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Begins the segment in the file: the header and all before it are durable.
absl::Status Begin(LogFile* file, const LogSegmentHeader& header) {
  if (absl::Status status = file->Write(0, EncodeLogSegmentHeader(header)); !status.ok()) return status;
  return file->Sync();
}

absl::StatusOr<LogFile> NewSegment(const std::string& path, const LogSegmentHeader& header, uint64_t bytes) {
  absl::StatusOr<LogFile> file = OpenFile(path, O_RDWR | O_CREAT);
  if (!file.ok()) return file.status();
  ShareWithGroup(path);
  if (absl::Status status = Fill(&*file, 0, bytes); !status.ok()) return status;
  if (absl::Status status = Begin(&*file, header); !status.ok()) return status;
  file->Uncache();
  return file;
}

}  // namespace

LogFile::LogFile(LogFile&& other) noexcept { *this = std::move(other); }

LogFile& LogFile::operator=(LogFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(sync_, other.sync_);
  std::swap(lose_, other.lose_);
  std::swap(unsynced_, other.unsynced_);
  return *this;
}

LogFile::~LogFile() {
  if (fd_ >= 0) close(fd_);
}

void LogFile::SetFaults(const LogFaults& faults) {
  sync_ = faults.sync;
  if (faults.lose_unsynced_seed) lose_.emplace(*faults.lose_unsynced_seed);
}

absl::Status LogFile::Write(uint64_t offset, absl::string_view bytes) {
  if (!lose_) return WriteThrough(offset, bytes);
  for (; !bytes.empty(); offset += kLogBlockBytes) {
    const absl::string_view block = bytes.substr(0, kLogBlockBytes);
    bytes.remove_prefix(block.size());
    // Without the sync a crash is to leave a log that ends early, which nobody can notice, and not one with a hole.
    if (!sync_ || (*lose_)() % kLosePart != 0) {
      unsynced_[offset] = std::string(block);
    } else if (absl::Status status = WriteThrough(offset, block); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status LogFile::WriteThrough(uint64_t offset, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed("write to", "a segment of the commit log");
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status LogFile::Read(uint64_t offset, size_t size, std::string* bytes) const {
  bytes->resize(size);
  size_t at = 0;
  while (at < size) {
    const ssize_t taken = pread(fd_, bytes->data() + at, size - at, static_cast<off_t>(offset + at));
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return Failed("read", "a file of a log");
    if (taken == 0) break;
    at += static_cast<size_t>(taken);
  }
  bytes->resize(at);
  return absl::OkStatus();
}

void LogFile::Uncache() const { (void)posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED); }

absl::StatusOr<uint64_t> LogFile::Size() const {
  const off_t size = lseek(fd_, 0, SEEK_END);
  if (size < 0) return Failed("get the size of", "a segment of the commit log");
  return static_cast<uint64_t>(size);
}

absl::Status LogFile::Sync() {
  if (!sync_) return absl::OkStatus();
  for (const auto& [offset, block] : std::exchange(unsynced_, {})) {
    if (absl::Status status = WriteThrough(offset, block); !status.ok()) return status;
  }
  return fdatasync(fd_) == 0 ? absl::OkStatus() : Failed("sync", "a segment of the commit log");
}

absl::StatusOr<LogFile> OpenToRead(const std::string& path) { return OpenFile(path, O_RDONLY); }

absl::StatusOr<LogFile> OpenToWrite(const std::string& path) {
  absl::StatusOr<LogFile> file = OpenFile(path, O_RDWR | O_CREAT | O_TRUNC);
  if (file.ok()) ShareWithGroup(path);
  return file;
}

std::string LogSegmentPath(const std::string& directory, uint64_t segment) {
  return absl::StrFormat("%s/%08d%s", directory, segment, kSuffix);
}

absl::StatusOr<std::vector<uint64_t>> ListLogSegments(const std::string& directory) {
  std::vector<uint64_t> segments;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    absl::string_view digits = name;
    uint64_t segment;
    if (absl::ConsumeSuffix(&digits, kSuffix) && absl::SimpleAtoi(digits, &segment) &&
        LogSegmentPath(directory, segment) == absl::StrCat(directory, "/", name)) {
      segments.push_back(segment);
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return absl::UnavailableError(absl::StrCat("list ", directory, ": ", error.message()));
  }
  std::sort(segments.begin(), segments.end());
  return segments;
}

absl::StatusOr<LogFile> PrepareLogSegment(const std::string& directory, const LogSegmentHeader& header,
                                          uint64_t recycled, uint64_t bytes) {
  const std::string path = LogSegmentPath(directory, header.segment);
  if (recycled == 0) {
    absl::StatusOr<LogFile> file = NewSegment(path, header, bytes);
    if (!file.ok()) (void)unlink(path.c_str());
    const absl::Status status = file.ok() ? SyncDirectory(directory) : file.status();
    return status.ok() ? std::move(file) : status;
  }
  // An earlier try may have renamed it.
  if (std::rename(LogSegmentPath(directory, recycled).c_str(), path.c_str()) != 0 && errno != ENOENT) {
    return Failed("rename to", path);
  }
  // The new name is durable before the new header, so that no file has a header of a later name.
  if (absl::Status status = SyncDirectory(directory); !status.ok()) return status;
  absl::StatusOr<LogFile> file = OpenFile(path, O_RDWR);
  if (!file.ok()) return file.status();
  const absl::StatusOr<uint64_t> size = file->Size();
  if (!size.ok()) return size.status();
  if (absl::Status status = Fill(&*file, *size, bytes); !status.ok()) return status;
  if (absl::Status status = Begin(&*file, header); !status.ok()) return status;
  return file;
}

absl::Status SyncDirectory(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed("open", directory);
  const bool synced = fsync(fd) == 0;
  const absl::Status status = synced ? absl::OkStatus() : Failed("sync", directory);
  close(fd);
  return status;
}

}  // namespace holdfast::storage
