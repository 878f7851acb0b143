// The work that the benchmark asks of servers over gRPC, holdfastd and the echo server alike: for each the calls, and
// what has to be there before.

#ifndef HOLDFAST_TESTS_BENCH_WIRE_WORKLOADS_H_
#define HOLDFAST_TESTS_BENCH_WIRE_WORKLOADS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/load.h"

namespace holdfast::bench {

struct WireWorkload {
  std::string name;
  int units_per_call = 1;  // for BatchIncrement: increments
  std::function<std::unique_ptr<Transport>(const std::string& address, int channels, int slots)> connect;
  // Exits the program if it fails. Not for the echo server.
  std::function<void(const std::string& address)> prepare = [](const std::string&) {};
};

// "increment", "increment-hot", "get-value", "check-limit", "update-user", "add-item", "sql-update", "sql-select",
// "stream-increment", "batch-increment-64".
const WireWorkload& WireWorkloadNamed(const std::string& name);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_WIRE_WORKLOADS_H_
