// A steady load of increments beside something else: open loop, at a quarter of the server's peak when it does nothing
// else. The load tells how much of its throughput it lost.

#ifndef HOLDFAST_TESTS_BENCH_SCALE_SIDE_LOAD_H_
#define HOLDFAST_TESTS_BENCH_SCALE_SIDE_LOAD_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "tests/bench/scale/server.h"

namespace holdfast::bench {

class SideLoad {
 public:
  // Finds the peak, and measures the steady load alone; takes some 10 s.
  explicit SideLoad(const Server& server);
  ~SideLoad();

  // Begins the load. `address` may differ from that of the constructor's server, since the server may have been
  // restarted.
  void Begin(const std::string& address);
  // Ends the load; the figures are those of the whole time since Begin.
  void End();

  double rate_per_s() const { return rate_; }
  double alone_per_s() const { return alone_; }
  // Completed calls by the time until the last call under way had ended.
  double beside_per_s() const { return calls_ / seconds_; }
  double beside_p99_us() const { return p99_us_; }
  // The server's CPU time for each increment.
  double alone_cpu_us() const { return alone_cpu_us_; }
  double alone_p99_us() const { return alone_p99_us_; }
  double lost() const { return 1 - beside_per_s() / alone_; }

 private:
  double rate_ = 0;
  double alone_ = 0;
  double alone_p99_us_ = 0;
  double alone_cpu_us_ = 0;
  double calls_ = 0;
  double seconds_ = 1;
  double p99_us_ = 0;
  std::atomic<bool> end_{false};
  std::thread thread_;
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_SCALE_SIDE_LOAD_H_
