#include "client/token_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/files.h"

namespace holdfast::client {
namespace {

constexpr size_t kTokenBytesMax = 8 << 10;  // the server's bound

// Tells the states of a file apart.
using FileState = std::tuple<dev_t, ino_t, off_t, time_t, long>;

FileState StateOf(const std::string& path) {
  struct stat file;
  if (stat(path.c_str(), &file) != 0) return {};
  return {file.st_dev, file.st_ino, file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec};
}

class Reread {
 public:
  explicit Reread(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<std::string> Token() {
    const std::lock_guard lock(mutex_);
    // The state comes first: a change between the two is then seen the next time.
    const FileState state = StateOf(path_);
    if (!token_.ok() || state != state_) {
      state_ = state;
      token_ = ReadToken(path_);
    }
    return token_;
  }

 private:
  const std::string path_;
  std::mutex mutex_;
  FileState state_;
  absl::StatusOr<std::string> token_ = absl::UnknownError("not read yet");
};

}  // namespace

bool IsBearerToken(absl::string_view token) {
  return !token.empty() && token.size() <= kTokenBytesMax &&
         std::all_of(token.begin(), token.end(), absl::ascii_isgraph);
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, 1);
  if (!text.ok()) return absl::InvalidArgumentError(absl::StrCat("the token file ", text.status().message()));
  const absl::string_view token = absl::StripAsciiWhitespace(*text);
  if (!IsBearerToken(token)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the token file '", path, "' does not hold one token: one word, at most ", kTokenBytesMax, " bytes"));
  }
  return std::string(token);
}

TokenSource TokenFromFile(const std::string& path) {
  return [file = std::make_shared<Reread>(path)] { return file->Token(); };
}

bool OthersMayUse(const std::string& path) {
  struct stat file;
  return stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode) && (file.st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

}  // namespace holdfast::client
