#include "tests/bench/contender.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/child.h"
#include "tests/bench/wire_workloads.h"
#include "tests/integration/server_process.h"
#include "tests/shared/free_port.h"

namespace holdfast::bench {
namespace {

// The echo server has as many threads as holdfastd has executors on a machine of up to seven cores.
constexpr int kEchoThreads = 1;

Work WorkOverGrpc(const WireWorkload& workload, const std::string& address) {
  return {.units_per_call = workload.units_per_call,
          .connect = [connect = workload.connect, address](int channels,
                                                           int slots) { return connect(address, channels, slots); },
          .prepare = [prepare = workload.prepare, address] { prepare(address); }};
}

class Holdfast final : public Contender {
 public:
  Holdfast(std::string name, const std::string& program, const std::string& directory, const std::string& config)
      : name_(std::move(name)),
        process_(absl::StrCat(directory, "/", name_), config, "", testing::ServerProgram{program}) {}

  const std::string& name() const override { return name_; }
  Work WorkOf(const std::string& workload) override {
    return WorkOverGrpc(WireWorkloadNamed(workload), process_.address());
  }
  absl::Duration CpuTime() const override { return CpuTimeOf(process_.pid()); }
  double ResidentMb() const override { return ResidentMbOf(process_.pid()); }

 private:
  const std::string name_;
  testing::ServerProcess process_;
};

class Echo final : public Contender {
 public:
  Echo(std::string name, const std::string& program, const std::string& directory, int held)
      : name_(std::move(name)),
        port_(process::FreePort()),
        process_({program, absl::StrCat(port_), absl::StrCat(kEchoThreads), absl::StrCat(held)},
                 absl::StrCat(directory, "/", name_, ".log")) {
    process_.WaitForPort(port_);
  }

  const std::string& name() const override { return name_; }
  Work WorkOf(const std::string& workload) override {
    const bool has_none = workload == "stream-increment" || absl::StartsWith(workload, "batch-increment");
    Work work = WorkOverGrpc(WireWorkloadNamed(has_none ? "increment" : workload), absl::StrCat("127.0.0.1:", port_));
    work.prepare = [] {};
    return work;
  }
  absl::Duration CpuTime() const override { return CpuTimeOf(process_.pid()); }
  double ResidentMb() const override { return ResidentMbOf(process_.pid()); }

 private:
  const std::string name_;
  const int port_;
  const Child process_;
};

}  // namespace

std::unique_ptr<Contender> StartHoldfast(const std::string& name, const std::string& program,
                                         const std::string& directory, const std::string& config) {
  return std::make_unique<Holdfast>(name, program, directory, config);
}

std::unique_ptr<Contender> StartEcho(const std::string& name, const std::string& program, const std::string& directory,
                                     int held) {
  return std::make_unique<Echo>(name, program, directory, held);
}

}  // namespace holdfast::bench
