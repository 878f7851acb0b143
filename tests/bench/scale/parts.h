// The parts of scale_bench, each with servers and data of its own.

#ifndef HOLDFAST_TESTS_BENCH_SCALE_PARTS_H_
#define HOLDFAST_TESTS_BENCH_SCALE_PARTS_H_

#include <cstdint>

#include "tests/bench/scale/report.h"

namespace holdfast::bench {

struct ScaleOptions {
  int64_t objects = 1'000'000;
  int64_t alarms = 1'000'000;
  double soak_minutes = 20;
};

// Measures a store of many objects: how soon it serves, how much memory it takes, and whether requests spread over all
// objects are as fast as requests to a few.
void RunStart(const ScaleOptions& options, Report* report);
// Measures the memory that an object takes.
void RunMemory(const ScaleOptions& options, Report* report);
// Measures the latency of an object that has to be loaded.
void RunActivation(const ScaleOptions& options, Report* report);
// Measures many alarms at one moment, of the server's own classes and of clients.
void RunAlarms(const ScaleOptions& options, Report* report);
// Measures a mixed load for a long time.
void RunSoak(const ScaleOptions& options, Report* report);
// Measures disk space and write amplification.
void RunSpace(const ScaleOptions& options, Report* report);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_SCALE_PARTS_H_
