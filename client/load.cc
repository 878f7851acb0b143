#include "client/load.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "client/status.h"

namespace holdfast::client {
namespace {

constexpr absl::Duration kPauseAfterFailure = absl::Milliseconds(10);
// The longest that a caller sleeps before it looks at `stop`.
constexpr absl::Duration kStopLook = absl::Milliseconds(50);
constexpr absl::Duration kProgressStep = absl::Seconds(1);

// The part of the result that one caller makes.
struct Caller {
  std::mutex mutex;
  LoadResult result;  // guarded by mutex
  std::thread thread;
};

void CountError(const std::string& error, int64_t count, std::map<std::string, int64_t>& errors) {
  const bool room = errors.contains(error) || errors.size() < kErrorKindsMax;
  errors[room ? error : "others"] += count;
}

void Count(const absl::Status& status, absl::Duration latency, Caller& caller) {
  std::lock_guard lock(caller.mutex);
  if (status.ok()) {
    ++caller.result.calls;
    caller.result.latency.Add(latency);
    return;
  }
  ++caller.result.failures;
  if (caller.result.first_error.ok()) caller.result.first_error = status;
  const std::string reason = ReasonOf(status);
  CountError(reason.empty() ? absl::StatusCodeToString(status.code()) : reason, 1, caller.result.errors);
}

LoadResult Sum(const std::vector<std::unique_ptr<Caller>>& callers) {
  LoadResult sum;
  for (const std::unique_ptr<Caller>& caller : callers) {
    std::lock_guard lock(caller->mutex);
    sum.calls += caller->result.calls;
    sum.failures += caller->result.failures;
    sum.latency.Merge(caller->result.latency);
    if (sum.first_error.ok()) sum.first_error = caller->result.first_error;
    for (const auto& [error, count] : caller->result.errors) CountError(error, count, sum.errors);
  }
  return sum;
}

}  // namespace

absl::Time SteadyLoadClock::Now() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

void SteadyLoadClock::SleepUntil(absl::Time until, const std::atomic<bool>& stop) {
  for (absl::Time now = Now(); now < until && !stop; now = Now()) {
    absl::SleepFor(std::min(until - now, kStopLook));  // the pace of the load; a stop is seen in between
  }
}

absl::Time LoadSchedule::DueTime(int64_t number) const {
  return begin_ + absl::Seconds(static_cast<double>(number) / options_.rate);
}

std::optional<LoadSchedule::Due> LoadSchedule::Next(absl::Time now) {
  if (now >= end()) return std::nullopt;
  std::lock_guard lock(mutex_);
  const absl::Time due = options_.rate > 0 ? DueTime(next_) : now;
  if (due >= end() || (options_.calls_max > 0 && next_ == options_.calls_max)) return std::nullopt;
  return Due{next_++, due};
}

LoadSchedule::NotBegun LoadSchedule::Left(absl::Time until) {
  if (options_.rate <= 0) return {};
  std::lock_guard lock(mutex_);
  const absl::Duration time = std::min(until, end()) - begin_;
  const auto due = static_cast<int64_t>(std::ceil(absl::ToDoubleSeconds(time) * options_.rate));
  return {DueTime(next_), std::max<int64_t>(due - next_, 0), absl::Seconds(1 / options_.rate)};
}

LoadResult RunLoad(const LoadOptions& options, const LoadCall& call, const std::atomic<bool>& stop, LoadClock& clock,
                   const std::function<void(const LoadResult& so_far)>& on_progress) {
  const absl::Time begin = clock.Now();
  LoadSchedule schedule(options, begin);
  std::mutex mutex;
  std::condition_variable ended;
  int running = options.callers;  // guarded by mutex

  const auto run = [&](int number, Caller& caller) {
    while (!stop) {
      const std::optional<LoadSchedule::Due> due = schedule.Next(clock.Now());
      if (!due.has_value()) break;
      clock.SleepUntil(due->time, stop);
      if (stop) break;
      const absl::Status status = call(number, due->number);
      const absl::Time now = clock.Now();
      Count(status, now - due->time, caller);
      if (!status.ok()) clock.SleepUntil(now + kPauseAfterFailure, stop);
    }
    std::lock_guard lock(mutex);
    if (--running == 0) ended.notify_all();
  };
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < options.callers; ++i) {
    Caller& caller = *callers.emplace_back(std::make_unique<Caller>());
    caller.thread = std::thread(run, i, std::ref(caller));
  }
  {
    std::unique_lock lock(mutex);
    while (!ended.wait_for(lock, absl::ToChronoNanoseconds(kProgressStep), [&] { return running == 0; })) {
      lock.unlock();
      LoadResult so_far = Sum(callers);
      so_far.time = clock.Now() - begin;
      on_progress(so_far);
      lock.lock();
    }
  }
  for (const std::unique_ptr<Caller>& caller : callers) caller->thread.join();

  LoadResult result = Sum(callers);
  const absl::Time end = clock.Now();
  result.time = end - begin;
  result.stopped = stop;
  // A call that nobody could begin is at least as late as the end of the load.
  const absl::Time until = std::min(end, schedule.end());
  const LoadSchedule::NotBegun left = schedule.Left(until);
  result.not_begun = left.count;
  for (int64_t i = 0; i < left.count; ++i) result.latency.Add(until - (left.first + left.step * i));
  return result;
}

}  // namespace holdfast::client
