#include "storage/base/group_access.h"

#include <sys/stat.h>

#include <filesystem>
#include <system_error>

namespace holdfast::storage {

void ShareWithGroup(const std::string& path) {
  std::error_code error;
  // The path is made absolute, since "data" alone names no directory. A link is left alone.
  const std::filesystem::path directory = std::filesystem::absolute(path, error).parent_path();
  struct stat in {};
  struct stat it {};
  if (error || stat(directory.c_str(), &in) != 0 || lstat(path.c_str(), &it) != 0) return;
  if ((in.st_mode & S_IWGRP) == 0 || (in.st_mode & S_ISVTX) != 0) return;
  if (!S_ISREG(it.st_mode) && !S_ISDIR(it.st_mode)) return;
  const mode_t shared = it.st_mode | S_IRGRP | S_IWGRP | (S_ISDIR(it.st_mode) ? S_IXGRP : 0);
  if (shared != it.st_mode) (void)chmod(path.c_str(), shared & 07777);
}

void ShareFilesWithGroup(const std::string& directory) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error)) ShareWithGroup(it->path().string());
  }
}

}  // namespace holdfast::storage
