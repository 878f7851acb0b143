// ShouldRateLimit, round by round in turn: Holdfast, the real envoyproxy/ratelimit on Redis, and a bare gRPC server,
// which is the limit. One rule, 1,000 descriptors, all requests allowed; both rate limiters have the same file.
//
// holdfastd counts in exact sliding windows and syncs each answer; envoyproxy/ratelimit counts in fixed windows, in a
// Redis that keeps nothing on disk. tests/envoy/install.sh installs the latter; without it, it is left out.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "envoy/service/ratelimit/v3/rls.grpc.pb.h"
#include "tests/bench/child.h"
#include "tests/bench/grpc_transport.h"
#include "tests/bench/load.h"
#include "tests/integration/server_process.h"
#include "tests/shared/free_port.h"

namespace holdfast::bench {
namespace {

using envoy::service::ratelimit::v3::RateLimitRequest;
using envoy::service::ratelimit::v3::RateLimitResponse;
using envoy::service::ratelimit::v3::RateLimitService;

struct Options {
  std::string program = testing::Holdfastd().path;
  std::string config;
  int64_t descriptors = 1000;
  int outstanding = 256;
  int channels = 4;
  int rounds = 5;
  double seconds = 3;
  double settle_seconds = 2;
};

struct Server {
  std::string name;
  std::string address;
  pid_t pid;  // whose processor time is told
};

struct Figures {
  std::vector<double> rates;
  std::vector<double> p50_us;
  std::vector<double> p99_us;
  std::vector<double> cpu_us;
};

double MedianOf(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {
    const std::string rules = directory_.path() + "/theirs/ratelimit/config";
    std::filesystem::create_directories(rules);
    // As many as no descriptor has in a run, and as few as a sliding window takes.
    std::ofstream(rules + "/bench.yaml")
        << "domain: bench\ndescriptors: [{key: user, rate_limit: {unit: hour, requests_per_unit: 100000}}]\n";
    holdfastd_ = std::make_unique<testing::ServerProcess>(
        directory_.path() + "/data",
        absl::StrCat(options.config, "\nrate_limit_service { rules_file: '", rules, "/bench.yaml' }\n"), "",
        testing::ServerProgram{options.program});
    servers_.push_back({"holdfast", holdfastd_->address(), holdfastd_->pid()});
    StartEcho();
    StartTheirs();
  }

  int Run() {
    std::map<std::string, Figures> figures;
    for (const Server& server : servers_) (void)Measure(server, options_.settle_seconds);
    int64_t failures = 0;
    for (int round = 0; round < options_.rounds; ++round) {
      for (const Server& server : servers_) {
        const absl::Duration used = CpuTimeOf(server.pid);
        const LoadResult result = Measure(server, options_.seconds);
        const double cpu_us = absl::ToDoubleMicroseconds(CpuTimeOf(server.pid) - used) /
                              static_cast<double>(std::max<int64_t>(1, result.calls));
        failures += result.failures;
        figures[server.name].rates.push_back(result.calls_per_s());
        figures[server.name].p50_us.push_back(result.p50_us);
        figures[server.name].p99_us.push_back(result.p99_us);
        figures[server.name].cpu_us.push_back(cpu_us);
        std::printf("%-10s %9.0f/s  p50 %6.0f us  p99 %6.0f us\n", server.name.c_str(), result.calls_per_s(),
                    result.p50_us, result.p99_us);
        std::fflush(stdout);
      }
    }
    std::printf("\nmedians of %d rounds of %.0f s, %d calls under way, %lld descriptors of one rule\n", options_.rounds,
                options_.seconds, options_.outstanding, static_cast<long long>(options_.descriptors));
    const double limit = MedianOf(figures["echo"].rates);
    for (const Server& server : servers_) {
      const Figures& of = figures[server.name];
      // The time of warm-up is in the processor time of the server, too, so it is a little high.
      std::printf("%-10s %9.0f/s  %4.2f of the bare server  p50 %6.0f us  p99 %6.0f us  cpu %5.1f us\n",
                  server.name.c_str(), MedianOf(of.rates), MedianOf(of.rates) / limit, MedianOf(of.p50_us),
                  MedianOf(of.p99_us), MedianOf(of.cpu_us));
    }
    if (failures > 0) std::printf("%lld calls failed or were denied\n", static_cast<long long>(failures));
    return failures > 0 ? 1 : 0;
  }

 private:
  void StartEcho() {
    const int port = process::FreePort();
    echo_ = std::make_unique<Child>(std::vector<std::string>{ECHO_SERVER_PATH, absl::StrCat(port), "1"},
                                    directory_.path() + "/echo.log");
    echo_->WaitForPort(port);
    servers_.push_back({"echo", absl::StrCat("127.0.0.1:", port), echo_->pid()});
  }
  void StartTheirs() {
    const std::string tools = ENVOY_TOOLS;
    if (!std::filesystem::exists(tools + "/service_cmd") || !std::filesystem::exists(tools + "/redis-server")) {
      std::printf("without envoyproxy/ratelimit: tests/envoy/install.sh\n");
      return;
    }
    const int redis_port = process::FreePort();
    redis_ = std::make_unique<Child>(
        std::vector<std::string>{tools + "/redis-server", "--port", absl::StrCat(redis_port), "--bind", "127.0.0.1",
                                 "--save", "", "--dir", directory_.path()},
        directory_.path() + "/redis.log");
    redis_->WaitForPort(redis_port);
    const int port = process::FreePort();
    ratelimit_ = std::make_unique<Child>(
        std::vector<std::string>{tools + "/service_cmd"}, directory_.path() + "/ratelimit.log",
        std::vector<std::string>{"HOST=127.0.0.1", absl::StrCat("PORT=", process::FreePort()), "GRPC_HOST=127.0.0.1",
                                 absl::StrCat("GRPC_PORT=", port), "DEBUG_HOST=127.0.0.1",
                                 absl::StrCat("DEBUG_PORT=", process::FreePort()), "USE_STATSD=false", "LOG_LEVEL=warn",
                                 "RUNTIME_ROOT=" + directory_.path() + "/theirs", "RUNTIME_SUBDIRECTORY=ratelimit",
                                 "RUNTIME_WATCH_ROOT=false", "REDIS_SOCKET_TYPE=tcp",
                                 absl::StrCat("REDIS_URL=127.0.0.1:", redis_port)});
    ratelimit_->WaitForPort(port);
    servers_.push_back({"ratelimit", absl::StrCat("127.0.0.1:", port), ratelimit_->pid()});
  }

  LoadResult Measure(const Server& server, double seconds) {
    UnaryTransport<RateLimitService, RateLimitRequest, RateLimitResponse> transport(
        server.address, options_.channels, options_.outstanding, &RateLimitService::Stub::PrepareAsyncShouldRateLimit,
        [this](int64_t number, RateLimitRequest* request) {
          if (request->descriptors().empty()) {
            request->set_domain("bench");
            request->add_descriptors()->add_entries()->set_key("user");
          }
          request->mutable_descriptors(0)->mutable_entries(0)->set_value(
              absl::StrCat("user-", number * 7919 % options_.descriptors));
        },
        [](const RateLimitResponse& response) { return response.overall_code() == RateLimitResponse::OK; });
    return RunLoad(&transport, {.outstanding = options_.outstanding, .time = absl::Seconds(seconds)});
  }

  const Options options_;
  const testing::TemporaryDirectory directory_;
  std::unique_ptr<testing::ServerProcess> holdfastd_;
  std::unique_ptr<Child> echo_;
  std::unique_ptr<Child> redis_;
  std::unique_ptr<Child> ratelimit_;
  std::vector<Server> servers_;
};

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Compares ShouldRateLimit with envoyproxy/ratelimit and with a bare gRPC server.");
  app.add_option("--holdfast", options.program, "The program holdfastd")->capture_default_str();
  app.add_option("--config", options.config, "Configuration of holdfastd, in text format");
  app.add_option("--descriptors", options.descriptors, "Of the one rule")->capture_default_str();
  app.add_option("--outstanding", options.outstanding, "Calls under way")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds of each")->capture_default_str();
  app.add_option("--seconds", options.seconds, "Of one round")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return Bench(options).Run();
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) { return holdfast::bench::Main(argc, argv); }
