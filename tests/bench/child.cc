#include "tests/bench/child.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/shared/start_process.h"
#include "tests/unit/storage/files.h"

namespace holdfast::bench {
namespace {

using storage::ReadFile;

constexpr absl::Duration kEndMax = absl::Seconds(10);
constexpr absl::Duration kStep = absl::Milliseconds(10);

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool Listens(int port) {
  const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  const bool listens = connect(socket_fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(socket_fd);
  return listens;
}

std::vector<pid_t> WithDescendants(pid_t pid) {
  std::vector<pid_t> all = {pid};
  for (size_t i = 0; i < all.size(); ++i) {
    std::istringstream children(ReadFile(absl::StrCat("/proc/", all[i], "/task/", all[i], "/children")));
    for (pid_t child; children >> child;) all.push_back(child);
  }
  return all;
}

}  // namespace

Child::Child(const std::vector<std::string>& arguments, const std::string& log_path,
             const std::vector<std::string>& environment)
    : pid_(process::StartProcess({.arguments = arguments, .environment = environment, .output_path = log_path})),
      log_path_(log_path) {}

Child::~Child() {
  kill(pid_, SIGTERM);
  const absl::Time until = absl::Now() + kEndMax;
  while (waitpid(pid_, nullptr, WNOHANG) == 0) {
    if (absl::Now() > until) kill(pid_, SIGKILL);
    absl::SleepFor(kStep);  // no event with a timeout tells that a process has ended
  }
}

bool Child::HasEnded() const {
  siginfo_t ended{};
  return waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == pid_;
}

void Child::WaitForEnd(absl::Duration timeout) const {
  const absl::Time until = absl::Now() + timeout;
  while (!HasEnded() && absl::Now() < until) absl::SleepFor(kStep);
}

void Child::WaitForPort(int port, absl::Duration timeout) const {
  const absl::Time until = absl::Now() + timeout;
  while (!Listens(port)) {
    if (HasEnded() || absl::Now() > until) {
      std::fprintf(stderr, "nothing listens on port %d:\n%s\n", port, ReadFile(log_path_).c_str());
      std::exit(1);
    }
    absl::SleepFor(kStep);
  }
}

absl::Duration CpuTimeOf(pid_t pid) {
  static const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  absl::Duration sum;
  for (const pid_t one : WithDescendants(pid)) {
    const std::string stat = ReadFile(absl::StrCat("/proc/", one, "/stat"));
    const size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) continue;
    const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
    sum += absl::Seconds((std::stod(fields[11]) + std::stod(fields[12])) / ticks);
  }
  return sum;
}

double ResidentMbOf(pid_t pid) {
  double kb = 0;
  for (const pid_t one : WithDescendants(pid)) {
    const std::string status = ReadFile(absl::StrCat("/proc/", one, "/status"));
    for (const absl::string_view line : absl::StrSplit(status, '\n')) {
      if (absl::StartsWith(line, "VmRSS:")) kb += std::stod(std::string(line.substr(6)));
    }
  }
  return kb / 1024;
}

}  // namespace holdfast::bench
