// Structured log lines on standard error: time, level, an event, and fields; as text for people, or as JSON.
//
//   Log(LogLevel::kInfo, "serving", {{"address", "127.0.0.1:50051"}});
//   2026-01-02T03:04:05.678Z level=info event=serving address=127.0.0.1:50051
//   {"time":"2026-01-02T03:04:05.678Z","level":"info","event":"serving","address":"127.0.0.1:50051"}
//
// Any thread. Values are quoted and escaped where needed, so a line is one event whatever a client sent. In JSON every
// value is a text, and bytes that are no UTF-8 are replaced. A field without a name is left out.

#ifndef HOLDFAST_STORAGE_BASE_LOG_H_
#define HOLDFAST_STORAGE_BASE_LOG_H_

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace holdfast {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

enum class LogFormat { kText, kJson };

void SetLogLevel(LogLevel lowest);
// Lines are text before the first call.
void SetLogFormat(LogFormat format);
// Returns whether lines of this level are written, so that a caller can skip fields that are costly to find out. Any
// thread.
bool LogEnabled(LogLevel level);
void Log(LogLevel level, absl::string_view event,
         std::initializer_list<std::pair<absl::string_view, std::string>> fields = {});

}  // namespace holdfast

#endif  // HOLDFAST_STORAGE_BASE_LOG_H_
