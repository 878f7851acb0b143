#include "tests/envoy/tool_process.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/integration/http_get.h"
#include "tests/shared/start_process.h"
#include "tests/unit/storage/files.h"

namespace holdfast::testing {
namespace {

constexpr absl::Duration kStartMax = absl::Seconds(30);
constexpr absl::Duration kStep = absl::Milliseconds(20);

}  // namespace

std::string ToolProcess::PathOf(const std::string& name) {
  std::string path = absl::StrCat(ENVOY_TOOLS, "/", name);
  return access(path.c_str(), X_OK) == 0 ? path : "";
}

ToolProcess::ToolProcess(const std::string& name, const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment, int port, const std::string& log_path) {
  std::vector<std::string> all = {PathOf(name)};
  all.insert(all.end(), arguments.begin(), arguments.end());
  pid_ = process::StartProcess({.arguments = all, .environment = environment, .output_path = log_path});
  const absl::Time until = absl::Now() + kStartMax;
  const std::string address = absl::StrCat("127.0.0.1:", port);
  int connection = -1;
  while ((connection = ConnectTo(address)) < 0) {
    int status;
    if (absl::Now() > until || waitpid(pid_, &status, WNOHANG) == pid_) {
      std::fprintf(stderr, "%s is not ready:\n%s\n", name.c_str(), storage::ReadFile(log_path).c_str());
      std::abort();
    }
    absl::SleepFor(kStep);  // no event tells that another process listens
  }
  close(connection);
}

ToolProcess::~ToolProcess() {
  kill(pid_, SIGKILL);
  int status;
  waitpid(pid_, &status, 0);
}

}  // namespace holdfast::testing
