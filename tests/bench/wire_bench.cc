// Compares servers over the wire: each gets the same load, round by round in turn, and the result is medians and
// ratios. run.sh builds the servers and starts this program; README.md explains its output.

#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "grpcpp/grpcpp.h"
#include "rocksdb/version.h"
#include "tests/bench/contender.h"
#include "tests/bench/disk_limit.h"
#include "tests/bench/peer_contender.h"
#include "tests/bench/peers.h"
#include "tests/bench/wire_report.h"
#include "tests/integration/server_process.h"

namespace holdfast::bench {
namespace {

struct Options {
  std::vector<std::string> cases;
  std::vector<std::string> programs;  // LABEL=PATH
  std::vector<std::string> peers = {"workerd", "restate", "redis"};
  std::string config;
  std::string json;
  int rounds = 5;
  double seconds = 3;
  double settle_seconds = 4;
};

struct AtLeast {
  std::string to;
  double ratio;
};

struct Case {
  std::string name;
  std::string workload;
  int outstanding = 256;
  int channels = 4;
  bool half_of_peak = false;  // open loop at half of the peak
  // Much is to be read after a rest: the servers put idle objects out of memory while the others have their rounds. A
  // short round would measure how that is read again, so each round has a first part that does not count.
  bool rests_cold = false;
  std::vector<AtLeast> at_least = {};
};

// About half of 256 calls that are under way; holdfastd has about as many in one commit.
constexpr int kHeld = 128;

const std::vector<Case>& Cases() {
  static const auto* const cases = new std::vector<Case>{
      {.name = "increment",
       .workload = "increment",
       .at_least = {{"echo", 0.82}, {"echo-held", 0}, {"workerd", 20}, {"restate", 20}, {"redis", 0}}},
      {.name = "increment-hot",
       .workload = "increment-hot",
       .at_least = {{"echo", 0.90}, {"workerd", 0}, {"restate", 0}}},
      {.name = "increment-cold", .workload = "increment-cold"},
      {.name = "get-value", .workload = "get-value", .at_least = {{"echo", 0.95}, {"workerd", 0}}},
      {.name = "check-limit",
       .workload = "check-limit",
       .rests_cold = true,
       .at_least = {{"echo", 0.55}, {"echo-held", 0}, {"workerd", 30}, {"restate", 35}, {"redis", 0}}},
      {.name = "update-user",
       .workload = "update-user",
       .rests_cold = true,
       .at_least = {{"echo", 0.68}, {"workerd", 0}}},
      {.name = "add-item", .workload = "add-item", .at_least = {{"echo", 0.75}, {"workerd", 0}}},
      {.name = "sql-update", .workload = "sql-update", .at_least = {{"echo", 0.65}, {"workerd", 10}}},
      {.name = "sql-select", .workload = "sql-select", .at_least = {{"echo", 0.80}, {"workerd", 0}}},
      {.name = "stream-increment", .workload = "stream-increment", .at_least = {{"echo", 2}}},
      {.name = "batch-increment-64", .workload = "batch-increment-64", .outstanding = 64, .at_least = {{"redis", 1}}},
      {.name = "batch-increment-hot", .workload = "batch-increment-hot", .outstanding = 64},
      {.name = "increment-one", .workload = "increment", .outstanding = 1, .channels = 1},
      {.name = "increment-half", .workload = "increment", .half_of_peak = true},
  };
  return *cases;
}

class Measured final : public MeasureHooks {
 public:
  explicit Measured(const Contender* contender) : contender_(contender) {}
  void Begin() override { used_ = contender_->CpuTime(); }
  void End() override { used_ = contender_->CpuTime() - used_; }
  absl::Duration used() const { return used_; }

 private:
  const Contender* const contender_;
  absl::Duration used_;
};

class Bench {
 public:
  Bench(const Options& options, std::string directory) : options_(options), directory_(std::move(directory)) {}

  void Start() {
    for (const std::string& program : options_.programs) {
      const std::pair<std::string, std::string> parts = absl::StrSplit(program, absl::MaxSplits('=', 1));
      contenders_.push_back(StartHoldfast(parts.first, parts.second, directory_, options_.config));
    }
    contenders_.push_back(StartEcho("echo", ECHO_SERVER_PATH, directory_, 1));
    contenders_.push_back(StartEcho("echo-held", ECHO_SERVER_PATH, directory_, kHeld));
    const PeerPaths paths{.tools = TOOLS_PATH, .sources = SOURCES_PATH};
    for (const std::string name : {"workerd", "restate", "redis"}) {
      if (std::find(options_.peers.begin(), options_.peers.end(), name) == options_.peers.end()) continue;
      const std::string directory = absl::StrCat(directory_, "/", name);
      std::filesystem::create_directory(directory);
      auto peer = name == "workerd"   ? StartWorkerd(paths, directory)
                  : name == "restate" ? StartRestate(paths, directory)
                                      : StartRedis(directory);
      if (peer.ok()) {
        contenders_.push_back(PeerContender(*std::move(peer)));
      } else {
        report_.AddSkipped(name, std::string(peer.status().message()));
      }
    }
  }

  void Run(const Case& one) {
    std::map<Contender*, Work> works;
    for (auto& contender : contenders_) {
      Work work = contender->WorkOf(one.workload);
      if (!work.connect || !TakesPart(one, contender->name())) continue;
      if (prepared_.insert({contender.get(), one.workload}).second) {
        work.prepare();
        // A first measurement, so that the cost of a start (loading, families) is over.
        (void)Measure(one, contender.get(), work, options_.settle_seconds);
      }
      works[contender.get()] = std::move(work);
    }
    for (int i = 0; i < options_.rounds; ++i) {
      for (auto& contender : contenders_) {
        const auto work = works.find(contender.get());
        if (work == works.end()) continue;
        if (one.rests_cold) (void)Measure(one, contender.get(), work->second, options_.settle_seconds);
        const Round round = Measure(one, contender.get(), work->second, options_.seconds);
        report_.AddRound(one.name, contender->name(), round);
        std::printf("%-20s %-10s %9.0f/s  p50 %6.0f us  p99 %6.0f us  p99.9 %6.0f us  cpu %5.1f us\n", one.name.c_str(),
                    contender->name().c_str(), round.ops_per_s, round.p50_us, round.p99_us, round.p999_us,
                    round.server_cpu_us_per_op);
        std::fflush(stdout);
      }
      if (one.name == "increment-one") AddDiskRound();
    }
    AddTargets(one);
  }

  WireReport& report() { return report_; }

 private:
  // Builds of holdfastd and the limits take part always; a peer takes part where a case compares with it.
  static bool TakesPart(const Case& one, const std::string& name) {
    if (one.half_of_peak) return name == "holdfast";
    if (name != "echo-held" && name != "workerd" && name != "restate" && name != "redis") return true;
    return std::any_of(one.at_least.begin(), one.at_least.end(), [&](const AtLeast& to) { return to.to == name; });
  }

  Round Measure(const Case& one, Contender* contender, const Work& work, double seconds) {
    const int slots = work.outstanding_max > 0 ? std::min(one.outstanding, work.outstanding_max) : one.outstanding;
    LoadOptions load{.outstanding = slots, .time = absl::Seconds(seconds)};
    if (one.half_of_peak) load.rate_per_s = report_.MedianOf("increment", "holdfast").ops_per_s / 2;
    const std::unique_ptr<Transport> transport = work.connect(std::min(one.channels, slots), slots);
    Measured measured(contender);
    const LoadResult result = RunLoad(transport.get(), load, &measured);
    const double operations = static_cast<double>(result.calls) * work.units_per_call;
    return {.ops_per_s = result.calls_per_s() * work.units_per_call,
            .p50_us = result.p50_us,
            .p99_us = result.p99_us,
            .p999_us = result.p999_us,
            .server_cpu_us_per_op = absl::ToDoubleMicroseconds(measured.used()) / std::max(1.0, operations),
            .rss_mb = contender->ResidentMb(),
            .failures = result.failures};
  }

  void AddDiskRound() {
    const LoadResult result = SyncedWrites(absl::StrCat(directory_, "/disk"), absl::Seconds(options_.seconds));
    report_.AddRound("increment-one", "disk",
                     {.ops_per_s = result.calls_per_s(),
                      .p50_us = result.p50_us,
                      .p99_us = result.p99_us,
                      .p999_us = result.p999_us});
  }

  // The targets are for the build with the label holdfast; a comparison of other builds has no targets.
  void AddTargets(const Case& one) {
    if (!report_.Has(one.name, "holdfast")) return;
    for (const AtLeast& target : one.at_least) report_.AddRatio(one.name, "holdfast", target.to, target.ratio);
    const Round round = report_.MedianOf(one.name, "holdfast");
    if (one.name == "increment-one") {
      const double limit = report_.MedianOf(one.name, "echo").p50_us + 110;
      report_.AddTarget({"increment-one: p50 us, echo + 110", round.p50_us, limit, true});
    }
    if (one.half_of_peak) {
      report_.AddTarget({one.name + ": p99 us", round.p99_us, 4000, true});
      report_.AddTarget({one.name + ": p99.9 us", round.p999_us, 12000, true});
    }
  }

  const Options options_;
  const std::string directory_;
  WireReport report_;
  std::vector<std::unique_ptr<Contender>> contenders_;
  std::set<std::pair<Contender*, std::string>> prepared_;
};

// Returns the file system of the mount whose path is the longest prefix of the directory.
std::string FileSystemOf(const std::string& directory) {
  std::ifstream mounts("/proc/mounts");
  std::string device, path, type, rest, found;
  size_t longest = 0;
  while (mounts >> device >> path >> type && std::getline(mounts, rest)) {
    const std::string inside = path == "/" ? path : path + "/";
    if (!absl::StartsWith(directory + "/", inside) || path.size() < longest) continue;
    longest = path.size();
    found = absl::StrCat(type, rest.substr(0, rest.find_last_of(' ', rest.size() - 3)));
  }
  return found;
}

void AddEnvironment(const Options& options, const std::string& directory, WireReport* report) {
  utsname system{};
  uname(&system);
  report->AddEnvironment("cores", absl::StrCat(std::thread::hardware_concurrency()));
  report->AddEnvironment("kernel", system.release);
  report->AddEnvironment("gRPC, RocksDB", absl::StrCat(grpc::Version(), ", ", rocksdb::GetRocksVersionAsString()));
  report->AddEnvironment("file system", FileSystemOf(std::filesystem::canonical(directory).string()));
  const LoadResult sync = SyncedWrites(absl::StrCat(directory, "/sync-cost"), absl::Seconds(1));
  report->AddEnvironment("synced write", absl::StrCat("p50 ", static_cast<int>(sync.p50_us), " us, p99 ",
                                                      static_cast<int>(sync.p99_us), " us"));
  report->AddEnvironment("rounds", absl::StrCat(options.rounds, " of ", options.seconds, " s"));
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Compares Holdfast with a bare gRPC server and with its peers.");
  app.add_option("--cases", options.cases, "Only these, separated by commas")->delimiter(',');
  app.add_option("--holdfast", options.programs, "LABEL=PATH: a build of holdfastd; the first is labelled holdfast");
  app.add_option("--peers", options.peers, "Which of workerd, restate and redis; '' for none")->delimiter(',');
  app.add_option("--config", options.config, "Configuration of holdfastd, in text format");
  app.add_option("--rounds", options.rounds, "Rounds of each")->capture_default_str();
  app.add_option("--seconds", options.seconds, "Of one round")->capture_default_str();
  app.add_option("--settle-seconds", options.settle_seconds,
                 "Before the first round, and before each of a case whose objects rest cold")
      ->capture_default_str();
  app.add_option("--json", options.json, "A file for the figures");
  CLI11_PARSE(app, argc, argv);
  if (options.programs.empty()) options.programs = {absl::StrCat("holdfast=", testing::Holdfastd().path)};

  const testing::TemporaryDirectory directory;
  Bench bench(options, directory.path());
  AddEnvironment(options, directory.path(), &bench.report());
  bench.Start();
  for (const Case& one : Cases()) {
    const bool asked =
        options.cases.empty() || std::find(options.cases.begin(), options.cases.end(), one.name) != options.cases.end();
    if (asked) bench.Run(one);
  }
  bench.report().Print();
  if (!options.json.empty()) bench.report().WriteJson(options.json);
  return 0;
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) { return holdfast::bench::Main(argc, argv); }
