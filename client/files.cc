#include "client/files.h"

#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t mebibytes_max) {
  const size_t bytes_max = mebibytes_max << 20;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(bytes_max + 1, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(file.gcount());
  if (!file.is_open() || file.bad() || (file.fail() && !file.eof())) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' can't be read"));
  }
  if (bytes.size() > bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is over ", mebibytes_max, " MiB"));
  }
  return bytes;
}

}  // namespace holdfast::client
