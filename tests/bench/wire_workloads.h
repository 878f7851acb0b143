// The work that the benchmark asks of servers over gRPC, of holdfastd and the echo server alike: the calls of each kind
// of work, and the data that has to be there before.

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
  int units_per_call = 1;  // the increments of a BatchIncrement
  std::function<std::unique_ptr<Transport>(const std::string& address, int channels, int slots)> connect;
  // Makes the data; exits the program if it fails. Not called for the echo server.
  std::function<void(const std::string& address)> prepare = [](const std::string&) {};
};

// The names are "increment", "increment-hot", "get-value", "check-limit", "update-user", "add-item", "sql-update",
// "sql-select", "stream-increment", "batch-increment-64", "batch-increment-hot".
const WireWorkload& WireWorkloadNamed(const std::string& name);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_WIRE_WORKLOADS_H_
