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
    : retries_left_(std::clamp(options.retries, 0, 100)),
      backoff_(std::max(options.backoff_initial, absl::Milliseconds(1))),
      backoff_max_(std::max(options.backoff_max, backoff_)),
      deadline_(deadline),
      random_(random) {}

std::optional<absl::Duration> RetrySchedule::Next(const absl::Status& failure, absl::Time now) {
  if (retries_left_ == 0 || !IsRetryable(failure)) return std::nullopt;
  absl::Duration wait = backoff_ * absl::uniform_real_distribution<double>(0.5, 1.0)(random_);
  if (const auto asked = RetryDelayOf(failure); asked.has_value() && *asked > wait) wait += *asked;
  if (now + wait >= deadline_) return std::nullopt;
  --retries_left_;
  backoff_ = std::min(backoff_ * 2, backoff_max_);
  return wait;
}

}  // namespace holdfast::client
