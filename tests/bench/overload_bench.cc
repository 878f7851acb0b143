// Overload: what a server does when more comes than it can do. The server is held to a part of a core by a cgroup, so
// that the generator beside it can offer many times the peak.
//
//   goodput    at 1, 2, 5 and 10 times the peak: the calls that were really sent, those that succeeded and those that
//              were refused, how fast both were, and the memory of the server
//   neighbour  the times of a namespace with a tenth of the peak, alone and beside one that offers ten times the peak
//
// README.md explains the output. All of it is on loopback, and ends by itself.

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/bench/child.h"
#include "tests/bench/grpc_transport.h"
#include "tests/integration/server_process.h"

namespace holdfast::bench {
namespace {

struct Options {
  std::string program;
  std::string config;
  double core_share = 0.1;
  double seconds = 5;
  int channels = 16;
  int outstanding = 4000;
  std::vector<double> factors = {1, 2, 5, 10};
  // For the part "noise".
  std::string address;
  double rate = 0;
};

// Holds a process to a part of a core while it lives. The machine has version 1 of cgroups, or version 2.
class CpuLimit {
 public:
  CpuLimit(pid_t pid, double share) {
    const bool v1 = std::filesystem::exists("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    path_ = absl::StrCat(v1 ? "/sys/fs/cgroup/cpu/" : "/sys/fs/cgroup/", "holdfast-overload-", pid);
    // The smallest quota that the kernel takes, so that the server stands still for the shortest time at once.
    constexpr int quota_us = 1'000;
    const int period_us = std::max(quota_us, static_cast<int>(quota_us / share));
    std::filesystem::create_directory(path_);
    bool ok = false;
    if (v1) {
      ok = Write("cpu.cfs_period_us", absl::StrCat(period_us)) && Write("cpu.cfs_quota_us", absl::StrCat(quota_us));
    } else {
      ok = Write("cpu.max", absl::StrCat(quota_us, " ", period_us));
    }
    if (!ok || !Write("cgroup.procs", absl::StrCat(pid))) {
      std::fprintf(stderr, "overload_bench: cannot make %s; run it as root\n", path_.c_str());
      std::exit(1);
    }
  }
  ~CpuLimit() {
    // The process has ended, or is ended by its owner.
    std::error_code error;
    std::filesystem::remove(path_, error);
  }

 private:
  bool Write(const char* file, const std::string& text) const {
    std::ofstream out(path_ + "/" + file);
    out << text << std::flush;
    return out.good();
  }
  std::string path_;
};

// Calls of Increment in one namespace, of which each notes how it ended and when.
class Caller final : public CompletionQueueTransport {
 public:
  struct Counts {
    int64_t ok = 0;
    int64_t refused = 0;  // RESOURCE_EXHAUSTED
    int64_t late = 0;     // DEADLINE_EXCEEDED, by the client or the server
    int64_t other = 0;
    std::vector<float> ok_us;
    std::vector<float> refused_us;
  };

  Caller(const std::string& address, int channels, int slots, std::string ns) : ns_(std::move(ns)) {
    for (auto& channel : Connect(address, channels)) stubs_.push_back(v1::CounterService::NewStub(channel));
    for (int i = 0; i < slots; ++i) slots_.push_back(std::make_unique<Slot>());
    for (int i = 0; i < slots; ++i) slots_[static_cast<size_t>(i)]->index = i;
  }
  ~Caller() override {
    for (auto& slot : slots_) {
      if (slot->context) slot->context->TryCancel();
    }
    DrainQueue();
  }

  void Begin(int index, int64_t number) override {
    Slot& slot = *slots_[static_cast<size_t>(index)];
    slot.request.mutable_object()->set_namespace_(ns_);
    slot.request.mutable_object()->set_name(absl::StrCat("c", number % kObjects));
    slot.context.emplace();
    slot.context->set_deadline(std::chrono::system_clock::now() + kDeadline);
    slot.began = absl::Now();
    slot.reader = stubs_[static_cast<size_t>(index) % stubs_.size()]->PrepareAsyncIncrement(&*slot.context,
                                                                                            slot.request, &queue_);
    slot.reader->StartCall();
    slot.reader->Finish(&slot.response, &slot.status, &slot);
  }

  Counts Take() { return std::exchange(counts_, {}); }

 private:
  static constexpr int kObjects = 1000;
  static constexpr auto kDeadline = std::chrono::seconds(2);

  struct Slot {
    int index = 0;
    v1::IncrementRequest request;
    v1::IncrementResponse response;
    grpc::Status status;
    absl::Time began;
    std::optional<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::IncrementResponse>> reader;
  };

  void OnEvent(void* tag, bool, Sink* sink) override {
    auto* const slot = static_cast<Slot*>(tag);
    const auto us = static_cast<float>(absl::ToDoubleMicroseconds(absl::Now() - slot->began));
    switch (slot->status.error_code()) {
      case grpc::StatusCode::OK:
        ++counts_.ok;
        counts_.ok_us.push_back(us);
        break;
      case grpc::StatusCode::RESOURCE_EXHAUSTED:
        ++counts_.refused;
        counts_.refused_us.push_back(us);
        break;
      case grpc::StatusCode::DEADLINE_EXCEEDED:
        ++counts_.late;
        break;
      default:
        ++counts_.other;
    }
    sink->Ended(slot->index, slot->status.ok());
  }

  const std::string ns_;
  std::vector<std::unique_ptr<v1::CounterService::Stub>> stubs_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Counts counts_;
};

// A server that is held to its share of a core.
struct Server {
  explicit Server(const Options& options)
      : process(directory.path() + "/data", options.config, "", testing::ServerProgram{options.program}),
        limit(std::make_unique<CpuLimit>(process.pid(), options.core_share)) {}
  ~Server() {
    process.Kill();
    limit.reset();
  }
  testing::TemporaryDirectory directory;
  testing::ServerProcess process;
  std::unique_ptr<CpuLimit> limit;
};

LoadOptions LoadOf(const Options& options, int outstanding, double rate) {
  return {.outstanding = outstanding,
          .rate_per_s = rate,
          .warm_up = absl::Seconds(2),
          .time = absl::Seconds(options.seconds)};
}

// Takes what the warm-up counted away.
class Cut final : public MeasureHooks {
 public:
  explicit Cut(Caller* caller) : caller_(caller) {}
  void Begin() override { (void)caller_->Take(); }
  void End() override { counts = caller_->Take(); }
  Caller::Counts counts;

 private:
  Caller* const caller_;
};

// The most that the server does for a client that waits for its replies.
double Peak(const Options& options, Server* server) {
  double peak = 0;
  for (const int calls : {128, 512}) {
    Caller caller(server->process.address(), 4, calls, "peak");
    Cut cut(&caller);
    peak = std::max(peak, RunLoad(&caller, LoadOf(options, calls, 0), &cut).calls_per_s());
  }
  return peak;
}

// Prints a line, and returns the p99 of the calls that succeeded, in us.
double Print(const std::string& name, const Options& options, Caller::Counts counts) {
  const auto per_s = [&](int64_t count) { return static_cast<double>(count) / options.seconds; };
  const double p50 = Quantile(&counts.ok_us, 0.5);
  const double p99 = Quantile(&counts.ok_us, 0.99);
  std::printf("%-28s %8.0f ok/s %6.0f refused/s %6.0f late/s   p50 %8.1f ms   p99 %8.1f ms\n", name.c_str(),
              per_s(counts.ok), per_s(counts.refused), per_s(counts.late), p50 / 1000, p99 / 1000);
  std::fflush(stdout);
  return p99;
}

void Goodput(const Options& options) {
  Server server(options);
  const double peak = Peak(options, &server);
  std::printf("server: %.0f %% of a core; peak %.0f increments/s (closed loop of 128 or 512 calls)\n",
              options.core_share * 100, peak);
  std::printf("%8s %10s %10s %10s %8s %10s %10s %8s %12s %12s %12s %8s\n", "factor", "offered/s", "sent/s", "ok/s",
              "of peak", "refused/s", "late/s", "other/s", "ok p50 ms", "ok p99 ms", "refused p99", "MiB");
  for (const double factor : options.factors) {
    Caller caller(server.process.address(), options.channels, options.outstanding, "noisy");
    Cut cut(&caller);
    RunLoad(&caller, LoadOf(options, options.outstanding, peak * factor), &cut);
    Caller::Counts& counts = cut.counts;
    const auto per_s = [&](int64_t count) { return static_cast<double>(count) / options.seconds; };
    std::printf("%8.0f %10.0f %10.0f %10.0f %7.0f%% %10.0f %10.0f %8.0f %12.1f %12.1f %12.1f %8.0f\n", factor,
                peak * factor, per_s(counts.ok + counts.refused + counts.late + counts.other), per_s(counts.ok),
                100 * per_s(counts.ok) / peak, per_s(counts.refused), per_s(counts.late), per_s(counts.other),
                Quantile(&counts.ok_us, 0.5) / 1000, Quantile(&counts.ok_us, 0.99) / 1000,
                Quantile(&counts.refused_us, 0.99) / 1000, ResidentMbOf(server.process.pid()));
    std::fflush(stdout);
  }
}

// Offers so many calls a second in the namespace "noisy", and prints how they ended.
void Noise(const Options& options) {
  Caller caller(options.address, options.channels, options.outstanding, "noisy");
  Cut cut(&caller);
  RunLoad(&caller, LoadOf(options, options.outstanding, options.rate), &cut);
  Print("  the other", options, std::move(cut.counts));
}

// The noise comes from a process of its own: in one process the replies of both would wait for the same reader.
void Neighbour(const Options& options) {
  Server server(options);
  const double peak = Peak(options, &server);
  const auto quiet = [&] {
    Caller caller(server.process.address(), 1, 256, "quiet");
    Cut cut(&caller);
    RunLoad(&caller, LoadOf(options, 256, peak / 10), &cut);
    return std::move(cut.counts);
  };
  std::printf("peak %.0f/s; a namespace with a tenth of it\n", peak);
  const double alone = Print("alone", options, quiet());
  double half = 0;
  for (const double factor : {0.5, 10.0}) {
    const std::string log = absl::StrCat(server.directory.path(), "/noise-", factor, ".log");
    double beside = 0;
    {
      const Child noise(
          {std::filesystem::read_symlink("/proc/self/exe"), "--parts", "noise", "--address", server.process.address(),
           "--rate", absl::StrCat(peak * factor), "--seconds", absl::StrCat(options.seconds + 2), "--channels",
           absl::StrCat(options.channels), "--outstanding", absl::StrCat(options.outstanding)},
          log);
      beside = Print(absl::StrCat("beside ", factor, " times the peak"), options, quiet());
      noise.WaitForEnd(absl::Seconds(30));
    }
    std::cout << std::ifstream(log).rdbuf() << std::flush;
    if (factor < 1) half = beside;
    std::printf("  p99 beside / alone: %.2f\n", alone > 0 ? beside / alone : 0);
    if (factor > 1) std::printf("  p99 beside 10 times / beside half the peak: %.2f\n", half > 0 ? beside / half : 0);
  }
}

int Main(int argc, char** argv) {
  Options options;
  std::vector<std::string> parts = {"goodput", "neighbour"};
  CLI::App app("What a server does when more comes than it can do", "overload_bench");
  app.add_option("--holdfast", options.program, "The holdfastd to start");
  app.add_option("--config", options.config, "Its configuration, as text");
  app.add_option("--core-share", options.core_share, "The part of a core that it gets")->capture_default_str();
  app.add_option("--seconds", options.seconds, "The length of each measurement")->capture_default_str();
  app.add_option("--channels", options.channels, "The connections of the load")->capture_default_str();
  app.add_option("--outstanding", options.outstanding, "The most calls under way")->capture_default_str();
  app.add_option("--factors", options.factors, "How many times the peak")->delimiter(',')->capture_default_str();
  app.add_option("--parts", parts, "goodput, neighbour; or noise")->delimiter(',')->capture_default_str();
  app.add_option("--address", options.address, "The server that noise calls");
  app.add_option("--rate", options.rate, "The calls a second that noise offers");
  CLI11_PARSE(app, argc, argv);
  for (const std::string& part : parts) {
    if (part == "goodput") Goodput(options);
    if (part == "neighbour") Neighbour(options);
    if (part == "noise") Noise(options);
  }
  return 0;
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) { return holdfast::bench::Main(argc, argv); }
