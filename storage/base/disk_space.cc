#include "storage/base/disk_space.h"

#include <sys/statvfs.h>

#include "absl/strings/str_cat.h"
#include "storage/base/log.h"

namespace holdfast::storage {

FreeBytes FreeBytesOf(const std::string& dir) {
  return [dir]() -> std::optional<uint64_t> {
    struct statvfs disk;
    if (statvfs(dir.c_str(), &disk) != 0) return std::nullopt;
    return uint64_t{disk.f_bavail} * disk.f_frsize;
  };
}

absl::Status DiskSpace::CheckOpen() const {
  const auto free = free_bytes_();
  if (!free || *free >= kOpenBytesMin) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the disk is full: ", *free, " bytes are free, and a start needs ", kOpenBytesMin));
}

void DiskSpace::Refresh() {
  if (reserve_ == 0) return;
  const auto free = free_bytes_();
  if (!free) return;
  const bool full = *free < reserve_;
  if (full_.exchange(full) == full) return;
  Log(full ? LogLevel::kError : LogLevel::kInfo, full ? "disk_full" : "disk_has_room",
      {{"free_bytes", absl::StrCat(*free)}, {"reserve_bytes", absl::StrCat(reserve_)}});
}

}  // namespace holdfast::storage
