#include "actors/objects/rate_limit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/errors.h"
#include "actors/objects/wire_time.h"

namespace holdfast::actors {
namespace {

using Femtoseconds = __int128;

constexpr int64_t kFemtosPerMicro = 1'000'000'000;

Femtoseconds ToFemtos(int64_t micros) { return Femtoseconds{micros} * kFemtosPerMicro; }

Femtoseconds DivideUp(Femtoseconds a, Femtoseconds b) { return (a + b - 1) / b; }

int64_t ToMicrosUp(Femtoseconds femtos) { return static_cast<int64_t>(DivideUp(femtos, kFemtosPerMicro)); }

// How long the steady rate takes for so much cost, rounded up.
Femtoseconds TimeFor(int64_t cost, const LimitCheck& check) {
  return DivideUp(cost * ToFemtos(check.window_us), check.limit);
}

}  // namespace

absl::StatusOr<LimitCheck> ValidateCheck(const v1::RateLimit& check, absl::string_view path) {
  const auto field = [&](absl::string_view name) { return absl::StrCat(path, ".", name); };
  if (check.key().empty()) return InvalidField(field("key"), "must not be empty");
  if (check.key().size() > kLimitKeyBytesMax) {
    return InvalidField(field("key"), absl::StrCat("has ", check.key().size(), " bytes; at most ", kLimitKeyBytesMax));
  }
  LimitCheck valid{check.key(),
                   check.algorithm(),
                   check.limit(),
                   0,
                   check.has_cost() ? check.cost() : 1,
                   check.has_burst() ? check.burst() : check.limit()};
  switch (check.algorithm()) {
    case v1::RATE_LIMIT_ALGORITHM_UNSPECIFIED:
      valid.algorithm = v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG;
      break;
    case v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG:
    case v1::RATE_LIMIT_ALGORITHM_GCRA:
    case v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW:
      break;
    default:
      return InvalidField(field("algorithm"), absl::StrCat("unknown value ", static_cast<int>(check.algorithm())));
  }
  if (check.limit() < 1) return InvalidField(field("limit"), "must be at least 1");
  if (valid.algorithm == v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG && check.limit() > kLogLimitMax) {
    return InvalidField(field("limit"), absl::StrCat("the sliding-window log is for limits up to ", kLogLimitMax,
                                                     "; RATE_LIMIT_ALGORITHM_GCRA has no such bound"));
  }
  if (valid.algorithm == v1::RATE_LIMIT_ALGORITHM_GCRA && check.limit() > kGcraLimitMax) {
    return InvalidField(field("limit"), absl::StrCat("GCRA is for limits up to ", kGcraLimitMax));
  }
  if (!check.has_window()) return InvalidField(field("window"), "is missing");
  auto window_us = MicrosOf(check.window(), field("window"), absl::Milliseconds(1), kLongestDuration);
  if (!window_us.ok()) return window_us.status();
  valid.window_us = *window_us;
  if (valid.cost < 1) return InvalidField(field("cost"), "must be at least 1");
  if (valid.cost > check.limit()) return InvalidField(field("cost"), "must not exceed the limit");
  if (check.has_burst()) {
    if (valid.algorithm != v1::RATE_LIMIT_ALGORITHM_GCRA) return InvalidField(field("burst"), "is for GCRA only");
    if (valid.burst < 1 || valid.burst > kGcraLimitMax) {
      return InvalidField(field("burst"), absl::StrCat("must be 1 to ", kGcraLimitMax));
    }
    const Femtoseconds refill_us = DivideUp(Femtoseconds{valid.burst} * valid.window_us, valid.limit);
    if (refill_us > absl::ToInt64Microseconds(kLongestDuration)) {
      return InvalidField(field("burst"), "burst x window / limit must not exceed 366 days");
    }
    if (valid.cost > valid.burst) return InvalidField(field("cost"), "must not exceed the burst");
  }
  return valid;
}

void LimitState::AddToLog(const Request& request) {
  log_.push_back(request);
  used_ += request.cost;
}

void LimitState::DropOldest() {
  if (expired_ > 0) {
    --expired_;
  } else {
    used_ -= log_.front().cost;
  }
  log_.pop_front();
}

size_t LimitState::ExpiredRequests(int64_t now_us) {
  while (expired_ < log_.size() && now_us - log_[expired_].time_us > row_.window_us()) used_ -= log_[expired_++].cost;
  return expired_;
}

LimitState::Verdict LimitState::Judge(const LimitCheck& check, int64_t now_us, bool counted) {
  switch (check.algorithm) {
    case v1::RATE_LIMIT_ALGORITHM_GCRA:
      return JudgeGcra(check, now_us, counted);
    case v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW:
      return JudgeFixedWindow(check, now_us, counted);
    default:
      return JudgeLog(check, now_us, counted);
  }
}

LimitState::Verdict LimitState::JudgeLog(const LimitCheck& check, int64_t now_us, bool counted) {
  size_t oldest = ExpiredRequests(now_us);
  Verdict verdict{used_ + check.cost <= check.limit, 0, 0, 0};
  // A request counts for exactly one window, its last microsecond included.
  const auto gone_after = [&](int64_t time_us) { return time_us + check.window_us + 1 - now_us; };
  if (!verdict.allowed) {
    // As many of the oldest have to go as cost too much.
    for (int64_t used = used_; used + check.cost > check.limit; ++oldest) {
      used -= log_[oldest].cost;
      verdict.retry_after_us = gone_after(log_[oldest].time_us);
    }
  }
  const bool takes = verdict.allowed && counted;
  verdict.remaining = std::max<int64_t>(0, check.limit - used_ - (takes ? check.cost : 0));
  if (takes) {
    verdict.reset_after_us = gone_after(now_us);
  } else if (used_ > 0) {
    verdict.reset_after_us = gone_after(log_.back().time_us);
  }
  return verdict;
}

LimitState::Verdict LimitState::JudgeGcra(const LimitCheck& check, int64_t now_us, bool counted) const {
  const Femtoseconds now = ToFemtos(now_us);
  const Femtoseconds arrival = std::max(now, ToFemtos(row_.arrival_us()) + row_.arrival_fs());
  const Femtoseconds next = arrival + TimeFor(check.cost, check);
  const Femtoseconds tolerance = TimeFor(check.burst, check);
  Verdict verdict{next - tolerance <= now, 0, 0, 0};
  if (!verdict.allowed) verdict.retry_after_us = ToMicrosUp(next - tolerance - now);
  const Femtoseconds after = verdict.allowed && counted ? next : arrival;
  // The highest cost that would be allowed next.
  const Femtoseconds room = std::max<Femtoseconds>(0, tolerance - (after - now));
  verdict.remaining =
      static_cast<int64_t>(std::min<Femtoseconds>(check.limit, room * check.limit / ToFemtos(check.window_us)));
  verdict.reset_after_us = ToMicrosUp(after - now);
  return verdict;
}

LimitState::Verdict LimitState::JudgeFixedWindow(const LimitCheck& check, int64_t now_us, bool counted) const {
  const int64_t index = now_us / check.window_us;
  const int64_t used = row_.window_index() == index ? row_.window_count() : 0;
  const int64_t ends_after = (index + 1) * check.window_us - now_us;
  Verdict verdict{check.cost <= check.limit - used, 0, 0, 0};
  if (!verdict.allowed) verdict.retry_after_us = ends_after;
  const int64_t after = used + (verdict.allowed && counted ? check.cost : 0);
  verdict.remaining = std::max<int64_t>(0, check.limit - after);
  if (after > 0) verdict.reset_after_us = ends_after;
  return verdict;
}

void LimitState::Count(const LimitCheck& check, int64_t now_us) {
  switch (check.algorithm) {
    case v1::RATE_LIMIT_ALGORITHM_GCRA: {
      const Femtoseconds arrival =
          std::max(ToFemtos(now_us), ToFemtos(row_.arrival_us()) + row_.arrival_fs()) + TimeFor(check.cost, check);
      row_.set_arrival_us(static_cast<int64_t>(arrival / kFemtosPerMicro));
      row_.set_arrival_fs(static_cast<int64_t>(arrival % kFemtosPerMicro));
      break;
    }
    case v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW: {
      const int64_t index = now_us / check.window_us;
      const int64_t used = row_.window_index() == index ? row_.window_count() : 0;
      row_.set_window_index(index);
      row_.set_window_count(used + check.cost);
      break;
    }
    default: {
      const bool same_time = !log_.empty() && log_.back().time_us == now_us;
      AddToLog({now_us, same_time ? log_.back().sequence + 1 : 0, check.cost});
      break;
    }
  }
}

int64_t LimitState::SilentFrom() const {
  switch (row_.algorithm()) {
    case v1::RATE_LIMIT_ALGORITHM_GCRA:
      return row_.arrival_us() + (row_.arrival_fs() > 0 ? 1 : 0);
    case v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW:
      return (row_.window_index() + 1) * row_.window_us();
    default:
      return log_.empty() ? 0 : log_.back().time_us + row_.window_us() + 1;
  }
}

}  // namespace holdfast::actors
