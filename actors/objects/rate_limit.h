// The arithmetic of rate limits: from the use of a key so far it decides whether a request may pass, how much remains,
// and when a retry can pass. There is no storage and no clock here; times are microseconds by the caller's clock, which
// never goes backwards.
//
//   sliding-window log   keeps every allowed request (actors/objects/request_log.h); those no older than the window
//                        count. Exact: no window of that length, wherever it begins, holds more than the limit.
//   GCRA                 the generic cell rate algorithm (ITU-T I.371), as its continuous-state leaky bucket: keeps the
//                        units in use, which come back at limit / window, and allows a request that leaves at most
//                        `burst` of them in use. Counted in fractions of 1 / window, so it is exact. The units in use
//                        stay what they are when the limit changes.
//   fixed window         counts within windows aligned to the Unix epoch.
//   calendar             counts within minutes, hours, days and months of UTC.
//
// A negative cost gives units back, the newest first.

#ifndef HOLDFAST_ACTORS_OBJECTS_RATE_LIMIT_H_
#define HOLDFAST_ACTORS_OBJECTS_RATE_LIMIT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "actors/objects/request_log.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "holdfast/v1/rate_limiter_service.pb.h"

namespace holdfast::actors {

inline constexpr int64_t kLogLimitMax = 100'000;
// The bound of the burst, too. 366 days in microseconds times this fits 128 bits.
inline constexpr int64_t kGcraLimitMax = 1'000'000'000'000;
// The most units that one check gives back to a log; each may be a request.
inline constexpr int64_t kLogGivenBackMax = 1'000;
inline constexpr size_t kLimitKeyBytesMax = 512;

// A valid check.
struct LimitCheck {
  std::string key;
  v1::RateLimitAlgorithm algorithm;  // never UNSPECIFIED
  int64_t limit;
  int64_t window_us;  // CALENDAR: the number of its v1::CalendarUnit
  int64_t cost;       // negative: units to give back
  int64_t burst;      // GCRA only
};

// INVALID_ARGUMENT names the field within `path`, the field of the request that holds the check.
absl::StatusOr<LimitCheck> ValidateCheck(const v1::RateLimit& check, absl::string_view path);

// The use of one (key, algorithm, window).
class LimitState {
 public:
  explicit LimitState(storage::v1::LimitRow row) : row_(std::move(row)), log_(row_.window_us()) {}

  // Returns the row, which holds the whole state except the log.
  const storage::v1::LimitRow& row() const { return row_; }
  storage::v1::LimitRow* mutable_row() { return &row_; }
  // Returns whether the row is in storage.
  bool stored() const { return stored_; }
  void set_stored() { stored_ = true; }

  // Moves the time at which GCRA's units were counted back to `now_us` if it is later, since the clock was set back.
  // The units then come back from now on.
  void NotAheadOf(int64_t now_us) { row_.set_level_time_us(std::min(row_.level_time_us(), now_us)); }

  // Units of a log are given back by the log; Count() gives back for the other algorithms.
  const RequestLog& log() const { return log_; }
  RequestLog* mutable_log() { return &log_; }

  struct Verdict {
    bool allowed;
    int64_t remaining;
    int64_t retry_after_us;
    int64_t reset_after_us;
  };
  // Decides a check. `remaining` and `reset_after_us` of the verdict are as after the check if it is `counted` and
  // allowed, otherwise as before it.
  Verdict Judge(const LimitCheck& check, int64_t now_us, bool counted);
  // Counts a check that is allowed; for a log its cost is positive. The caller stores the row, or for the log the
  // newest row of requests.
  void Count(const LimitCheck& check, int64_t now_us);
  // Returns the time from which the state is as if the key had never been used.
  int64_t SilentFrom() const;

  size_t MemoryBytes() const { return sizeof(*this) + row_.key().size() + log_.size() * sizeof(RequestLog::Request); }

 private:
  Verdict JudgeLog(const LimitCheck& check, int64_t now_us, bool counted);
  Verdict JudgeGcra(const LimitCheck& check, int64_t now_us, bool counted) const;
  // Judges a check of a fixed or a calendar window.
  Verdict JudgeWindow(const LimitCheck& check, int64_t now_us, bool counted) const;
  // Returns the newest request that is still in use after `units` are given back, which are fewer than are in use.
  const RequestLog::Request& NewestAfterGivingBack(int64_t units) const;
  // Returns the units of GCRA in use, times the window.
  __int128 Level(const LimitCheck& check, int64_t now_us) const;

  storage::v1::LimitRow row_;
  bool stored_ = false;
  RequestLog log_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_RATE_LIMIT_H_
