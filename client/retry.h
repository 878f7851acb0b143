// Decides whether a failed call is made again, and how long to wait before.

#ifndef HOLDFAST_CLIENT_RETRY_H_
#define HOLDFAST_CLIENT_RETRY_H_

#include <optional>

#include "absl/random/bit_gen_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

namespace holdfast::client {

// Values out of bounds are clamped.
struct RetryOptions {
  // Attempts after the first one, 0 to 100; nullopt: as many as the deadline leaves time for.
  std::optional<int> retries;
  // The backoff before the first retry; it doubles with each further one. At least 1 ms.
  absl::Duration backoff_initial = absl::Milliseconds(100);
  // The longest backoff. At least backoff_initial.
  absl::Duration backoff_max = absl::Seconds(2);
};

// Returns whether the same call may succeed later: UNAVAILABLE, or RESOURCE_EXHAUSTED with a google.rpc.RetryInfo.
bool IsRetryable(const absl::Status& failure);

// The schedule of the retries of one call. It neither sleeps nor reads a clock. Only one thread at a time may use it;
// `random` must outlive it.
class RetrySchedule {
 public:
  RetrySchedule(const RetryOptions& options, absl::Time deadline, absl::BitGenRef random);

  // Returns how long to wait, from `now`, before the next attempt; nullopt if there is none: the failure is not
  // retryable, the retries are used up, or the deadline would come first.
  //
  // The wait is a random part, between one half and the whole, of the backoff, so that clients that failed together
  // don't come back together. If RetryInfo asks for longer, the wait is that time plus the random part. A backoff that
  // reaches past the deadline becomes one half of the time that is left, as long as that half is at least
  // backoff_initial, so that an attempt still comes just before the deadline.
  std::optional<absl::Duration> Next(const absl::Status& failure, absl::Time now);

 private:
  std::optional<int> retries_left_;
  const absl::Duration backoff_min_;
  absl::Duration backoff_;
  absl::Duration backoff_max_;
  absl::Time deadline_;
  absl::BitGenRef random_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_RETRY_H_
