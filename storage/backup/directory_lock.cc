#include "storage/backup/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "storage/base/group_access.h"

namespace holdfast::storage {
namespace {

absl::Status Failed(const std::string& path, int error) {
  const auto code =
      error == ENOSPC || error == EDQUOT ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kFailedPrecondition;
  return absl::Status(code, absl::StrCat(path, ": ", std::generic_category().message(error)));
}

}  // namespace

absl::StatusOr<DirectoryLock> DirectoryLock::Take(const std::string& directory) {
  std::error_code error;
  if (std::filesystem::create_directories(directory, error)) ShareWithGroup(directory);
  if (error) return Failed(directory, error.value());
  const std::string path = directory + "/LOCK";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return Failed(path, errno);
  ShareWithGroup(path);
  DirectoryLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(absl::StrCat(directory, " is in use by another process"));
  }
  return lock;
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace holdfast::storage
