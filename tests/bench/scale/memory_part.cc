// Measures the memory that an object takes: the server's resident memory before and after many objects of a kind were
// loaded from the disk, divided by their number. Nothing is written meanwhile, so that memtables do not grow, and the
// block cache is as small as it can be.

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "tests/bench/scale/calls.h"
#include "tests/bench/scale/parts.h"
#include "tests/bench/scale/server.h"

namespace holdfast::bench {
namespace {

constexpr const char* kConfig =
    "actors { idle_timeout_ms: 86400000 activation_bytes_max: 68719476736 } "
    "storage { block_cache_bytes: 1048576 column_families_max: 0 }";
constexpr absl::Duration kSettle = absl::Seconds(2);
constexpr int kSlots = 32;  // fewer than statements that a namespace may have under way

constexpr int kLimitKeys = 100;
constexpr int kLimit = 100;
constexpr int kRows = 100;
constexpr double kKib = 1024;

using NewCalls = std::function<std::unique_ptr<Transport>(const Line& line, int64_t first_object)>;

struct Loaded {
  std::string name;
  double target_kib;
  int64_t objects;
  int64_t calls_of_object;  // the calls that make one object
  NewCalls make;
  NewCalls load;
};

// Returns how many other objects are loaded first, so that everything that grows only once has grown.
int64_t WarmUp(const Loaded& loaded) { return std::max<int64_t>(20, loaded.objects / 10); }

void Measure(const Loaded& loaded, Report* report) {
  const int64_t warm_up = WarmUp(loaded);
  const int64_t all = loaded.objects + warm_up;
  Server server(kConfig);
  server.Start();
  MustRunCalls(loaded.name, loaded.make({server.address(), 4, kSlots}, 0).get(), kSlots, all * loaded.calls_of_object);
  server.Stop();
  server.Flush(true);
  server.Start();
  const Line line{server.address(), 4, kSlots};
  MustRunCalls(loaded.name, loaded.load(line, loaded.objects).get(), kSlots, warm_up);
  absl::SleepFor(kSettle);
  const double before = server.ResidentMb();
  MustRunCalls(loaded.name, loaded.load(line, 0).get(), kSlots, loaded.objects);
  absl::SleepFor(kSettle);
  const double after = server.ResidentMb();
  report->Add(loaded.name, (after - before) * kKib / static_cast<double>(loaded.objects), "KiB",
              AtMost(loaded.target_kib));
  report->Note(absl::StrFormat("%d objects: from %.1f to %.1f MiB", loaded.objects, before, after));
}

Loaded Counters(int64_t objects) {
  return {.name = "resident memory of an active counter",
          .target_kib = 1,
          .objects = objects,
          .calls_of_object = 1,
          .make =
              [](const Line& line, int64_t first) {
                return Changes(Kind::kCounter, line, {.object = [first](int64_t number) { return first + number; }});
              },
          .load =
              [](const Line& line, int64_t first) {
                return Calls<v1::CounterService>(
                    line, &v1::CounterService::Stub::PrepareAsyncGetValue,
                    [first](int64_t number, v1::GetValueRequest* request) {
                      request->mutable_object()->set_name(ObjectName(Kind::kCounter, first + number));
                    },
                    [](const v1::GetValueResponse& response) { return response.value() == 1; });
              }};
}

void FillChecks(int64_t object, bool peek, v1::CheckLimitsRequest* request) {
  request->mutable_object()->set_name(ObjectName(Kind::kRateLimiter, object));
  request->set_peek(peek);
  request->clear_checks();
  for (int key = 0; key < kLimitKeys; ++key) {
    v1::RateLimit* const check = request->add_checks();
    check->set_key(absl::StrCat("client-", key));
    check->set_limit(kLimit);
    check->mutable_window()->set_seconds(absl::ToInt64Seconds(absl::Hours(24)));
  }
}

Loaded Limiters(int64_t objects) {
  return {
      .name = "resident memory of an active limiter, 100 full keys of 100 entries",
      .target_kib = 400,
      .objects = objects,
      .calls_of_object = kLimit,
      .make =
          [](const Line& line, int64_t first) {
            return Calls<v1::RateLimiterService>(
                line, &v1::RateLimiterService::Stub::PrepareAsyncCheckLimits,
                [first](int64_t number, v1::CheckLimitsRequest* request) {
                  FillChecks(first + number / kLimit, false, request);
                },
                [](const v1::CheckLimitsResponse& response) { return response.allowed(); });
          },
      .load =
          [](const Line& line, int64_t first) {
            return Calls<v1::RateLimiterService>(
                line, &v1::RateLimiterService::Stub::PrepareAsyncCheckLimits,
                [first](int64_t number, v1::CheckLimitsRequest* request) { FillChecks(first + number, true, request); },
                [](const v1::CheckLimitsResponse& response) { return !response.allowed(); });
          }};
}

Loaded Databases(int64_t objects) {
  const auto execute = [](const Line& line, int64_t first, std::vector<std::string> statements) {
    return Calls<v1::ObjectService>(line, &v1::ObjectService::Stub::PrepareAsyncExecuteSql,
                                    [first, statements](int64_t number, v1::ExecuteSqlRequest* request) {
                                      request->mutable_object()->set_name(ObjectName(Kind::kSql, first + number));
                                      request->clear_statements();
                                      for (const std::string& sql : statements) request->add_statements()->set_sql(sql);
                                    });
  };
  return {
      .name = "resident memory of an object with an open SQL database of 100 rows",
      .target_kib = 128,
      .objects = objects,
      .calls_of_object = 1,
      .make =
          [execute](const Line& line, int64_t first) {
            return execute(line, first,
                           {"CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, text TEXT)",
                            absl::StrCat("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ", kRows,
                                         ") INSERT INTO t SELECT i, 0, 'some text that each row has' FROM n")});
          },
      .load = [execute](const Line& line,
                        int64_t first) { return execute(line, first, {"SELECT count(*), sum(v), max(text) FROM t"}); }};
}

}  // namespace

void RunMemory(const ScaleOptions& options, Report* report) {
  report->Begin("memory", "objects stay in memory; block cache 1 MiB; loaded by reads, four channels");
  Measure(Counters(options.objects / 5), report);
  Measure(Limiters(std::clamp<int64_t>(options.objects / 5000, 20, 200)), report);
  Measure(Databases(std::clamp<int64_t>(options.objects / 500, 100, 2000)), report);
}

}  // namespace holdfast::bench
