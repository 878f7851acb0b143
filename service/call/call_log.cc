#include "service/call/call_log.h"

#include <utility>
#include <vector>

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
  std::vector<LogField> fields = {
      {"method", std::string(method)}, {"object", object}, {"code", absl::StatusCodeToString(outcome.code())}};
  if (!outcome.ok()) {
    fields.emplace_back("reason", ReasonNameOf(outcome));
    fields.emplace_back("message", std::string(outcome.message()));
  }
  fields.emplace_back("took_ms", absl::StrFormat("%.3f", absl::ToDoubleMilliseconds(took)));
  if (trace != nullptr) fields.emplace_back("trace", trace->trace_id().ToHex());
  LogFields(LogLevel::kDebug, outcome.ok() ? "call_slow" : "call_refused", fields);
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
