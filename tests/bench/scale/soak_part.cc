// Runs a mixed load for a long time, whose objects are loaded and passivated again and again. Memory, files and log
// must level off, and writes must not stall.

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "tests/bench/scale/calls.h"
#include "tests/bench/scale/parts.h"
#include "tests/bench/scale/server.h"

namespace holdfast::bench {
namespace {

constexpr double kLevelMax = 1.1;
constexpr absl::Duration kWindow = absl::Seconds(5);
constexpr int64_t kRetentionS = 10;
constexpr int kLines = 20;  // the least number of samples that are printed
// The open loop must not run out of slots during a stall.
constexpr int kSlots = 2048;

struct Stream {
  Kind kind;
  double per_s;
  double objects;  // as a part of options.objects
};
constexpr Stream kStreams[] = {{Kind::kCounter, 1200, 0.1},    {Kind::kRateLimiter, 300, 0.005},
                               {Kind::kUserCache, 300, 0.005}, {Kind::kBatchProcessor, 200, 0.0005},
                               {Kind::kEntries, 300, 0.01},    {Kind::kSql, 100, 0.001}};

int64_t ObjectsOf(const Stream& stream, const ScaleOptions& options) {
  return std::max<int64_t>(100, static_cast<int64_t>(stream.objects * static_cast<double>(options.objects)));
}

// The budgets are so small that all of them are full, and request records expire, before about a quarter of the time is
// over.
std::string Config(const ScaleOptions& options) {
  const int64_t memtable_mb = std::clamp<int64_t>(static_cast<int64_t>(options.soak_minutes), 4, 64);
  return absl::StrCat("actors { activation_bytes_max: ", int64_t{32} << 20,
                      " } storage { memtable_bytes: ", memtable_mb << 20, " wal_bytes_max: ", 2 * memtable_mb << 20,
                      " block_cache_bytes: ", int64_t{32} << 20, " request_record_age_ms: ",
                      std::max<int64_t>(1000, static_cast<int64_t>(options.soak_minutes * 60'000 / 10)), " }");
}

// Processed items expire soon, so that the stored data has a bound.
void Configure(const ScaleOptions& options, const Server& server) {
  const Line line{server.address()};
  const auto calls =
      Calls<v1::BatchProcessorService>(line, &v1::BatchProcessorService::Stub::PrepareAsyncConfigureBatch,
                                       [](int64_t number, v1::ConfigureBatchRequest* request) {
                                         request->mutable_object()->set_name(ObjectName(Kind::kBatchProcessor, number));
                                         request->mutable_config()->mutable_delay()->set_seconds(1);
                                         request->mutable_config()->mutable_retention()->set_seconds(kRetentionS);
                                       });
  MustRunCalls("ConfigureBatch", calls.get(), line.slots, ObjectsOf(kStreams[3], options));
}

struct Sample {
  double minute;
  double resident_mb;
  double files;
  double wal_mb;
  double disk_mb;
};

std::vector<Sample> SampleFor(absl::Duration time, const Server& server) {
  std::vector<Sample> samples;
  const absl::Time begin = absl::Now();
  const absl::Duration print_every = std::min(absl::Minutes(1), time / kLines);
  absl::Time print_at = begin + print_every;
  while (absl::Now() < begin + time) {
    absl::SleepFor(absl::Milliseconds(500));
    const DirectorySize size = server.Size();
    samples.push_back({absl::ToDoubleMinutes(absl::Now() - begin), server.ResidentMb(), static_cast<double>(size.files),
                       static_cast<double>(size.wal_bytes) / 1e6, static_cast<double>(size.bytes) / 1e6});
    if (absl::Now() < print_at) continue;
    print_at += print_every;
    const Sample& last = samples.back();
    std::printf("    minute %6.2f: %7.1f MiB resident, %4.0f files, %7.1f MB on disk, of which %6.1f MB log\n",
                last.minute, last.resident_mb, last.files, last.disk_mb, last.wal_mb);
    std::fflush(stdout);
  }
  return samples;
}

void AddLevel(const std::string& name, const std::vector<Sample>& samples, double Sample::*figure, Report* report) {
  double first = 0;
  double second = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    double& half = i < samples.size() / 2 ? first : second;
    half = std::max(half, samples[i].*figure);
  }
  report->Add(absl::StrCat(name, ": second half's maximum by the first's"), second / std::max(1e-9, first), "",
              AtMost(kLevelMax));
  report->Note(absl::StrFormat("%s at most %.1f, then %.1f", name, first, second));
}

// Adds how often RocksDB, by its log, slowed writes down or stopped them.
void AddStalls(const Server& server, Report* report) {
  std::ifstream log(server.data_dir() + "/LOG");
  int64_t slowed = 0;
  int64_t stopped = 0;
  for (std::string line; std::getline(log, line);) {
    slowed += absl::StrContains(line, "Stalling writes") ? 1 : 0;
    stopped += absl::StrContains(line, "Stopping writes") ? 1 : 0;
  }
  report->Add("RocksDB's log: times that it slowed writes down", static_cast<double>(slowed), "");
  report->Add("RocksDB's log: times that it stopped writes", static_cast<double>(stopped), "");
}

}  // namespace

void RunSoak(const ScaleOptions& options, Report* report) {
  const std::string config = Config(options);
  report->Begin("soak",
                absl::StrFormat("%g minutes; increments 1200/s, checks, users and keys 300/s each, items 200/s, "
                                "SQL 100/s; %s",
                                options.soak_minutes, config));
  Server server(config);
  server.Start();
  Configure(options, server);

  const absl::Duration time = absl::Minutes(options.soak_minutes);
  struct Running {
    std::unique_ptr<Watched> calls;
    LoadResult result;
    std::thread thread;
  };
  std::vector<Running> running(std::size(kStreams) + 1);
  for (size_t i = 0; i < std::size(kStreams); ++i) {
    const Stream& stream = kStreams[i];
    const auto objects = static_cast<uint64_t>(ObjectsOf(stream, options));
    ChangeOptions change{.object = [objects, random = std::make_shared<std::mt19937_64>(i)](
                                       int64_t) { return static_cast<int64_t>((*random)() % objects); },
                         .limit_window = kWindow,
                         .request_ids = stream.kind == Kind::kEntries};
    running[i].calls = std::make_unique<Watched>(Changes(stream.kind, {server.address(), 1, kSlots}, change), kSlots);
    running[i].thread = std::thread([&run = running[i], &stream, time] {
      run.result = RunLoad(run.calls.get(), {.outstanding = kSlots, .rate_per_s = stream.per_s, .time = time});
    });
  }
  // The probe makes one write after the other; its gaps are the stalls.
  Running& probe = running.back();
  probe.calls = std::make_unique<Watched>(
      Changes(Kind::kCounter, {server.address(), 1, 1}, {.object = [](int64_t) { return -1; }}), 1);
  probe.thread =
      std::thread([&probe, time] { probe.result = RunLoad(probe.calls.get(), {.outstanding = 1, .time = time}); });

  const std::vector<Sample> samples = SampleFor(time, server);
  for (Running& run : running) run.thread.join();
  AddLevel("resident memory, MiB", samples, &Sample::resident_mb, report);
  AddLevel("files", samples, &Sample::files, report);
  AddLevel("write-ahead log, MB", samples, &Sample::wal_mb, report);
  int64_t failures = 0;
  absl::Duration longest;
  for (size_t i = 0; i < std::size(kStreams); ++i) {
    const LoadResult& result = running[i].result;
    failures += result.failures;
    longest = std::max(longest, running[i].calls->longest_call());
    report->Note(absl::StrFormat(
        "%s: %.0f of %.0f/s, p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, longest %.0f ms, %d not "
        "begun at the end",
        NameOf(kStreams[i].kind), result.calls_per_s(), kStreams[i].per_s, result.p50_us / 1e3, result.p99_us / 1e3,
        result.p999_us / 1e3, absl::ToDoubleMilliseconds(running[i].calls->longest_call()), result.not_begun));
  }
  report->Add("calls that failed", static_cast<double>(failures), "", AtMost(0));
  report->Add("largest gap between synced writes of one client", absl::ToDoubleMilliseconds(probe.calls->longest_gap()),
              "ms");
  report->Add("the longest call", absl::ToDoubleMilliseconds(longest), "ms");
  AddStalls(server, report);
  report->Note(absl::StrFormat("that client: %.0f writes/s, p99 %.2f ms", probe.result.calls_per_s(),
                               probe.result.p99_us / 1e3));
}

}  // namespace holdfast::bench
