// Measures starts of a large store, after a clean stop and after SIGKILL; and compares increments of all its counters,
// whose objects come and go in memory, with increments of a few counters that stay in memory.

#include <algorithm>
#include <functional>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/bench/child.h"
#include "tests/bench/scale/calls.h"
#include "tests/bench/scale/parts.h"
#include "tests/bench/scale/server.h"

namespace holdfast::bench {
namespace {

constexpr double kStartMaxS = 2;
constexpr double kStartAfterKillMaxS = 1;
constexpr double kResidentMaxMib = 150;
constexpr double kRatioMin = 0.5;
// The default budgets of the configuration: loaded objects, block cache, memtables. The rest is the program, gRPC, the
// families, and memory that the allocator has not given back.
constexpr double kBudgetMib = 256 + 256 + 256;
constexpr double kRestMib = 150;

constexpr int64_t kFewCounters = 1000;
constexpr int kRounds = 5;
constexpr absl::Duration kRoundTime = absl::Seconds(4);
// The start leaves some work for later; this time is long enough for it.
constexpr absl::Duration kSettle = absl::Seconds(5);

struct Share {
  Kind kind;
  double part;
};
constexpr Share kShares[] = {{Kind::kCounter, 0.6},
                             {Kind::kRateLimiter, 0.1},
                             {Kind::kUserCache, 0.1},
                             {Kind::kBatchProcessor, 0.1},
                             {Kind::kEntries, 0.1}};

int64_t CountOf(const Share& share, const ScaleOptions& options) {
  return static_cast<int64_t>(static_cast<double>(options.objects) * share.part);
}

void Create(const ScaleOptions& options, const Server& server, Report* report) {
  const Line line{server.address()};
  for (const Share& share : kShares) {
    const auto calls = Changes(share.kind, line, {.object = [](int64_t number) { return number; }});
    const auto result = MustRunCalls(NameOf(share.kind), calls.get(), line.slots, CountOf(share, options));
    report->Note(absl::StrFormat("created %d of %s at %.0f/s", result.calls, NameOf(share.kind), result.calls_per_s()));
  }
}

// Measures the first reply, for which an object is read from the disk.
absl::Duration FirstReply(const Server& server) {
  const absl::Time begin = absl::Now();
  const Line line{server.address(), 1, 1};
  const auto call = Calls<v1::CounterService>(line, &v1::CounterService::Stub::PrepareAsyncGetValue,
                                              [](int64_t, v1::GetValueRequest* request) {
                                                request->mutable_object()->set_name(ObjectName(Kind::kCounter, 777));
                                              });
  MustRunCalls("the first request", call.get(), 1, 1);
  return absl::Now() - begin;
}

void MeasureStart(const std::string& after, double max_s, Server* server, Report* report) {
  const DirectorySize size = server->Size();
  const absl::Duration start = server->Start();
  const absl::Duration cpu = CpuTimeOf(server->pid());
  const absl::Duration first = FirstReply(*server);
  const double at_once_mb = server->ResidentMb();
  absl::SleepFor(kSettle);
  report->Add(absl::StrCat("from process start to serving, after ", after), absl::ToDoubleSeconds(start), "s",
              AtMost(max_s));
  report->Add(absl::StrCat("resident memory after it, ", after), server->ResidentMb(), "MiB", AtMost(kResidentMaxMib));
  report->Note(
      absl::StrFormat("%.2f s of CPU time; first reply %.1f ms later; %.0f MiB at once; the store then had %.0f MB on "
                      "disk, of which %.0f MB "
                      "write-ahead log, in %d files",
                      absl::ToDoubleSeconds(cpu), absl::ToDoubleMilliseconds(first), at_once_mb,
                      static_cast<double>(size.bytes) / 1e6, static_cast<double>(size.wal_bytes) / 1e6, size.files));
}

LoadResult Increment(const Server& server, std::function<int64_t()> counter, absl::Duration time) {
  const Line line{server.address()};
  const auto calls =
      Changes(Kind::kCounter, line, {.object = [counter = std::move(counter)](int64_t) { return counter(); }});
  return RunLoad(calls.get(), {.outstanding = line.slots, .time = time});
}

void CompareUniform(int64_t counters, const Server& server, Report* report) {
  std::mt19937_64 random(1);
  const int64_t few = std::min(kFewCounters, counters);
  const auto any = [&] { return static_cast<int64_t>(random() % static_cast<uint64_t>(counters)); };
  // The few are spread over the store, since the oldest objects have families of their own.
  const auto one_of_few = [&] {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(few)) * (counters / few);
  };
  double all_per_s = 0, few_per_s = 0, all_p99 = 0, few_p99 = 0;
  absl::Duration all_cpu, few_cpu;
  const MemorySampler memory(server);
  for (int round = 0; round < kRounds; ++round) {
    const absl::Duration cpu_before = CpuTimeOf(server.pid());
    const LoadResult all = Increment(server, any, kRoundTime);
    const absl::Duration cpu_between = CpuTimeOf(server.pid());
    const LoadResult some = Increment(server, one_of_few, kRoundTime);
    all_cpu += (cpu_between - cpu_before) / kRounds;
    few_cpu += (CpuTimeOf(server.pid()) - cpu_between) / kRounds;
    all_per_s += all.calls_per_s() / kRounds;
    few_per_s += some.calls_per_s() / kRounds;
    all_p99 += all.p99_us / kRounds;
    few_p99 += some.p99_us / kRounds;
  }
  report->Add("increments of all counters, uniform", all_per_s, "/s");
  report->Add(absl::StrCat("increments of ", few, " counters, uniform"), few_per_s, "/s");
  report->Add("ratio of the two", all_per_s / std::max(1.0, few_per_s), "", AtLeast(kRatioMin));
  report->Add("resident memory at most, of budget and rest", memory.max_mb(), "MiB", AtMost(kBudgetMib + kRestMib));
  // The warm-up makes about as many calls a second.
  const double seconds = absl::ToDoubleSeconds(kRoundTime + LoadOptions().warm_up);
  report->Note(
      absl::StrFormat("p99 %.0f us of all, %.0f us of the few; the server's CPU time for each %.1f us and %.1f us",
                      all_p99, few_p99, absl::ToDoubleMicroseconds(all_cpu) / (all_per_s * seconds),
                      absl::ToDoubleMicroseconds(few_cpu) / (few_per_s * seconds)));
}

}  // namespace

void RunStart(const ScaleOptions& options, Report* report) {
  const int64_t counters = CountOf(kShares[0], options);
  report->Begin("start",
                absl::StrCat(options.objects, " objects, of which ", counters,
                             " counters and a tenth each of limiters, user caches, batchers and plain objects; default "
                             "settings; 256 calls under way on 4 channels"));
  Server server;
  server.Start();
  Create(options, server, report);
  server.WaitUntilQuiet();
  report->Add("a clean stop", absl::ToDoubleSeconds(server.Stop()), "s");
  MeasureStart("a clean stop", kStartMaxS, &server, report);
  std::mt19937_64 random(2);
  Increment(
      server, [&] { return static_cast<int64_t>(random() % static_cast<uint64_t>(counters)); }, kRoundTime);
  server.Kill();
  MeasureStart("SIGKILL under load", kStartAfterKillMaxS, &server, report);
  CompareUniform(counters, server, report);
}

}  // namespace holdfast::bench
