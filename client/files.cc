#include "client/files.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {
namespace {

constexpr size_t kPartBytes = 256 << 10;

}  // namespace

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

absl::StatusOr<int64_t> WriteInParts(const std::string& path, absl::FunctionRef<absl::Status(OnChunk)> write) {
  const std::string partial = absl::StrCat(path, ".partial");
  std::ofstream out(partial, std::ios::binary | std::ios::trunc);
  const absl::Status unwritable = absl::InvalidArgumentError(absl::StrCat("the file can't be written: ", path));
  if (!out) return unwritable;
  int64_t bytes = 0;
  absl::Status status = write([&](const std::string& chunk) {
    out.write(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    bytes += static_cast<int64_t>(chunk.size());
    return out.good();
  });
  out.close();
  std::error_code error;
  if (!out) status = unwritable;
  if (status.ok()) std::filesystem::rename(partial, path, error);
  if (error) status = unwritable;
  if (!status.ok()) std::filesystem::remove(partial, error);
  if (!status.ok()) return status;
  return bytes;
}

absl::Status ReadInParts(const std::string& path, absl::FunctionRef<absl::Status(NextChunk)> read) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::InvalidArgumentError(absl::StrCat("the file can't be read: ", path));
  return read([&](std::string* chunk) {
    chunk->resize(kPartBytes);
    in.read(chunk->data(), static_cast<std::streamsize>(chunk->size()));
    chunk->resize(static_cast<size_t>(in.gcount()));
    return !chunk->empty();
  });
}

}  // namespace holdfast::client
