// (for now: Holdfast and echo, one workload)
#include <cstdio>
#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/bench/child.h"
#include "tests/bench/wire_workloads.h"
#include "tests/integration/server_process.h"
namespace holdfast::bench {
struct Cpu : MeasureHooks {
  pid_t pid;
  absl::Duration used;
  void Begin() override { used = CpuTimeOf(pid); }
  void End() override { used = CpuTimeOf(pid) - used; }
};
int Main(int argc, char** argv) {
  std::vector<std::string> names = absl::StrSplit(argv[1], ',');
  int outstanding = argc > 2 ? atoi(argv[2]) : 256, channels = argc > 3 ? atoi(argv[3]) : 4,
      rounds = argc > 4 ? atoi(argv[4]) : 5;
  double secs = argc > 5 ? atof(argv[5]) : 2;
  testing::TemporaryDirectory dir;
  testing::ServerProcess server(dir.path() + "/data", getenv("CONFIG") ? getenv("CONFIG") : "");
  int port = FreePort();
  Child echo({ECHO_SERVER_PATH, absl::StrCat(port), "1"}, dir.path() + "/echo.log");
  echo.WaitForPort(port);
  for (auto& name : names) {
    const WireWorkload& w = WireWorkloadNamed(name);
    w.prepare(server.address());
    std::map<std::string, std::vector<LoadResult>> all;
    std::map<std::string, std::vector<float>> rate, cpu, ratio;
    for (int r = 0; r < rounds; ++r) {
      for (int c = 0; c < 2; ++c) {
        // There is no stream to compare with: the unary calls are.
        const WireWorkload& work =
            c == 1 && (name == "stream-increment" || name == "batch-increment-64") ? WireWorkloadNamed("increment") : w;
        const std::string address = c == 0 ? server.address() : absl::StrCat("127.0.0.1:", port);
        auto transport = work.connect(address, channels, outstanding);
        Cpu hooks;
        hooks.pid = c == 0 ? server.pid() : echo.pid();
        LoadResult x = RunLoad(transport.get(), {.outstanding = outstanding, .time = absl::Seconds(secs)}, &hooks);
        const char* who = c == 0 ? "holdfast" : "echo";
        rate[who].push_back(x.calls_per_s() * work.units_per_call);
        cpu[who].push_back(absl::ToDoubleMicroseconds(hooks.used) / double(x.calls * work.units_per_call));
        printf("%s %-9s %8.0f/s p50 %6.0f p99 %6.0f p999 %6.0f cpu %5.1f us failures %ld\n", name.c_str(), who,
               rate[who].back(), x.p50_us, x.p99_us, x.p999_us, cpu[who].back(), x.failures);
      }
      ratio["x"].push_back(rate["holdfast"].back() / rate["echo"].back());
    }
    printf("== %s: holdfast %.0f echo %.0f ratio of medians %.3f median of ratios %.3f; cpu %.1f %.1f\n", name.c_str(),
           Quantile(&rate["holdfast"], .5), Quantile(&rate["echo"], .5),
           Quantile(&rate["holdfast"], .5) / Quantile(&rate["echo"], .5), Quantile(&ratio["x"], .5),
           Quantile(&cpu["holdfast"], .5), Quantile(&cpu["echo"], .5));
    fflush(stdout);
  }
  return 0;
}
}  // namespace holdfast::bench
int main(int argc, char** argv) { return holdfast::bench::Main(argc, argv); }
