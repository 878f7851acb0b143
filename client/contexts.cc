#include "client/contexts.h"

#include <fcntl.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/arguments.h"
#include "client/environment.h"
#include "client/files.h"

namespace holdfast::client {
namespace {

namespace fs = std::filesystem;
using config::v1::ClientConfig;
using config::v1::ClientContext;

constexpr char kHeader[] =
    "# Written by `holdfast context`, which keeps no comments. docs/tool.md says what it means.\n";

absl::Status FileError(const std::string& path, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("'", path, "': ", problem));
}

// Keeps the first error of the parser.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

absl::Status Check(const ClientConfig& config) {
  if (config.context_size() > static_cast<int>(kContextsMax)) {
    return absl::InvalidArgumentError(absl::StrCat("has over ", kContextsMax, " contexts"));
  }
  std::set<std::string> names;
  for (const ClientContext& context : config.context()) {
    if (absl::Status status = CheckContextName(context.name()); !status.ok()) return status;
    if (!names.insert(context.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("has two contexts '", context.name(), "'"));
    }
    if (!context.has_server()) continue;
    if (const auto address = ParseAddress(context.server()); !address.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("context '", context.name(), "': server: ", address.status().message()));
    }
  }
  return absl::OkStatus();
}

// Writes a new file that only the user may read, down to the disk. Returns whether that worked.
bool WriteNewFile(const std::string& path, absl::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) return false;
  bool written = true;
  while (written && !text.empty()) {
    const ssize_t size = write(file, text.data(), text.size());
    written = size > 0 || (size < 0 && errno == EINTR);
    if (size > 0) text.remove_prefix(static_cast<size_t>(size));
  }
  written = written && fsync(file) == 0;
  return close(file) == 0 && written;
}

}  // namespace

std::string ContextFilePath() {
  if (std::string path = Variable("HOLDFAST_CONFIG"); !path.empty()) return path;
  if (const std::string folder = Variable("XDG_CONFIG_HOME"); !folder.empty()) return folder + "/holdfast/config";
  if (const std::string home = Variable("HOME"); !home.empty()) return home + "/.config/holdfast/config";
  return "";
}

absl::StatusOr<ClientConfig> ReadContexts(const std::string& path) {
  ClientConfig config;
  std::error_code error;
  if (path.empty() || (!fs::exists(path, error) && !error)) return config;
  const absl::StatusOr<std::string> text = ReadFile(path, 1);
  if (!text.ok()) return text.status();
  FirstError problem;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&problem);
  parser.SetRecursionLimit(10);
  if (!parser.ParseFromString(*text, &config)) return FileError(path, problem.text());
  if (absl::Status status = Check(config); !status.ok()) return FileError(path, status.message());
  return config;
}

absl::Status WriteContexts(const std::string& path, const ClientConfig& config) {
  if (path.empty()) {
    return absl::InvalidArgumentError(
        "there is no place for the file of contexts: neither HOME nor HOLDFAST_CONFIG is set");
  }
  if (absl::Status status = Check(config); !status.ok()) return FileError(path, status.message());
  std::string text;
  google::protobuf::TextFormat::PrintToString(config, &text);
  // A link stays one: what it points to is replaced.
  std::error_code error;
  const fs::path target = fs::weakly_canonical(path, error);
  if (!error && target.has_parent_path()) fs::create_directories(target.parent_path(), error);
  if (error) return FileError(path, error.message());
  const std::string scratch = absl::StrCat(target.string(), ".", getpid(), ".new");
  unlink(scratch.c_str());
  if (!WriteNewFile(scratch, kHeader + text) || std::rename(scratch.c_str(), target.c_str()) != 0) {
    absl::Status status = FileError(path, absl::StrCat("can't be written: ", std::generic_category().message(errno)));
    unlink(scratch.c_str());
    return status;
  }
  return absl::OkStatus();
}

absl::Status CheckContextName(absl::string_view name) {
  if (!name.empty() && name.size() <= kContextNameBytesMax &&
      std::all_of(name.begin(), name.end(), absl::ascii_isgraph)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("the name of a context is 1 to ", kContextNameBytesMax,
                                                 " printable ASCII characters without blanks"));
}

absl::StatusOr<ClientContext*> FindContext(ClientConfig& config, absl::string_view name) {
  std::vector<std::string> names;
  for (ClientContext& context : *config.mutable_context()) {
    if (context.name() == name) return &context;
    names.push_back(context.name());
  }
  return absl::InvalidArgumentError(absl::StrCat("there is no context '", name, "'; ",
                                                 names.empty()
                                                     ? "none is set, see: holdfast context set --help"
                                                     : absl::StrCat("there are ", absl::StrJoin(names, ", "))));
}

}  // namespace holdfast::client
