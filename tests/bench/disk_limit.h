// The limit that the disk sets: RocksDB with nothing but one key a write, each synced, in a loop.

#ifndef HOLDFAST_TESTS_BENCH_DISK_LIMIT_H_
#define HOLDFAST_TESTS_BENCH_DISK_LIMIT_H_

#include <string>

#include "absl/time/time.h"
#include "tests/bench/load.h"

namespace holdfast::bench {

// Writes for so long to a store in the directory, which it makes.
LoadResult SyncedWrites(const std::string& directory, absl::Duration time);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_DISK_LIMIT_H_
