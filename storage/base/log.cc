#include "storage/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace holdfast {
namespace {

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("holdfast", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

std::atomic<LogFormat> log_format = LogFormat::kText;

using Fields = std::initializer_list<std::pair<absl::string_view, std::string>>;

std::string JsonLine(const std::string& time, absl::string_view level, absl::string_view event, const Fields& fields) {
  nlohmann::ordered_json line = {{"time", time}, {"level", level}, {"event", event}};
  for (const auto& [name, value] : fields) {
    if (!name.empty()) line[std::string(name)] = value;
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

bool IsPlain(absl::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return absl::ascii_isgraph(c) && c != '"' && c != '=' && c != '\\';
  });
}

}  // namespace

void SetLogLevel(LogLevel lowest) { Logger().set_level(ToSpdlog(lowest)); }

void SetLogFormat(LogFormat format) { log_format = format; }

bool LogEnabled(LogLevel level) { return Logger().should_log(ToSpdlog(level)); }

void Log(LogLevel level, absl::string_view event, Fields fields) {
  static constexpr absl::string_view kNames[] = {"debug", "info", "warning", "error"};
  if (!LogEnabled(level)) return;
  const absl::string_view name = kNames[static_cast<int>(level)];
  const std::string time = absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  if (log_format == LogFormat::kJson) return Logger().log(ToSpdlog(level), JsonLine(time, name, event, fields));
  std::string line = absl::StrCat(time, " level=", name, " event=", event);
  for (const auto& [field, value] : fields) {
    if (field.empty()) continue;
    if (IsPlain(value)) {
      absl::StrAppend(&line, " ", field, "=", value);
    } else {
      absl::StrAppend(&line, " ", field, "=\"", absl::CHexEscape(value), "\"");
    }
  }
  Logger().log(ToSpdlog(level), line);
}

}  // namespace holdfast
