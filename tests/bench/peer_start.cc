#include "tests/bench/peer_start.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace holdfast::bench {
namespace {

constexpr absl::Duration kReadyMax = absl::Seconds(30);
constexpr absl::Duration kCallsMax = absl::Minutes(5);  // each object has a file, which is slow on a busy disk
constexpr absl::Duration kStep = absl::Milliseconds(20);
constexpr int kPrepareOutstanding = 64;
constexpr size_t kLogEndBytes = 2000;

bool HasEnded(const Child& child) {
  siginfo_t ended{};
  return waitid(P_PID, static_cast<id_t>(child.pid()), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == child.pid();
}

std::string EndOf(const std::string& log_path) {
  std::ifstream file(log_path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  return all.size() <= kLogEndBytes ? all : all.substr(all.size() - kLogEndBytes);
}

class CountedCalls final : public Sink {
 public:
  explicit CountedCalls(int outstanding) {
    for (int slot = 0; slot < outstanding; ++slot) free_.push_back(slot);
  }

  absl::Status Run(Transport* transport, int64_t count) {
    const absl::Time until = absl::Now() + kCallsMax;
    for (int64_t begun = 0; ended_ < count;) {
      while (begun < count && !free_.empty()) {
        const int slot = free_.back();
        free_.pop_back();
        transport->Begin(slot, begun++);
      }
      transport->Poll(until, this);
      if (failures_ > 0) return absl::InternalError(absl::StrCat(failures_, " of ", ended_, " calls failed"));
      if (absl::Now() > until) return absl::DeadlineExceededError(absl::StrCat(ended_, " of ", count, " calls ended"));
    }
    return absl::OkStatus();
  }

  void Ended(int slot, bool ok) override {
    free_.push_back(slot);
    ++ended_;
    if (!ok) ++failures_;
  }

 private:
  std::vector<int> free_;
  int64_t ended_ = 0;
  int64_t failures_ = 0;
};

}  // namespace

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  const char* const path = std::getenv("PATH");
  for (const absl::string_view directory : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    const std::string program = absl::StrCat(directory, "/", name);
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return absl::NotFoundError(absl::StrCat("there is no ", name));
}

absl::Status CheckInstalled(const std::string& path) {
  if (std::filesystem::exists(path)) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("there is no ", path, ": peers/install.sh installs it"));
}

std::unique_ptr<Child> StartChild(std::vector<std::string> arguments, const std::string& log_path,
                                  const std::vector<std::string>& environment) {
  arguments.insert(arguments.begin(), {"setpriv", "--pdeathsig", "TERM"});
  return std::make_unique<Child>(arguments, log_path, environment);
}

absl::Status WaitUntilReady(const Child& child, const std::string& log_path,
                            const std::function<absl::Status()>& ready) {
  const absl::Time until = absl::Now() + kReadyMax;
  absl::Status status = ready();
  while (!status.ok()) {
    if (HasEnded(child)) return absl::InternalError(absl::StrCat("it has ended:\n", EndOf(log_path)));
    if (absl::Now() > until) return absl::InternalError(absl::StrCat(status.message(), ":\n", EndOf(log_path)));
    absl::SleepFor(kStep);
    status = ready();
  }
  return absl::OkStatus();
}

PeerWorkload HttpWorkload(int port, const std::string& name, int64_t objects, HttpTransport::Make make) {
  PeerWorkload workload{.name = name};
  workload.connect = [port, make = std::move(make)](int outstanding) -> std::unique_ptr<Transport> {
    return std::make_unique<HttpTransport>(port, outstanding, make);
  };
  workload.prepare = [connect = workload.connect, objects] {
    return MakeCalls(connect(kPrepareOutstanding).get(), kPrepareOutstanding, objects);
  };
  return workload;
}

absl::Status MakeCalls(Transport* transport, int outstanding, int64_t count) {
  return CountedCalls(outstanding).Run(transport, count);
}

absl::StatusOr<int64_t> SumOverHttp(int port, int64_t count, const std::function<std::string(int64_t)>& path) {
  int64_t sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const absl::StatusOr<std::string> text = CallHttp(port, {.path = path(i)});
    if (!text.ok()) return text.status();
    int64_t value;
    if (!absl::SimpleAtoi(*text, &value)) return absl::InternalError(absl::StrCat(path(i), " is no number: ", *text));
    sum += value;
  }
  return sum;
}

}  // namespace holdfast::bench
