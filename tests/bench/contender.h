// A server that takes part: what it is called, how to reach it for a kind of work, and where its costs are read.

#ifndef HOLDFAST_TESTS_BENCH_CONTENDER_H_
#define HOLDFAST_TESTS_BENCH_CONTENDER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "tests/bench/load.h"

namespace holdfast::bench {

struct Work {
  int units_per_call = 1;
  int outstanding_max = 0;  // 0: as many as asked for
  // A new connection, or several.
  std::function<std::unique_ptr<Transport>(int channels, int slots)> connect;
  // Makes what has to be there before, and is called once. Exits the program if it fails.
  std::function<void()> prepare = [] {};
};

class Contender {
 public:
  virtual ~Contender() = default;
  virtual const std::string& name() const = 0;
  // Without `connect` if it does no such work.
  virtual Work WorkOf(const std::string& workload) = 0;
  virtual absl::Duration CpuTime() const = 0;
  virtual double ResidentMb() const = 0;
};

// holdfastd, every write synced, with this configuration (text format).
std::unique_ptr<Contender> StartHoldfast(const std::string& name, const std::string& program,
                                         const std::string& directory, const std::string& config);
// The bare echo server. Where there is no echo of a kind of work (streams, batches) it does the unary increment.
// It answers `held` calls together.
std::unique_ptr<Contender> StartEcho(const std::string& name, const std::string& program, const std::string& directory,
                                     int held);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_CONTENDER_H_
