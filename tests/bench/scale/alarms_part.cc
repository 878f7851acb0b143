// Measures many alarms at one moment. The first kind are clients' own alarms, on objects of class Object: set with
// SetAlarm, delivered to WatchAlarms and acknowledged, which is two commits of the object each. The second kind are the
// server's own: batchers with an item each, whose alarms come due while the server is down, so that it finds all of
// them overdue.
//
// Memory budgets are small, so that the memory added is mostly that of the alarms and not of caches that fill.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/bench/child.h"
#include "tests/bench/scale/calls.h"
#include "tests/bench/scale/parts.h"
#include "tests/bench/scale/server.h"
#include "tests/bench/scale/side_load.h"
#include "tests/bench/scale/watchers.h"
#include "tests/integration/rpc.h"

namespace holdfast::bench {
namespace {

constexpr const char* kConfig =
    "actors { overdue_alarms_per_second: 1000000 activation_bytes_max: 16777216 } "
    "storage { block_cache_bytes: 16777216 memtable_bytes: 16777216 column_families_max: 0 }";
constexpr double kClientsPerSecondMin = 20'000;
constexpr double kBatchersPerSecondMin = 40'000;
constexpr double kAddedMaxMib = 100;
constexpr double kLostMax = 0.2;

constexpr int kSlots = 256;
constexpr int kWatchers = 4;
constexpr double kSlower = 2.5;  // the second round may take this many times the time of the first
constexpr absl::Duration kSettle = absl::Seconds(2);
// From the moment when the last alarm is set until the alarms are due; a restart and the load alone happen meanwhile.
constexpr absl::Duration kBefore = absl::Seconds(25);
constexpr absl::Duration kNoProgressMax = absl::Seconds(60);
constexpr int64_t kSampled = 1000;

void SetTime(absl::Time time, google::protobuf::Timestamp* wire) {
  const int64_t us = absl::ToUnixMicros(time);
  wire->set_seconds(us / 1'000'000);
  wire->set_nanos(static_cast<int32_t>(us % 1'000'000 * 1000));
}
absl::Time TimeOf(const google::protobuf::Timestamp& wire) {
  return absl::FromUnixMicros(wire.seconds() * 1'000'000 + wire.nanos() / 1000);
}

void SetAlarms(const Server& server, absl::Time time, int64_t count) {
  const auto calls =
      Calls<v1::ObjectService>({server.address(), 4, kSlots}, &v1::ObjectService::Stub::PrepareAsyncSetAlarm,
                               [time](int64_t number, v1::SetAlarmRequest* request) {
                                 request->mutable_object()->set_name(absl::StrCat("alarm-", number));
                                 SetTime(time, request->mutable_scheduled_time());
                               });
  MustRunCalls("SetAlarm", calls.get(), kSlots, count);
}

void AddOutcome(const std::string& whose, double per_s, double per_s_min, int64_t early, double added_mb,
                const SideLoad& load, Report* report) {
  report->Add(absl::StrCat(whose, ": dispatched per second"), per_s, "/s", AtLeast(per_s_min));
  report->Add(absl::StrCat(whose, ": early"), static_cast<double>(early), "", AtMost(0));
  report->Add(absl::StrCat(whose, ": added memory"), added_mb, "MiB", AtMost(kAddedMaxMib));
  report->Add(absl::StrCat(whose, ": lost by the load beside, of its throughput"), load.lost(), "", AtMost(kLostMax));
  report->Note(
      absl::StrFormat("load: %.0f/s wanted, %.0f/s alone, p99 %.1f ms; %.0f/s beside, p99 of the worst second "
                      "%.1f ms",
                      load.rate_per_s(), load.alone_per_s(), load.alone_p99_us() / 1e3, load.beside_per_s(),
                      load.beside_p99_us() / 1e3));
}

// Adds a figure that says that some alarms were due before all were set and the server was ready for them.
void AddNotMeasured(const std::string& whose, int64_t alarms, Report* report) {
  report->Add(absl::StrCat(whose, ": not measured, due before all was ready"), static_cast<double>(alarms), "",
              AtMost(0));
}

// Notes the server's CPU time for each alarm, which does not depend on other users of the processor.
void AddCpu(absl::Duration cpu, int64_t alarms, const SideLoad& load, Report* report) {
  report->Note(absl::StrFormat(
      "the server's CPU time for each alarm, with that of the load beside: %.0f us; the load "
      "alone takes %.0f us for each increment",
      absl::ToDoubleMicroseconds(cpu) / static_cast<double>(std::max<int64_t>(1, alarms)), load.alone_cpu_us()));
}

void RunClients(int64_t alarms, Report* report) {
  Server server(kConfig);
  server.Start();
  // The alarms are first set for a later time, to measure how long setting them takes. All are set, since setting gets
  // slower once there is much to compact.
  const absl::Time tried = absl::Now();
  SetAlarms(server, tried + absl::Hours(10), alarms);
  const absl::Time set = absl::Now();
  const absl::Time due = set + (set - tried) * kSlower + kBefore;
  SetAlarms(server, due, alarms);
  report->Note(
      absl::StrFormat("%d alarms set, %.0f s before they are due", alarms, absl::ToDoubleSeconds(due - absl::Now())));
  server.Stop();
  server.Start();
  absl::SleepFor(kSettle);
  SideLoad load(server);
  if (absl::Now() > due) {
    AddNotMeasured("alarms of clients (WatchAlarms)", alarms, report);
    return;
  }
  Watchers watchers(server.address(), kWatchers, alarms);
  absl::SleepFor(due - absl::Seconds(1) - absl::Now());
  const double before_mb = server.ResidentMb();
  const MemorySampler memory(server);
  absl::SleepFor(due - absl::Now());
  const absl::Duration cpu_before = CpuTimeOf(server.pid());
  load.Begin(server.address());
  int64_t seen = 0;
  for (absl::Time progress = absl::Now(); seen < alarms && absl::Now() < progress + kNoProgressMax;) {
    absl::SleepFor(absl::Milliseconds(20));
    if (watchers.objects() > seen) progress = absl::Now();
    seen = watchers.objects();
  }
  load.End();
  AddCpu(CpuTimeOf(server.pid()) - cpu_before, seen, load, report);
  const double per_s = static_cast<double>(seen) / absl::ToDoubleSeconds(watchers.last() - due);
  AddOutcome("alarms of clients (WatchAlarms)", per_s, kClientsPerSecondMin, watchers.early(),
             memory.max_mb() - before_mb, load, report);
  report->Add("alarms of clients: not delivered", static_cast<double>(alarms - seen), "", AtMost(0));
  report->Note(absl::StrFormat("%d came again, %d acknowledgements failed; %.1f MiB before", watchers.repeated(),
                               watchers.failed(), before_mb));
}

class Batchers {
 public:
  Batchers(const Server& server, int64_t count) : server_(server), count_(count) {}

  void Configure(absl::Duration delay) {
    const auto calls = Calls<v1::BatchProcessorService>(
        {server_.address(), 4, kSlots}, &v1::BatchProcessorService::Stub::PrepareAsyncConfigureBatch,
        [delay](int64_t number, v1::ConfigureBatchRequest* request) {
          request->mutable_object()->set_name(ObjectName(Kind::kBatchProcessor, number));
          request->mutable_config()->mutable_delay()->set_seconds(absl::ToInt64Seconds(delay));
        });
    MustRunCalls("ConfigureBatch", calls.get(), kSlots, count_);
  }
  void Fill() {
    const auto calls = Changes(Kind::kBatchProcessor, {server_.address(), 4, kSlots},
                               {.object = [](int64_t number) { return number; }});
    MustRunCalls("AddItems", calls.get(), kSlots, count_);
  }

  // Returns when the batches of a sample, spread over all batches, are due, in the order of the sample.
  std::vector<absl::Time> DueTimes() {
    const auto stub = v1::BatchProcessorService::NewStub(Connect(server_.address(), 1)[0]);
    std::vector<absl::Time> times;
    for (int64_t i = 0; i < sampled(); ++i) times.push_back(TimeOf(Status(*stub, i).next_flush_time()));
    return times;
  }
  // Waits until each batch of the sample was processed, and returns when that was.
  std::vector<absl::Time> ProcessTimes() {
    const auto stub = v1::BatchProcessorService::NewStub(Connect(server_.address(), 1)[0]);
    std::vector<absl::Time> times;
    absl::Time progress = absl::Now();
    for (int64_t i = 0; i < sampled();) {
      v1::ListProcessedItemsRequest request;
      request.mutable_object()->set_name(ObjectName(Kind::kBatchProcessor, i * count_ / sampled()));
      const auto page = testing::Invoke(*stub, &v1::BatchProcessorService::Stub::ListProcessedItems, request);
      if (page.ok() && page->items_size() == 1) {
        times.push_back(TimeOf(page->items(0).process_time()));
        progress = absl::Now();
        ++i;
      } else {
        if (absl::Now() > progress + kNoProgressMax) break;
        absl::SleepFor(absl::Milliseconds(100));
      }
    }
    return times;
  }
  int64_t sampled() const { return std::min(kSampled, count_); }

 private:
  v1::GetBatchStatusResponse Status(v1::BatchProcessorService::Stub& stub, int64_t i) {
    v1::GetBatchStatusRequest request;
    request.mutable_object()->set_name(ObjectName(Kind::kBatchProcessor, i * count_ / sampled()));
    return testing::Invoke(stub, &v1::BatchProcessorService::Stub::GetBatchStatus, request).response;
  }

  const Server& server_;
  const int64_t count_;
};

void RunBuiltIn(int64_t alarms, Report* report) {
  Server server(kConfig);
  server.Start();
  SideLoad load(server);
  Batchers batchers(server, alarms);
  const absl::Time tried = absl::Now();
  batchers.Configure(absl::Hours(1));
  // No batch is due before all have an item and the sample is read.
  batchers.Configure((absl::Now() - tried) * kSlower + absl::Seconds(10));
  batchers.Fill();
  const std::vector<absl::Time> due = batchers.DueTimes();
  const absl::Time all_due = *std::max_element(due.begin(), due.end());
  server.Stop();
  // A batch that was processed already has no due time.
  if (*std::min_element(due.begin(), due.end()) < absl::Now()) {
    AddNotMeasured("alarms of the server's classes (batchers)", alarms, report);
    return;
  }
  absl::SleepFor(all_due + absl::Seconds(1) - absl::Now());
  server.Start();
  const absl::Time begin = absl::Now();
  const double before_mb = server.ResidentMb();
  std::vector<absl::Time> processed;
  double max_mb = 0;
  const absl::Duration cpu_before = CpuTimeOf(server.pid());
  {
    const MemorySampler memory(server);
    load.Begin(server.address());
    processed = batchers.ProcessTimes();
    load.End();
    max_mb = memory.max_mb();
  }
  if (processed.empty()) {
    report->Add("alarms of the server's classes: sampled and not processed", static_cast<double>(due.size()), "",
                AtMost(0));
    return;
  }
  AddCpu(CpuTimeOf(server.pid()) - cpu_before, alarms, load, report);
  int64_t early = 0;
  for (size_t i = 0; i < processed.size(); ++i) early += processed[i] < due[i] ? 1 : 0;
  const absl::Time last = *std::max_element(processed.begin(), processed.end());
  AddOutcome("alarms of the server's classes (batchers)",
             static_cast<double>(alarms) / absl::ToDoubleSeconds(last - begin), kBatchersPerSecondMin, early,
             max_mb - before_mb, load, report);
  report->Add("alarms of the server's classes: sampled and not processed",
              static_cast<double>(due.size() - processed.size()), "", AtMost(0));
  report->Note(absl::StrFormat("%d of %d are sampled; the last was processed %.1f s after the start, %.1f MiB before",
                               processed.size(), alarms, absl::ToDoubleSeconds(last - begin), before_mb));
}

}  // namespace

void RunAlarms(const ScaleOptions& options, Report* report) {
  report->Begin("alarms", absl::StrCat(options.alarms, " alarms due at one time; ", kConfig));
  RunClients(options.alarms, report);
  RunBuiltIn(options.alarms, report);
}

}  // namespace holdfast::bench
