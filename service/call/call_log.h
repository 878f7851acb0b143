// Lines of the log about single calls, at the level DEBUG: one for each call, or item of a batch or a stream, that was
// refused, and for each that was slow.
//
//   event=call_refused method=holdfast.v1.CounterService.Increment object=default/Counter/a code=RESOURCE_EXHAUSTED
//       reason=MAILBOX_FULL message="..." took_ms=0.041
//   event=call_slow method=... object=... code=OK took_ms=152.300 trace=0af7651916cd43dd8448eb211c80319c
//
// The line of a call that has a trace of its caller, or is traced, ends with the trace's id. A call that was refused
// and slow has the first of these. The time is from the arrival of the request to its outcome. Streams have lines for
// their refusals and their items, but are never slow themselves: their clients decide how long they live. At a lower
// level nothing is measured.
//
// Bounds: kLinesPerSecondMax lines a second. The next line tells the number of lines that were left out
// (event=calls_left_out). Threading: any thread.

#ifndef HOLDFAST_SERVICE_CALL_CALL_LOG_H_
#define HOLDFAST_SERVICE_CALL_CALL_LOG_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "service/traces/call_trace.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class CallLog {
 public:
  static constexpr int64_t kLinesPerSecondMax = 100;
  // Returned by Begin() while the level is higher and nothing is measured.
  static constexpr absl::Time kNotMeasured = absl::InfinitePast();

  // A call that takes longer than `slow` has a line. `now` is a clock that never goes back; its zero means nothing.
  CallLog(absl::Duration slow, std::function<absl::Time()> now) : slow_(slow), now_(std::move(now)) {}
  CallLog(const CallLog&) = delete;
  CallLog& operator=(const CallLog&) = delete;

  // Returns the time at which a call begins, for Ended.
  absl::Time Begin() const;
  // Writes the line of a call that began at `began`, if the call was refused or slow. `object` is called only for a
  // line; it returns "namespace/class/name", or "" if the call names no object or none was found. `trace` may be null.
  void Ended(absl::Time began, absl::string_view method, const absl::Status& outcome,
             const std::function<std::string()>& object, const CallTrace* trace = nullptr);
  // Does the same for the end of a stream.
  void StreamEnded(absl::Time began, absl::string_view method, const absl::Status& outcome,
                   const CallTrace* trace = nullptr);

 private:
  void Write(absl::Duration took, absl::string_view method, const absl::Status& outcome, const std::string& object,
             const CallTrace* trace);
  // Returns whether there is room for a line now. If so, `*left_out` is the number of lines left out since the last.
  bool Admit(absl::Time now, int64_t* left_out);

  const absl::Duration slow_;
  const std::function<absl::Time()> now_;

  Mutex mutex_;
  absl::Time second_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // the time at which the current second began
  int64_t lines_ ABSL_GUARDED_BY(mutex_) = 0;                         // lines in this second
  int64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;                      // lines left out since the last one written
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_CALL_LOG_H_
