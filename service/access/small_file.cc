#include "service/access/small_file.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace holdfast::service {

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t bytes_max) {
  std::error_code error;
  // Opening a pipe would wait for its writer.
  const bool is_file = std::filesystem::is_regular_file(path, error);
  if (error || !is_file) {
    return absl::NotFoundError(error ? absl::StrCat("cannot be read: ", error.message()) : "is no file");
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (file == nullptr) {
    return absl::NotFoundError(absl::StrCat("cannot be read: ", std::generic_category().message(errno)));
  }
  // One byte more than the file has shows that it grows meanwhile.
  const uintmax_t size = std::filesystem::file_size(path, error);
  std::string text(error || size > bytes_max ? bytes_max + 1 : static_cast<size_t>(size) + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    return absl::NotFoundError(absl::StrCat("cannot be read: ", std::generic_category().message(errno)));
  }
  if (text.size() > bytes_max) return absl::InvalidArgumentError(absl::StrCat("has over ", bytes_max, " bytes"));
  return text;
}

}  // namespace holdfast::service
