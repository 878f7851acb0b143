// Chooses the object and the key of a call: all contenders get the same walk.

#ifndef HOLDFAST_TESTS_BENCH_WALK_H_
#define HOLDFAST_TESTS_BENCH_WALK_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace holdfast::bench {

constexpr int64_t kObjects = 1000;
constexpr int64_t kBatchObjects = 100;
constexpr int64_t kKeysPerObject = 100;
constexpr int64_t kRows = 100;

// The `number`th element of a walk over all `count`, which never visits two neighbours in a row.
inline int64_t Pick(int64_t number, int64_t count) { return number * 7919 % count; }

inline std::string ObjectName(int64_t object) { return absl::StrCat("bench-", object); }

// The key of an object; the walk goes to the next key when it has visited all objects.
inline int64_t KeyOf(int64_t number) { return number / kObjects % kKeysPerObject; }

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_WALK_H_
