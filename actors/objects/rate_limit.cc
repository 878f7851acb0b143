#include "actors/objects/rate_limit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"
#include "actors/wire/wire_time.h"

namespace holdfast::actors {
namespace {

// The unit of GCRA's level: units of a limit times microseconds of its window.
using UnitMicros = __int128;

constexpr int64_t kFemtosPerMicro = 1'000'000'000;

__int128 DivideUp(__int128 a, __int128 b) { return (a + b - 1) / b; }

// A fixed or a calendar window: its number since the epoch, and the time at which it ends.
struct Window {
  int64_t index;
  int64_t end_us;
};

Window WindowOfNumber(int algorithm, int64_t window_us, int64_t index) {
  if (algorithm != v1::RATE_LIMIT_ALGORITHM_CALENDAR) return {index, (index + 1) * window_us};
  const auto of_length = [index](absl::Duration length) {
    return Window{index, (index + 1) * absl::ToInt64Microseconds(length)};
  };
  switch (static_cast<v1::CalendarUnit>(window_us)) {
    case v1::CALENDAR_UNIT_MINUTE:
      return of_length(absl::Minutes(1));
    case v1::CALENDAR_UNIT_HOUR:
      return of_length(absl::Hours(1));
    case v1::CALENDAR_UNIT_DAY:
      return of_length(absl::Hours(24));
    default: {
      const absl::CivilMonth next = absl::CivilMonth(1970) + index + 1;
      return {index, absl::ToUnixMicros(absl::FromCivil(next, absl::UTCTimeZone()))};
    }
  }
}

// Returns the window at `now_us`, which is not before the epoch.
Window WindowAt(int algorithm, int64_t window_us, int64_t now_us) {
  if (algorithm != v1::RATE_LIMIT_ALGORITHM_CALENDAR) return WindowOfNumber(algorithm, window_us, now_us / window_us);
  int64_t index;
  switch (static_cast<v1::CalendarUnit>(window_us)) {
    case v1::CALENDAR_UNIT_MINUTE:
      index = now_us / absl::ToInt64Microseconds(absl::Minutes(1));
      break;
    case v1::CALENDAR_UNIT_HOUR:
      index = now_us / absl::ToInt64Microseconds(absl::Hours(1));
      break;
    case v1::CALENDAR_UNIT_DAY:
      index = now_us / absl::ToInt64Microseconds(absl::Hours(24));
      break;
    default:
      index = absl::ToCivilMonth(absl::FromUnixMicros(now_us), absl::UTCTimeZone()) - absl::CivilMonth(1970);
      break;
  }
  return WindowOfNumber(algorithm, window_us, index);
}

bool IsCalendarUnit(int64_t unit) { return unit >= v1::CALENDAR_UNIT_MINUTE && unit <= v1::CALENDAR_UNIT_MONTH; }

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
    case v1::RATE_LIMIT_ALGORITHM_CALENDAR:
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
  if (valid.algorithm == v1::RATE_LIMIT_ALGORITHM_CALENDAR) {
    if (check.has_window()) return InvalidField(field("window"), "must be absent; calendar_unit says the window");
    if (check.calendar_unit() == v1::CALENDAR_UNIT_UNSPECIFIED)
      return InvalidField(field("calendar_unit"), "is missing");
    if (!IsCalendarUnit(check.calendar_unit())) {
      return InvalidField(field("calendar_unit"),
                          absl::StrCat("unknown value ", static_cast<int>(check.calendar_unit())));
    }
    valid.window_us = check.calendar_unit();
  } else {
    if (check.calendar_unit() != v1::CALENDAR_UNIT_UNSPECIFIED) {
      return InvalidField(field("calendar_unit"), "is for RATE_LIMIT_ALGORITHM_CALENDAR only");
    }
    if (!check.has_window()) return InvalidField(field("window"), "is missing");
    auto window_us = MicrosOf(check.window(), field("window"), absl::Milliseconds(1), kLongestDuration);
    if (!window_us.ok()) return window_us.status();
    valid.window_us = *window_us;
  }
  if (valid.cost == 0) return InvalidField(field("cost"), "must not be 0");
  if (valid.cost > check.limit()) return InvalidField(field("cost"), "must not exceed the limit");
  if (valid.cost < -check.limit()) return InvalidField(field("cost"), "must not give back more than the limit");
  if (valid.algorithm == v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG && valid.cost < -kLogGivenBackMax) {
    return InvalidField(field("cost"),
                        absl::StrCat("the sliding-window log gives back at most ", kLogGivenBackMax, " at once"));
  }
  if (check.has_burst()) {
    if (valid.algorithm != v1::RATE_LIMIT_ALGORITHM_GCRA) return InvalidField(field("burst"), "is for GCRA only");
    if (valid.burst < 1 || valid.burst > kGcraLimitMax) {
      return InvalidField(field("burst"), absl::StrCat("must be 1 to ", kGcraLimitMax));
    }
    const __int128 refill_us = DivideUp(UnitMicros{valid.burst} * valid.window_us, valid.limit);
    if (refill_us > absl::ToInt64Microseconds(kLongestDuration)) {
      return InvalidField(field("burst"), "burst x window / limit must not exceed 366 days");
    }
    if (valid.cost > valid.burst) return InvalidField(field("cost"), "must not exceed the burst");
  }
  return valid;
}

LimitState::Verdict LimitState::Judge(const LimitCheck& check, int64_t now_us, bool counted) {
  switch (check.algorithm) {
    case v1::RATE_LIMIT_ALGORITHM_GCRA:
      return JudgeGcra(check, now_us, counted);
    case v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW:
    case v1::RATE_LIMIT_ALGORITHM_CALENDAR:
      return JudgeWindow(check, now_us, counted);
    default:
      return JudgeLog(check, now_us, counted);
  }
}

LimitState::Verdict LimitState::JudgeLog(const LimitCheck& check, int64_t now_us, bool counted) {
  size_t oldest = log_.Expired(now_us);
  const int64_t used_now = log_.used();
  Verdict verdict{check.cost <= check.limit - used_now || check.cost < 0, 0, 0, 0};
  // A request counts for exactly one window, its last microsecond included.
  const auto gone_after = [&](int64_t time_us) { return time_us + check.window_us + 1 - now_us; };
  if (!verdict.allowed) {
    // The oldest requests have to expire until the cost of the rest leaves room.
    for (int64_t used = used_now; used + check.cost > check.limit; ++oldest) {
      used -= log_[oldest].cost;
      verdict.retry_after_us = gone_after(log_[oldest].time_us);
    }
  }
  const bool takes = verdict.allowed && counted;
  const int64_t after = takes ? std::max<int64_t>(0, used_now + check.cost) : used_now;
  verdict.remaining = std::max<int64_t>(0, check.limit - after);
  if (takes && check.cost > 0) {
    verdict.reset_after_us = gone_after(now_us);
  } else if (after > 0) {
    verdict.reset_after_us = gone_after(NewestAfterGivingBack(takes ? -check.cost : 0).time_us);
  }
  return verdict;
}

const RequestLog::Request& LimitState::NewestAfterGivingBack(int64_t units) const {
  size_t newest = log_.size() - 1;
  for (; units >= log_[newest].cost; --newest) units -= log_[newest].cost;
  return log_[newest];
}

UnitMicros LimitState::Level(const LimitCheck& check, int64_t now_us) const {
  if (row_.arrival_us() != 0 || row_.arrival_fs() != 0) {
    const __int128 ahead_fs = (__int128{row_.arrival_us()} - now_us) * kFemtosPerMicro + row_.arrival_fs();
    return ahead_fs <= 0 ? 0 : DivideUp(ahead_fs * check.limit, kFemtosPerMicro);
  }
  const int64_t passed_us = now_us - row_.level_time_us();
  const UnitMicros level = UnitMicros{row_.level()} * check.window_us + row_.level_rest();
  return std::max<UnitMicros>(0, level - UnitMicros{passed_us} * check.limit);
}

LimitState::Verdict LimitState::JudgeGcra(const LimitCheck& check, int64_t now_us, bool counted) const {
  const UnitMicros level = Level(check, now_us);
  const UnitMicros next = std::max<UnitMicros>(0, level + UnitMicros{check.cost} * check.window_us);
  const UnitMicros level_max = UnitMicros{check.burst} * check.window_us;
  Verdict verdict{next <= level_max || check.cost < 0, 0, 0, 0};
  if (!verdict.allowed) verdict.retry_after_us = static_cast<int64_t>(DivideUp(next - level_max, check.limit));
  const UnitMicros after = verdict.allowed && counted ? next : level;
  const UnitMicros room = std::max<UnitMicros>(0, level_max - after) / check.window_us;
  verdict.remaining = static_cast<int64_t>(std::min<UnitMicros>(check.limit, room));
  verdict.reset_after_us = static_cast<int64_t>(DivideUp(after, check.limit));
  return verdict;
}

LimitState::Verdict LimitState::JudgeWindow(const LimitCheck& check, int64_t now_us, bool counted) const {
  const Window window = WindowAt(check.algorithm, check.window_us, now_us);
  const int64_t used = row_.window_index() == window.index ? row_.window_count() : 0;
  const int64_t ends_after = window.end_us - now_us;
  Verdict verdict{check.cost <= check.limit - used || check.cost < 0, 0, 0, 0};
  if (!verdict.allowed) verdict.retry_after_us = ends_after;
  const int64_t after = std::max<int64_t>(0, used + (verdict.allowed && counted ? check.cost : 0));
  verdict.remaining = std::max<int64_t>(0, check.limit - after);
  if (after > 0) verdict.reset_after_us = ends_after;
  return verdict;
}

void LimitState::Count(const LimitCheck& check, int64_t now_us) {
  switch (check.algorithm) {
    case v1::RATE_LIMIT_ALGORITHM_GCRA: {
      const UnitMicros level = std::max<UnitMicros>(0, Level(check, now_us) + UnitMicros{check.cost} * check.window_us);
      row_.clear_arrival_us();
      row_.clear_arrival_fs();
      row_.set_level(static_cast<int64_t>(level / check.window_us));
      row_.set_level_rest(static_cast<int64_t>(level % check.window_us));
      row_.set_level_time_us(now_us);
      row_.set_level_limit(check.limit);
      break;
    }
    case v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW:
    case v1::RATE_LIMIT_ALGORITHM_CALENDAR: {
      const int64_t index = WindowAt(check.algorithm, check.window_us, now_us).index;
      const int64_t used = row_.window_index() == index ? row_.window_count() : 0;
      row_.set_window_index(index);
      row_.set_window_count(std::max<int64_t>(0, used + check.cost));
      break;
    }
    default:
      log_.Add(now_us, check.cost);
      break;
  }
}

int64_t LimitState::SilentFrom() const {
  switch (row_.algorithm()) {
    case v1::RATE_LIMIT_ALGORITHM_GCRA: {
      if (row_.level_limit() == 0) return row_.arrival_us() + (row_.arrival_fs() > 0 ? 1 : 0);
      const UnitMicros level = UnitMicros{row_.level()} * row_.window_us() + row_.level_rest();
      return row_.level_time_us() + static_cast<int64_t>(DivideUp(level, row_.level_limit()));
    }
    case v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW:
    case v1::RATE_LIMIT_ALGORITHM_CALENDAR:
      return WindowOfNumber(row_.algorithm(), row_.window_us(), row_.window_index()).end_us;
    default:
      return log_.empty() ? 0 : log_.newest().time_us + row_.window_us() + 1;
  }
}

}  // namespace holdfast::actors
