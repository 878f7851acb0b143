// bench: a quick load against a server, on objects of its own, which it removes again.

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/commands.h"
#include "client/interrupt.h"
#include "client/load.h"
#include "client/workloads.h"
#include "holdfast/tool/v1/output.pb.h"

namespace holdfast::client {
namespace {

constexpr int kConcurrencyDefault = 16;
constexpr int kConcurrencyMax = 256;
constexpr int kObjectsDefault = 100;
constexpr int kObjectsMax = 100'000;
constexpr int kRateMax = 100'000;
constexpr absl::Duration kTimeDefault = absl::Seconds(10);
constexpr absl::Duration kTimeMin = absl::Milliseconds(100);
constexpr absl::Duration kTimeMax = absl::Hours(1);
// For making the objects before the load, and for removing them after it.
constexpr absl::Duration kObjectsTimeMax = absl::Hours(1);
// The server's bound on the calls of a connection is 128 by default.
constexpr int kCallersPerConnection = 64;
constexpr size_t kBarWidth = 40;

struct BenchOptions {
  const Workload* workload = &Workloads().front();
  LoadOptions load = {.callers = kConcurrencyDefault, .time = kTimeDefault};
  int objects = kObjectsDefault;
  bool keep = false;
};

// One run: its connections and its objects.
class Bench {
 public:
  Bench(const BenchOptions& options, Session* session) : options_(options), session_(*session) {
    ClientOptions client = session_.client_options();
    // A call that is tried again would hide that it failed.
    client.retry.retries = session_.globals().retries.value_or(0);
    client.own_connection = true;
    for (int i = 0; i < options_.load.callers; i += kCallersPerConnection) {
      clients_.push_back(std::make_unique<Client>(client));
    }
    absl::BitGen random;
    prefix_ = absl::StrFormat("bench-%08x-", absl::Uniform<uint32_t>(random));
  }

  int Run() {
    const Interrupt interrupt;
    absl::Status prepared = Prepare(interrupt.flag());
    LoadResult result;
    if (prepared.ok()) {
      const auto on_progress = [this](const LoadResult& so_far) { session_.Progress(ProgressText(so_far)); };
      const auto call = [this](int caller, int64_t number) {
        Touch(number);
        return options_.workload->call(ClientOf(caller), Object(number), number);
      };
      result = RunLoad(options_.load, call, interrupt.flag(), clock_, on_progress);
    }
    const int64_t left = options_.keep ? Used() : Used() - Remove();
    session_.Progress("");
    if (!prepared.ok()) {
      NoteLeft(left);
      return session_.Failed(CallKind::kIdempotent, prepared);
    }
    const int printed = session_.globals().json ? session_.PrintJson(Report(result, left)) : Print(result);
    NoteLeft(left);
    if (!result.first_error.ok()) session_.Note(absl::StrCat("the first error: ", ErrorText(result.first_error)));
    return printed != kExitOk || result.failures > 0 ? kExitFailed : kExitOk;
  }

 private:
  Client& ClientOf(int caller) { return *clients_[caller / kCallersPerConnection]; }
  v1::ObjectRef Object(int64_t number) const {
    v1::ObjectRef object;
    object.set_namespace_(session_.globals().ns);
    object.set_name(absl::StrCat(prefix_, number % options_.objects));
    return object;
  }
  // The `number`th object may be there from now on.
  void Touch(int64_t number) {
    for (int64_t used = used_; used <= number && !used_.compare_exchange_weak(used, number + 1);) {
    }
  }
  int64_t Used() const { return std::min<int64_t>(used_, options_.objects); }

  // Makes what the calls need. Without a need it makes one call, so that a server that refuses it fails the command.
  absl::Status Prepare(const std::atomic<bool>& interrupted) {
    const Workload& workload = *options_.workload;
    if (workload.prepare == nullptr) {
      const absl::Status status = workload.call(ClientOf(0), Object(0), 0);
      if (status.ok()) Touch(0);
      return status;
    }
    session_.Progress(absl::StrCat("makes ", options_.objects, " objects"));
    std::atomic<bool> stop = false;
    const auto make = [&](int caller, int64_t number) {
      Touch(number);
      absl::Status status = workload.prepare(ClientOf(caller), Object(number));
      if (!status.ok() || interrupted) stop = true;
      return status;
    };
    const LoadResult made = RunLoad(ObjectsLoad(options_.objects), make, stop, clock_, [](const LoadResult&) {});
    if (!made.first_error.ok()) return made.first_error;
    if (made.calls < options_.objects) return absl::CancelledError("interrupted before the load had begun");
    return absl::OkStatus();
  }

  // Removes the objects. Returns how many are gone.
  int64_t Remove() {
    if (Used() == 0) return 0;
    session_.Progress(absl::StrCat("removes ", Used(), " objects"));
    const auto remove = [this](int caller, int64_t number) {
      const v1::ObjectRef object = Object(number);
      v1::CleanupRequest request;
      request.mutable_object()->set_namespace_(object.namespace_());
      request.mutable_object()->set_object_class(options_.workload->object_class);
      request.mutable_object()->set_name(object.name());
      return ClientOf(caller).Call(CallKind::kMutation, &v1::ObjectService::Stub::Cleanup, request).status();
    };
    const std::atomic<bool> never = false;  // a second Ctrl-C ends the process
    return RunLoad(ObjectsLoad(Used()), remove, never, clock_, [](const LoadResult&) {}).calls;
  }

  // A call for each object.
  LoadOptions ObjectsLoad(int64_t objects) const {
    return {.callers = static_cast<int>(std::min<int64_t>(options_.load.callers, objects)),
            .time = kObjectsTimeMax,
            .calls_max = objects};
  }

  std::string ProgressText(const LoadResult& so_far) const {
    return absl::StrCat(absl::StrFormat("%.0fs of %s  %.0f/s", absl::ToDoubleSeconds(so_far.time),
                                        absl::FormatDuration(options_.load.time), so_far.CallsPerSecond()),
                        "  p50 ", ShortDuration(so_far.latency.Quantile(0.5)), "  p99 ",
                        ShortDuration(so_far.latency.Quantile(0.99)),
                        so_far.failures > 0 ? absl::StrCat("  ", so_far.failures, " failed") : "");
  }

  void NoteLeft(int64_t left) {
    if (left == 0) return;
    session_.Note(absl::StrCat(left, left == 1 ? " object is" : " objects are",
                               " left: holdfast object objects --class ", options_.workload->object_class, " --prefix ",
                               prefix_));
  }

  int Print(const LoadResult& result) {
    const LatencyHistogram& latency = result.latency;
    const auto quantile = [&](double q) { return ShortDuration(latency.Quantile(q)); };
    session_.text().Fields({
        {"workload", absl::StrCat(options_.workload->name, ": ", options_.workload->about)},
        {"load", absl::StrCat(options_.load.callers, " callers on ", options_.objects, " objects, ",
                              options_.load.rate > 0 ? absl::StrCat(options_.load.rate, " calls a second")
                                                     : "as many calls as they can make")},
        {"time", absl::StrFormat("%.1fs%s", absl::ToDoubleSeconds(result.time), result.stopped ? ", interrupted" : "")},
        {"calls", absl::StrFormat("%d, %.1f a second", result.calls, result.CallsPerSecond())},
        {"failures", result.failures > 0 ? absl::StrCat(result.failures) : ""},
        {"not begun", result.not_begun > 0
                          ? absl::StrCat(result.not_begun, ": the rate is more than the callers could keep up with")
                          : ""},
        {"latency", latency.count() == 0 ? ""
                                         : absl::StrCat("mean ", ShortDuration(latency.Mean()), ", p50 ", quantile(0.5),
                                                        ", p90 ", quantile(0.9), ", p99 ", quantile(0.99), ", p99.9 ",
                                                        quantile(0.999), ", max ", ShortDuration(latency.max()))},
    });
    PrintHistogram(latency);
    std::vector<std::vector<std::string>> errors;
    errors.reserve(result.errors.size());
    for (const auto& [error, calls] : result.errors) errors.push_back({absl::StrCat(calls), error});
    session_.text().Table({"FAILED", "ERROR"}, errors, {Colour::kRed, Colour::kRed});
    return kExitOk;
  }

  // Prints a line for each of 10us, 20us, 50us, 100us ... between the quickest and the slowest call.
  void PrintHistogram(const LatencyHistogram& latency) {
    std::vector<std::pair<absl::Duration, int64_t>> lines;
    constexpr std::array<double, 3> kSteps = {1, 2, 5};
    absl::Duration decade = absl::Microseconds(10), bound = decade;
    size_t step = 0;
    int64_t most = 0;
    for (const LatencyHistogram::Bucket& bucket : latency.Buckets()) {
      while (bucket.up_to > bound) {
        if (!lines.empty() && lines.back().first != bound) lines.emplace_back(bound, 0);
        if (++step == kSteps.size()) {
          step = 0;
          decade *= 10;
        }
        bound = decade * kSteps[step];
      }
      if (lines.empty() || lines.back().first != bound) lines.emplace_back(bound, 0);
      lines.back().second += bucket.count;
      most = std::max(most, lines.back().second);
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& [up_to, count] : lines) {
      const double share = static_cast<double>(count) / static_cast<double>(latency.count());
      const auto bar = static_cast<size_t>(
          std::ceil(static_cast<double>(kBarWidth) * static_cast<double>(count) / static_cast<double>(most)));
      rows.push_back(
          {ShortDuration(up_to), absl::StrCat(count), absl::StrFormat("%.2f%%", share * 100), std::string(bar, '#')});
    }
    session_.text().Table({"UP TO", "CALLS", "SHARE", ""}, rows,
                          {Colour::kNone, Colour::kNone, Colour::kNone, Colour::kGreen});
  }

  tool::v1::BenchReport Report(const LoadResult& result, int64_t left) const {
    tool::v1::BenchReport report;
    report.set_workload(options_.workload->name);
    report.set_concurrency(options_.load.callers);
    report.set_rate(options_.load.rate);
    report.set_objects(options_.objects);
    report.set_seconds(absl::ToDoubleSeconds(result.time));
    report.set_calls(result.calls);
    report.set_calls_per_second(result.CallsPerSecond());
    report.set_failures(result.failures);
    report.set_not_begun(result.not_begun);
    report.set_interrupted(result.stopped);
    report.set_objects_left(static_cast<int32_t>(left));
    tool::v1::BenchLatency& latency = *report.mutable_latency();
    latency.set_mean_ms(absl::ToDoubleMilliseconds(result.latency.Mean()));
    latency.set_p50_ms(absl::ToDoubleMilliseconds(result.latency.Quantile(0.5)));
    latency.set_p90_ms(absl::ToDoubleMilliseconds(result.latency.Quantile(0.9)));
    latency.set_p99_ms(absl::ToDoubleMilliseconds(result.latency.Quantile(0.99)));
    latency.set_p999_ms(absl::ToDoubleMilliseconds(result.latency.Quantile(0.999)));
    latency.set_max_ms(absl::ToDoubleMilliseconds(result.latency.max()));
    for (const LatencyHistogram::Bucket& bucket : result.latency.Buckets()) {
      tool::v1::BenchBucket& added = *report.add_histogram();
      added.set_up_to_ms(absl::ToDoubleMilliseconds(bucket.up_to));
      added.set_calls(bucket.count);
    }
    for (const auto& [error, calls] : result.errors) {
      tool::v1::BenchFailure& added = *report.add_errors();
      added.set_error(error);
      added.set_calls(calls);
    }
    return report;
  }

  const BenchOptions& options_;
  Session& session_;
  SteadyLoadClock clock_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::string prefix_;
  std::atomic<int64_t> used_ = 0;  // the first so many objects may be there
};

CommandBody DeclareBench(Arguments& arguments) {
  auto options = std::make_shared<BenchOptions>();
  arguments.PrintsJson<tool::v1::BenchReport>();
  arguments.TakesNoRequestId();
  std::vector<std::string> names, lines;
  for (const Workload& workload : Workloads()) {
    names.emplace_back(workload.name);
    lines.push_back(absl::StrCat(workload.name, " (", workload.about, ")"));
  }
  CLI::Option* const workload = arguments.Value(
      "WORKLOAD", "", absl::StrCat("One of those below; default ", names.front()),
      [options, names](const std::string& name) {
        const Workload* const found = FindWorkload(name);
        if (found != nullptr) options->workload = found;
        return found != nullptr
                   ? absl::OkStatus()
                   : absl::InvalidArgumentError(absl::StrCat("'", name, "' is none of ", absl::StrJoin(names, ", ")));
      });
  arguments.TakesWords(workload, names);
  arguments.Number<int>(
      "--concurrency", "Callers, each with one call at a time; default 16, at most 256",
      [options](int n) { options->load.callers = n; }, 1, kConcurrencyMax);
  arguments.Number<int>(
      "--rate",
      "Calls a second of all callers together, at even times; the latency counts from when a call was due. Default as "
      "many as the callers can make; at most 100,000",
      [options](int n) { options->load.rate = n; }, 1, kRateMax);
  arguments.Value("--duration", "DURATION", "How long; default 10s, from 100ms to 1h",
                  [options](const std::string& text) {
                    const absl::StatusOr<absl::Duration> time = ParseFiniteDuration(text);
                    if (!time.ok()) return time.status();
                    if (*time < kTimeMin || *time > kTimeMax) {
                      return absl::InvalidArgumentError("must be from 100ms to 1h");
                    }
                    options->load.time = *time;
                    return absl::OkStatus();
                  });
  arguments.Number<int>(
      "--objects", "Objects that the calls go round; default 100, at most 100,000; 1: one hot object",
      [options](int n) { options->objects = n; }, 1, kObjectsMax);
  arguments.Flag("--keep", "Leave the objects there", [options] { options->keep = true; });
  arguments.Notes(absl::StrCat(
      "The workloads are ", absl::StrJoin(lines, ", "),
      ".\n\nThis writes to the server, into objects of its own whose names begin with \"bench-\" and a number of this "
      "run. It removes them at its end, also after Ctrl-C, which ends the load early; a second Ctrl-C ends it at once. "
      "Calls are not tried again unless --retries is given, and carry no request ids. It exits with 1 if a call has "
      "failed. This machine makes the load, so its own processors may be the limit."));
  return [options](Session& session) { return Bench(*options, &session).Run(); };
}

}  // namespace

void AddBenchCommand(CommandGroup& root) {
  root.Command("bench", "Put a load on a server; prints its rate and a histogram of latencies", DeclareBench);
}

}  // namespace holdfast::client
