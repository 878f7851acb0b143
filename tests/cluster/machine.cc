#include "tests/cluster/machine.h"

#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/shared/start_process.h"

namespace holdfast::testing {
namespace {

// A process that starts others while it is stopped is found at the next look.
constexpr int kLooksMax = 20;

const passwd& Postgres() {
  static const passwd* const user = getpwnam("postgres");
  if (user == nullptr) {
    std::fprintf(stderr, "there is no user postgres: deploy/install-deps.sh --tools\n");
    std::exit(1);
  }
  return *user;
}

std::string NameOf(pid_t pid) {
  std::string name;
  std::getline(std::ifstream(absl::StrCat("/proc/", pid, "/comm")), name);
  return name;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code gone;
  // A child is one of the thread that has started it.
  for (const auto& thread : std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/task"), gone)) {
    std::ifstream file(thread.path() / "children");
    for (pid_t child; file >> child;) children.push_back(child);
  }
  return children;
}

}  // namespace

void Machine::Start(std::vector<std::string> arguments) {
  std::vector<std::string> all = {"setpriv", "--pdeathsig=KILL", "unshare"};
  const auto add = [&all](std::vector<std::string> more) { all.insert(all.end(), more.begin(), more.end()); };
  if (geteuid() != 0) add({"--user", "--map-current-user"});
  add({"--pid", "--ipc", "--mount-proc", "--fork", "--kill-child"});
  if (geteuid() == 0) {
    const passwd& user = Postgres();
    // A process that changes its user forgets that it is to end with its parent.
    add({"setpriv", absl::StrCat("--reuid=", user.pw_uid), absl::StrCat("--regid=", user.pw_gid), "--clear-groups",
         "--pdeathsig=KILL"});
  }
  add(std::move(arguments));
  pid_ = process::StartProcess({.arguments = std::move(all), .output_path = log_path_});
}

void Machine::Kill() {
  if (!runs()) return;
  // The kernel kills a namespace with its first process, and that one ends when the others are gone. If it does not
  // run yet, it ends with its parent.
  const std::vector<pid_t> first = ChildrenOf(pid_);
  for (const pid_t pid : first) kill(pid, SIGKILL);
  if (first.empty()) kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void Machine::Freeze() {
  size_t stopped = 0;
  for (int look = 0; look < kLooksMax; ++look) {
    const std::vector<Process> all = Processes();
    for (const Process& each : all) kill(each.pid, SIGSTOP);
    if (all.size() == std::exchange(stopped, all.size())) return;
  }
}

void Machine::Thaw() {
  for (const Process& each : Processes()) kill(each.pid, SIGCONT);
}

bool Machine::KillTopmost(const std::string& name) {
  for (const Process& each : Processes()) {
    if (each.name == name && each.parent != name) return kill(each.pid, SIGKILL) == 0;
  }
  return false;
}

std::vector<Machine::Process> Machine::Processes() const {
  std::vector<Process> all;
  if (!runs()) return all;
  for (const pid_t pid : ChildrenOf(pid_)) all.push_back({pid, NameOf(pid), ""});
  for (size_t i = 0; i < all.size(); ++i) {
    const Process parent = all[i];
    for (const pid_t pid : ChildrenOf(parent.pid)) all.push_back({pid, NameOf(pid), parent.name});
  }
  return all;
}

void Machine::Own(const std::string& path) {
  if (geteuid() != 0) return;
  if (chown(path.c_str(), Postgres().pw_uid, Postgres().pw_gid) != 0) std::perror(path.c_str());
}

}  // namespace holdfast::testing
