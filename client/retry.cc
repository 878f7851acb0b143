#include "client/retry.h"

#include <algorithm>

#include "absl/random/uniform_real_distribution.h"
#include "client/status.h"

namespace holdfast::client {

bool IsRetryable(const absl::Status& failure) {
  switch (failure.code()) {
    case absl::StatusCode::kUnavailable:
      return true;
    case absl::StatusCode::kResourceExhausted:
      return RetryDelayOf(failure).has_value();
    default:
      return false;
  }
}

RetrySchedule::RetrySchedule(const RetryOptions& options, absl::Time deadline, absl::BitGenRef random)
    : backoff_min_(std::max(options.backoff_initial, absl::Milliseconds(1))),
      backoff_(backoff_min_),
      backoff_max_(std::max(options.backoff_max, backoff_)),
      deadline_(deadline),
      random_(random) {
  if (options.retries.has_value()) retries_left_ = std::clamp(*options.retries, 0, 100);
}

std::optional<absl::Duration> RetrySchedule::Next(const absl::Status& failure, absl::Time now) {
  if (retries_left_ == 0 || !IsRetryable(failure)) return std::nullopt;
  absl::Duration wait = backoff_ * absl::uniform_real_distribution<double>(0.5, 1.0)(random_);
  const absl::Duration asked = RetryDelayOf(failure).value_or(absl::ZeroDuration());
  if (asked > wait) wait += asked;
  if (now + wait >= deadline_) {
    wait = (deadline_ - now) / 2;
    if (wait < std::max(backoff_min_, asked)) return std::nullopt;
  }
  if (retries_left_.has_value()) --*retries_left_;
  backoff_ = std::min(backoff_ * 2, backoff_max_);
  return wait;
}

}  // namespace holdfast::client
