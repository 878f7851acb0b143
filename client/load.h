// A load of calls by callers that each make one call at a time.
//
// Without a rate every caller makes its next call when its last one has ended. With a rate, calls are due at even
// times, whether earlier calls have ended or not, and the latency of a call counts from when it was due: a server that
// stalls cannot hide the calls that would have come meanwhile.

#ifndef HOLDFAST_CLIENT_LOAD_H_
#define HOLDFAST_CLIENT_LOAD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/latency_histogram.h"

namespace holdfast::client {

struct LoadOptions {
  int callers = 1;
  double rate = 0;  // calls a second of all callers together; 0: as many as they can make
  absl::Duration time = absl::Seconds(10);
  int64_t calls_max = 0;  // it also ends after so many calls; 0: no bound. Not for use with a rate
};

// The time of a load. Any thread may use it.
class LoadClock {
 public:
  virtual ~LoadClock() = default;
  virtual absl::Time Now() = 0;
  // Returns at `until`, or when `stop` is set.
  virtual void SleepUntil(absl::Time until, const std::atomic<bool>& stop) = 0;
};

// A clock that never steps.
class SteadyLoadClock final : public LoadClock {
 public:
  absl::Time Now() override;
  void SleepUntil(absl::Time until, const std::atomic<bool>& stop) override;
};

// Hands out the calls of a load. Any thread may use it.
class LoadSchedule {
 public:
  LoadSchedule(const LoadOptions& options, absl::Time begin) : options_(options), begin_(begin) {}

  struct Due {
    int64_t number;  // from 0
    absl::Time time;
  };
  // Returns the next call; nullopt if the time of the load is over.
  std::optional<Due> Next(absl::Time now);
  // Returns the times of the calls that were due before `until`, and that nobody has taken: the first, the number, and
  // the time from one to the next. Without a rate there are none.
  struct NotBegun {
    absl::Time first;
    int64_t count = 0;
    absl::Duration step;
  };
  NotBegun Left(absl::Time until);
  absl::Time end() const { return begin_ + options_.time; }

 private:
  absl::Time DueTime(int64_t number) const;

  const LoadOptions options_;
  const absl::Time begin_;
  std::mutex mutex_;
  int64_t next_ = 0;  // guarded by mutex_
};

// Errors of one kind beyond this count as "others".
inline constexpr size_t kErrorKindsMax = 20;

struct LoadResult {
  absl::Duration time;  // until the last call had ended
  int64_t calls = 0;    // that succeeded
  int64_t failures = 0;
  int64_t not_begun = 0;  // calls that were due, and that no caller was free to begin; the latency has them too
  bool stopped = false;
  LatencyHistogram latency;               // of the calls that succeeded
  std::map<std::string, int64_t> errors;  // by reason, or by code where there is none
  absl::Status first_error;               // the first one of a caller

  double CallsPerSecond() const {
    return time > absl::ZeroDuration() ? static_cast<double>(calls) / absl::ToDoubleSeconds(time) : 0;
  }
};

// A call of a load; runs on the thread of its caller, 0 to callers - 1.
using LoadCall = std::function<absl::Status(int caller, int64_t number)>;

// Runs a load. It ends early once `stop` is set, after the calls that are under way. `on_progress` gets the result so
// far about once a second, on the thread that calls this. A caller pauses after a call that failed, so that a server
// that refuses everything is not called as fast as this machine can.
LoadResult RunLoad(const LoadOptions& options, const LoadCall& call, const std::atomic<bool>& stop, LoadClock& clock,
                   const std::function<void(const LoadResult& so_far)>& on_progress);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_LOAD_H_
