#include "service/call/call_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "actors/wire/errors.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

// Returns "" for an error without a reason.
std::string ReasonNameOf(const absl::Status& status) {
  const v1::ErrorReason reason = actors::ReasonOf(status);
  if (reason == v1::ERROR_REASON_UNSPECIFIED) return "";
  return std::string(absl::StripPrefix(v1::ErrorReason_Name(reason), "ERROR_REASON_"));
}

}  // namespace

absl::Time CallLog::Begin() const { return LogEnabled(LogLevel::kDebug) ? now_() : kNotMeasured; }

void CallLog::Ended(absl::Time began, absl::string_view method, const absl::Status& outcome,
                    const std::function<std::string()>& object, const CallTrace* trace) {
  if (began == kNotMeasured) return;
  const absl::Duration took = now_() - began;
  if (outcome.ok() && took <= slow_) return;
  Write(took, method, outcome, object(), trace);
}

void CallLog::StreamEnded(absl::Time began, absl::string_view method, const absl::Status& outcome,
                          const CallTrace* trace) {
  // A call whose client is gone was not refused.
  if (began == kNotMeasured || outcome.ok() || absl::IsCancelled(outcome)) return;
  Write(now_() - began, method, outcome, "", trace);
}

void CallLog::Write(absl::Duration took, absl::string_view method, const absl::Status& outcome,
                    const std::string& object, const CallTrace* trace) {
  int64_t left_out = 0;
  if (!Admit(now_(), &left_out)) return;
  if (left_out > 0) Log(LogLevel::kDebug, "calls_left_out", {{"count", absl::StrCat(left_out)}});
  const std::string code = absl::StatusCodeToString(outcome.code());
  const std::string took_ms = absl::StrFormat("%.3f", absl::ToDoubleMilliseconds(took));
  // Without a trace the field has no name, and so is left out.
  const std::pair<absl::string_view, std::string> traced = {trace == nullptr ? "" : "trace",
                                                            trace == nullptr ? "" : trace->trace_id().ToHex()};
  if (outcome.ok()) {
    Log(LogLevel::kDebug, "call_slow",
        {{"method", std::string(method)}, {"object", object}, {"code", code}, {"took_ms", took_ms}, traced});
  } else {
    Log(LogLevel::kDebug, "call_refused",
        {{"method", std::string(method)},
         {"object", object},
         {"code", code},
         {"reason", ReasonNameOf(outcome)},
         {"message", std::string(outcome.message())},
         {"took_ms", took_ms},
         traced});
  }
}

bool CallLog::Admit(absl::Time now, int64_t* left_out) {
  MutexLock lock(&mutex_);
  if (now - second_ >= absl::Seconds(1)) {
    second_ = now;
    lines_ = 0;
  }
  if (lines_ >= kLinesPerSecondMax) {
    ++left_out_;
    return false;
  }
  ++lines_;
  *left_out = std::exchange(left_out_, 0);
  return true;
}

}  // namespace holdfast::service
