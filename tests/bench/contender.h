// A server that is measured: its name, how to reach it for a kind of work, and where its costs are read.

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
  int outstanding_max = 0;  // 0: no limit
  // Opens one or several connections.
  std::function<std::unique_ptr<Transport>(int channels, int slots)> connect;
  // Makes the data that the work needs, and is called once. Exits the program if it fails.
  std::function<void()> prepare = [] {};
};

class Contender {
 public:
  virtual ~Contender() = default;
  virtual const std::string& name() const = 0;
  // Returns a Work without `connect` if the contender does not do this work.
  virtual Work WorkOf(const std::string& workload) = 0;
  virtual absl::Duration CpuTime() const = 0;
  virtual double ResidentMb() const = 0;
};

// Starts holdfastd with this configuration (text format); every write is synced.
std::unique_ptr<Contender> StartHoldfast(const std::string& name, const std::string& program,
                                         const std::string& directory, const std::string& config);
// Starts the bare echo server, which answers `held` calls together. It does the unary increment for work of which it
// has no echo (streams, batches).
std::unique_ptr<Contender> StartEcho(const std::string& name, const std::string& program, const std::string& directory,
                                     int held);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_CONTENDER_H_
