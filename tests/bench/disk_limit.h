// The limit that the disk sets: RocksDB writes one key at a time in a loop, and syncs each write.

#ifndef HOLDFAST_TESTS_BENCH_DISK_LIMIT_H_
#define HOLDFAST_TESTS_BENCH_DISK_LIMIT_H_

#include <string>

#include "absl/time/time.h"
#include "tests/bench/load.h"

namespace holdfast::bench {

// Writes for `time` to a store in the directory, which this function makes.
LoadResult SyncedWrites(const std::string& directory, absl::Duration time);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_DISK_LIMIT_H_
