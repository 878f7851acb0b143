// The load that all contenders get: the same loop, the same number of calls under way, the same clock.
//
// Closed loop (rate 0): a fixed number of calls is always under way; when one ends, the next begins. It finds the peak.
// Open loop: calls begin at a fixed rate, whether earlier calls have ended or not, and the latency of a call counts
// from when it was due. A server that stalls therefore cannot hide the calls that would have come meanwhile
// (coordinated omission).
//
// Threading: one thread, which also drives the transport.

#ifndef HOLDFAST_TESTS_BENCH_LOAD_H_
#define HOLDFAST_TESTS_BENCH_LOAD_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace holdfast::bench {

struct LoadOptions {
  int outstanding = 64;   // calls under way: at all times in the closed loop, at most in the open one
  double rate_per_s = 0;  // 0: closed loop
  absl::Duration warm_up = absl::Milliseconds(500);
  absl::Duration time = absl::Seconds(2);
};

struct LoadResult {
  int64_t calls = 0;     // successes within `time`
  int64_t failures = 0;  // failures within `time`
  // In the open loop: calls that were due within `time` and for which no slot was free until its end. The times count
  // them as that late, at least.
  int64_t not_begun = 0;
  double seconds = 0;
  double p50_us = 0, p99_us = 0, p999_us = 0;

  double calls_per_s() const { return seconds > 0 ? static_cast<double>(calls) / seconds : 0; }
};

// Receives the end of each call.
class Sink {
 public:
  virtual void Ended(int slot, bool ok) = 0;

 protected:
  ~Sink() = default;
};

// The calls of one workload to one contender.
class Transport {
 public:
  virtual ~Transport() = default;
  // Begins the `number`th call in a free slot, from 0 to outstanding - 1. Poll tells the sink when the call has ended.
  virtual void Begin(int slot, int64_t number) = 0;
  // Waits until something happens, but not beyond `until`, and tells the sink about every call that has ended.
  virtual void Poll(absl::Time until, Sink* sink) = 0;
};

// Returns the q-quantile of unsorted values.
double Quantile(std::vector<float>* values, double q);

// Begin() is called between the warm-up and the measured time, End() at the end of the measured time.
class MeasureHooks {
 public:
  virtual void Begin() {}
  virtual void End() {}

 protected:
  ~MeasureHooks() = default;
};
// Gives up on calls that have not ended 30 s after the load, and counts them as failures.
LoadResult RunLoad(Transport* transport, const LoadOptions& options, MeasureHooks* hooks = nullptr);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_LOAD_H_
