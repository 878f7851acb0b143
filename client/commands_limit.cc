#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/commands.h"

namespace holdfast::client {
namespace {

using v1::RateLimiterService;

// Parses "month" and the like; UNSPECIFIED for anything else.
v1::CalendarUnit CalendarUnitOf(absl::string_view text) {
  if (text == "minute") return v1::CALENDAR_UNIT_MINUTE;
  if (text == "hour") return v1::CALENDAR_UNIT_HOUR;
  if (text == "day") return v1::CALENDAR_UNIT_DAY;
  return text == "month" ? v1::CALENDAR_UNIT_MONTH : v1::CALENDAR_UNIT_UNSPECIFIED;
}

// Sets the field of a check that a name such as "limit" stands for.
absl::Status SetCheckField(absl::string_view name, const std::string& value, v1::RateLimit& check) {
  const auto number = [&](auto set) {
    const absl::StatusOr<int64_t> parsed = ParseInteger(value, INT64_MIN, INT64_MAX);
    if (parsed.ok()) set(*parsed);
    return parsed.status();
  };
  if (name == "key") {
    check.set_key(value);
  } else if (name == "limit") {
    return number([&](int64_t n) { check.set_limit(n); });
  } else if (name == "cost") {
    return number([&](int64_t n) { check.set_cost(n); });
  } else if (name == "burst") {
    return number([&](int64_t n) { check.set_burst(n); });
  } else if (const v1::CalendarUnit unit = CalendarUnitOf(value); name == "window" && unit != 0) {
    check.set_calendar_unit(unit);
    check.set_algorithm(v1::RATE_LIMIT_ALGORITHM_CALENDAR);
  } else if (name == "window") {
    const absl::StatusOr<absl::Duration> window = ParseFiniteDuration(value);
    if (!window.ok()) return window.status();
    *check.mutable_window() = ToProto(*window);
  } else if (name == "algorithm") {
    const absl::StatusOr<v1::RateLimitAlgorithm> algorithm = ParseAlgorithm(value);
    if (!algorithm.ok()) return algorithm.status();
    check.set_algorithm(*algorithm);
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' is none of key, limit, window, cost, algorithm, burst"));
  }
  return absl::OkStatus();
}

// Parses "key=alice,limit=5,window=10s".
absl::Status ParseCheck(const std::string& text, v1::RateLimit& check) {
  std::set<std::string, std::less<>> seen;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (part.find('=') == absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("'", part, "' is not of the form NAME=VALUE"));
    }
    if (!seen.insert(std::string(field.first)).second) {
      return absl::InvalidArgumentError(absl::StrCat("'", field.first, "' is there twice"));
    }
    const absl::Status set = SetCheckField(field.first, std::string(field.second), check);
    if (!set.ok()) return set;
  }
  for (const absl::string_view required : {"key", "limit", "window"}) {
    if (!seen.contains(required)) return absl::InvalidArgumentError(absl::StrCat("'", required, "' is missing"));
  }
  return absl::OkStatus();
}

template <class Request>
void DeclarePeekAndExitCode(Arguments& arguments, Request& request, bool& exit_code) {
  arguments.Flag("--peek", "Answer as if it were counted, and count nothing", [&request] { request.set_peek(true); });
  arguments.Flag("--exit-code",
                 "Exit with 3 where it is denied. Without it a denial, being a successful call, exits with 0",
                 [&exit_code] { exit_code = true; });
}

Unary<&RateLimiterService::Stub::CheckLimit> CheckLimit() {
  auto exit_code = std::make_shared<bool>(false);
  return {
      .name = "check",
      .help = "Count against a limit, if it allows it",
      .arguments =
          [exit_code](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            struct {
              const char* name;
              const char* type;
              const char* help;
              bool required;
            } const fields[] = {
                {"key", "KEY", "What is limited, e.g. a user or an address", true},
                {"limit", "N", "How many are allowed in a window", true},
                {"window", "DURATION",
                 "How long a window is, 1ms to 366 days; or minute, hour, day or month: of the calendar, UTC", true},
                {"cost", "N", "How many this one counts for; default 1. Negative: gives back", false},
                {"algorithm", "NAME", "sliding-window-log (the default, exact), gcra or fixed-window", false},
                {"burst", "N", "With gcra: how many at once from rest; default the limit", false},
            };
            for (const auto& field : fields) {
              arguments
                  .Value(absl::StrCat("--", field.name), field.type, field.help,
                         [&request, name = field.name](const std::string& value) {
                           return SetCheckField(name, value, *request.mutable_check());
                         })
                  ->required(field.required);
            }
            DeclarePeekAndExitCode(arguments, request, *exit_code);
          },
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            text.Fields({{"allowed", response.allowed() ? "yes" : "no"},
                         {"limit", absl::StrCat(response.limit())},
                         {"remaining", absl::StrCat(response.remaining())},
                         {"retry after", DurationText(response.retry_after())},
                         {"reset after", DurationText(response.reset_after())}});
          },
      .exit_status =
          [exit_code](const auto& response) { return *exit_code && !response.allowed() ? kExitDenied : kExitOk; },
  };
}

Unary<&RateLimiterService::Stub::CheckLimits> CheckLimits() {
  auto exit_code = std::make_shared<bool>(false);
  return {
      .name = "check-many",
      .help = "Count against several limits, all or nothing",
      .arguments =
          [exit_code](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments
                .Values("--check", "CHECK",
                        "key=KEY,limit=N,window=DURATION, and any of ,cost=N ,algorithm=NAME ,burst=N: as the "
                        "options of `check`; the key has no comma. 1 to 100 times",
                        [&request](const std::string& text) { return ParseCheck(text, *request.add_checks()); })
                ->required();
            DeclarePeekAndExitCode(arguments, request, *exit_code);
          },
      .print =
          [](const auto& request, const auto& response, TextOutput& text) {
            std::vector<std::vector<std::string>> rows;
            for (int i = 0; i < std::min(response.results_size(), request.checks_size()); ++i) {
              const v1::CheckLimitResponse& result = response.results(i);
              rows.push_back({request.checks(i).key(), result.allowed() ? "yes" : "no", absl::StrCat(result.limit()),
                              absl::StrCat(result.remaining()), DurationText(result.retry_after()),
                              DurationText(result.reset_after())});
            }
            text.Line(response.allowed() ? "allowed" : "denied, none is counted");
            text.Table({"KEY", "ALLOWED", "LIMIT", "REMAINING", "RETRY AFTER", "RESET AFTER"}, rows);
          },
      .exit_status =
          [exit_code](const auto& response) { return *exit_code && !response.allowed() ? kExitDenied : kExitOk; },
  };
}

}  // namespace

void AddLimitCommands(CommandGroup& root) {
  CommandGroup limit = root.Group("limit", "Rate limits", "RateLimiter");
  limit.Add(CheckLimit());
  limit.Add(CheckLimits());
  limit.Add(Unary<&RateLimiterService::Stub::ResetLimit>{
      .name = "reset",
      .help = "Forget all state of a key",
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments.Text("--key", "KEY", "Which key", [&request](const std::string& key) { request.set_key(key); })
                ->required();
          },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("reset"); },
  });
}

}  // namespace holdfast::client
