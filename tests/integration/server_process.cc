#include "tests/integration/server_process.h"

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/shared/start_process.h"
#include "tests/unit/storage/files.h"

namespace holdfast::testing {
namespace {

using storage::ReadFile;

constexpr absl::Duration kStartMax = absl::Seconds(100);
constexpr absl::Duration kStep = absl::Milliseconds(2);

// Starts the program with these arguments and its own. The file gets its output in place of what it had.
pid_t Spawn(const ServerProgram& program, std::vector<std::string> arguments, const std::string& output_path) {
  arguments.insert(arguments.begin(), program.path);
  arguments.insert(arguments.end(), program.arguments.begin(), program.arguments.end());
  unlink(output_path.c_str());
  return process::StartProcess({.arguments = std::move(arguments),
                                .output_path = output_path,
                                .open_files_max = program.open_files_max,
                                .user = program.user});
}

int StatusOf(int wait_status) { return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -WTERMSIG(wait_status); }

// Returns the address in the line that says that the server serves, or "".
std::string ServingAddress(const std::string& log) {
  for (absl::string_view line : absl::StrSplit(log, '\n')) {
    constexpr absl::string_view kJson = "\"event\":\"serving\",\"listen\":\"";
    if (const size_t at = line.find(kJson); at != line.npos) {
      line.remove_prefix(at + kJson.size());
      return std::string(line.substr(0, line.find('"')));
    }
    if (line.find("event=serving") == line.npos) continue;
    for (absl::string_view field : absl::StrSplit(line, ' ')) {
      if (field.substr(0, 7) == "listen=") return std::string(field.substr(7));
    }
  }
  return "";
}

}  // namespace

const ServerProgram& Holdfastd() {
  // A program in place of holdfastd (tests/shared/on_postgres.sh).
  static const char* const instead = std::getenv("HOLDFAST_TEST_SERVER");
  static const auto* const program = new ServerProgram{instead == nullptr ? HOLDFASTD_PATH : instead};
  return *program;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = absl::StrCat(::testing::TempDir(), "/holdfast-XXXXXX");
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

ServerProcess::ServerProcess(const std::string& data_dir, const std::string& config, const std::string& log_suffix,
                             const ServerProgram& program)
    : log_path_(absl::StrCat(data_dir, log_suffix, ".log")) {
  const std::string config_path = absl::StrCat(data_dir, ".textproto");
  // Tests read the log as text. Another program may be an earlier version, which has no other.
  const bool has_format = &program != &Holdfastd() || absl::StrContains(config, "log_format");
  std::ofstream(config_path) << config << (has_format ? "" : "\nlog_format: TEXT\n");
  pid_ = Spawn(program, {"--config", config_path, "--listen", program.listen, "--data-dir", data_dir}, log_path_);
  const absl::Time until = absl::Now() + kStartMax;
  while ((address_ = ServingAddress(Log())).empty()) {
    int status;
    if (absl::Now() > until || waitpid(pid_, &status, WNOHANG) == pid_) {
      std::fprintf(stderr, "%s does not serve:\n%s\n", program.path.c_str(), Log().c_str());
      kill(pid_, SIGKILL);
      std::abort();
    }
    absl::SleepFor(kStep);  // no event with a timeout tells that a process has started
  }
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) Kill();
}

ServerProcess::Exit ServerProcess::RunToEnd(const std::vector<std::string>& arguments, const ServerProgram& program) {
  TemporaryDirectory directory;
  const std::string output = absl::StrCat(directory.path(), "/output");
  const pid_t pid = Spawn(program, arguments, output);
  const absl::Time until = absl::Now() + kStartMax;
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) != pid) {
    if (absl::Now() > until) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    absl::SleepFor(kStep);
  }
  return {StatusOf(status), ReadFile(output)};
}

std::shared_ptr<grpc::Channel> ServerProcess::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
}

std::string ServerProcess::Log() const { return ReadFile(log_path_); }

void ServerProcess::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

int ServerProcess::Wait() {
  int status = 0;
  if (pid_ > 0) waitpid(pid_, &status, 0);
  pid_ = -1;
  return StatusOf(status);
}

std::optional<int> ServerProcess::Ended() {
  int status = 0;
  if (pid_ <= 0 || waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return StatusOf(status);
}

void ServerProcess::Kill() {
  Signal(SIGKILL);
  Wait();
}

int ServerProcess::Terminate() {
  Signal(SIGTERM);
  return Wait();
}

}  // namespace holdfast::testing
