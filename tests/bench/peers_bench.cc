// Benchmark of the peers alone: starts each installed peer, runs all its workloads, and reads back how much the peer
// counted.
//
//   peers_bench TOOLS SOURCES [SECONDS [OUTSTANDING [PEER]]]      TOOLS is build/tools, SOURCES tests/bench/peers

#include <stdlib.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/bench/load.h"
#include "tests/bench/peers.h"

namespace holdfast::bench {
namespace {

struct Directory {
  Directory() : path((std::filesystem::temp_directory_path() / "holdfast-peers-XXXXXX").string()) {
    if (mkdtemp(path.data()) != nullptr) return;
    std::perror("a temporary directory");
    std::exit(1);
  }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;

  std::string path;
};

// Counts the calls of the warm-up too, and the calls that end after the measured time.
class CountingTransport final : public Transport {
 public:
  explicit CountingTransport(Transport* transport) : transport_(transport) {}
  int64_t begun() const { return begun_; }

  void Begin(int slot, int64_t number) override {
    ++begun_;
    transport_->Begin(slot, number);
  }
  void Poll(absl::Time until, Sink* sink) override { transport_->Poll(until, sink); }

 private:
  Transport* const transport_;
  int64_t begun_ = 0;
};

struct Cpu final : public MeasureHooks {
  explicit Cpu(const Peer& measured) : peer(measured) {}
  void Begin() override { used = peer.CpuTime(); }
  void End() override { used = peer.CpuTime() - used; }

  const Peer& peer;
  absl::Duration used;
};

// Returns whether everything went well.
bool Run(const Peer& peer, const PeerWorkload& workload, const LoadOptions& options) {
  if (const absl::Status status = workload.prepare(); !status.ok()) {
    std::printf("%-8s %-18s cannot be prepared: %s\n", peer.name.c_str(), workload.name.c_str(),
                status.ToString().c_str());
    return false;
  }
  const auto before = workload.count_done ? workload.count_done() : 0;
  const std::unique_ptr<Transport> transport = MakeTransport(peer, workload.name, options.outstanding);
  CountingTransport counted(transport.get());
  Cpu cpu(peer);
  const LoadResult result = RunLoad(&counted, options, &cpu);
  const auto units = static_cast<double>(result.calls * workload.units_per_call);
  std::printf("%-8s %-18s %9.0f/s   p50 %7.0f us   p99 %7.0f us   CPU %6.1f us   failures %ld", peer.name.c_str(),
              workload.name.c_str(), result.calls_per_s() * workload.units_per_call, result.p50_us, result.p99_us,
              absl::ToDoubleMicroseconds(cpu.used) / units, static_cast<long>(result.failures));
  bool good = result.failures == 0 && result.calls > 0;
  if (workload.count_done) {
    const auto after = workload.count_done();
    const int64_t asked = counted.begun() * workload.units_per_call;
    if (before.ok() && after.ok()) {
      std::printf("   read back %ld of %ld", static_cast<long>(*after - *before), static_cast<long>(asked));
    }
    good = good && before.ok() && after.ok() && *after - *before == asked;
  }
  std::printf("%s\n", good ? "" : "   WRONG");
  return good;
}

int Main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: peers_bench TOOLS SOURCES [SECONDS [OUTSTANDING [PEER]]]\n");
    return 2;
  }
  setlinebuf(stdout);
  const PeerPaths paths{.tools = argv[1], .sources = argv[2]};
  LoadOptions options;
  if (argc > 3) options.time = absl::Seconds(std::atof(argv[3]));
  if (argc > 4) options.outstanding = std::atoi(argv[4]);
  const std::string only = argc > 5 ? argv[5] : "";

  bool good = true;
  for (const std::string name : {"redis", "restate", "workerd"}) {
    if (!only.empty() && name != only) continue;
    const Directory directory;
    auto peer = name == "redis"     ? StartRedis(directory.path)
                : name == "restate" ? StartRestate(paths, directory.path)
                                    : StartWorkerd(paths, directory.path);
    if (!peer.ok()) {
      std::printf("%-8s skipped: %s\n", name.c_str(), std::string(peer.status().message()).c_str());
      good = good && absl::IsNotFound(peer.status());
      continue;
    }
    for (const PeerWorkload& workload : (*peer)->workloads) good = Run(**peer, workload, options) && good;
    std::printf("%-8s %.0f MB of memory\n", name.c_str(), (*peer)->ResidentMb());
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) { return holdfast::bench::Main(argc, argv); }
