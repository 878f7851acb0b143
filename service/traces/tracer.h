// Decides which calls are traced, and gives their spans ids.
//
//   the caller has a trace    its flag decides
//   otherwise                 so many calls of a thousand, each a new trace
//   too many in this second   no further one, whatever its caller says: a client that traces everything does not take
//                             the processor and the collector for itself
//
// Threading: any thread. Ownership: the server owns it; it outlives the calls.

#ifndef HOLDFAST_SERVICE_TRACES_TRACER_H_
#define HOLDFAST_SERVICE_TRACES_TRACER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "actors/executor/clock.h"
#include "service/traces/call_trace.h"
#include "service/traces/trace_context.h"

namespace holdfast::service {

class Tracer {
 public:
  struct Options {
    int sampling_per_mille;
    int calls_per_second_max;
  };
  // Returns 64 random bits; any thread may call it.
  using Bits = std::function<uint64_t()>;
  // Takes a trace that has ended. It must return at once.
  using Sink = std::function<void(std::unique_ptr<CallTrace>)>;

  // `clock` outlives the tracer and its traces.
  Tracer(Options options, const actors::Clock* clock, Bits bits, Sink sink);
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  // Returns the trace of a call that has just arrived; null if it is not traced. With `log_all` a call that is not
  // traced though its caller names a trace has one that is not recorded. Without `by_ratio` only the caller decides.
  std::unique_ptr<CallTrace> Begin(const TraceHeaders& headers, absl::string_view method, bool by_ratio, bool log_all);
  // Ends a trace that is recorded.
  void End(std::unique_ptr<CallTrace> trace, const absl::Status& outcome) const;
  // Returns the trace of a call for the log alone; null if its caller names none.
  static std::unique_ptr<CallTrace> ForLog(const TraceHeaders& headers);

  // Returns the number of calls that were to be traced and were too many.
  uint64_t left_out() const { return left_out_.load(std::memory_order_relaxed); }

 private:
  bool HasRoom();

  const Options options_;
  const actors::Clock* const clock_;
  const Bits bits_;
  const Sink sink_;
  // The steady second that is counted, and its calls. Two threads that meet at the turn of a second may count a few
  // calls wrong.
  std::atomic<int64_t> second_ = 0;
  std::atomic<int64_t> calls_ = 0;
  std::atomic<uint64_t> left_out_ = 0;
};

// Returns random bits of the system's quality, for ids that differ between all servers there are.
uint64_t RandomTraceBits();

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_TRACES_TRACER_H_
