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

// A store of many objects: how soon it serves, with how much memory, and whether all of them at once are as fast as a
// few.
void RunStart(const ScaleOptions& options, Report* report);
// What an object in memory takes.
void RunMemory(const ScaleOptions& options, Report* report);
// How late the answer of an object is that has to be loaded.
void RunActivation(const ScaleOptions& options, Report* report);
// Many alarms at one moment, of the server's own classes and of clients.
void RunAlarms(const ScaleOptions& options, Report* report);
// A mixed load for a long time.
void RunSoak(const ScaleOptions& options, Report* report);
// Disk.
void RunSpace(const ScaleOptions& options, Report* report);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_SCALE_PARTS_H_
