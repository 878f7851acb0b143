// NamespaceBytes counts bytes by namespace in memory of a fixed size, however many namespaces there are: clients choose
// the names, so a map by name would grow with what they send.
//
// A hash picks two counters for each namespace, one in each of two tables, and Add() adds to both. Of() returns the
// smaller one. It is never too small. It is too large only where both counters are shared with other namespaces: for
// two namespaces that fill half of a bound each, the chance is one in 10^8. The hash differs from process to process,
// so nobody can choose names that meet. Adding a negative number takes away exactly what was added.

#ifndef HOLDFAST_ACTORS_EXECUTOR_NAMESPACE_BYTES_H_
#define HOLDFAST_ACTORS_EXECUTOR_NAMESPACE_BYTES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"

namespace holdfast::actors {

class NamespaceBytes {
 public:
  void Add(absl::string_view ns, int64_t bytes) {
    const size_t hash = absl::HashOf(ns);
    counters_[First(hash)] += bytes;
    counters_[Second(hash)] += bytes;
  }
  int64_t Of(absl::string_view ns) const {
    const size_t hash = absl::HashOf(ns);
    return std::min(counters_[First(hash)], counters_[Second(hash)]);
  }

 private:
  static constexpr size_t kBits = 14;
  static constexpr size_t kTableSize = size_t{1} << kBits;

  static size_t First(size_t hash) { return hash % kTableSize; }
  static size_t Second(size_t hash) { return kTableSize + (hash >> kBits) % kTableSize; }

  std::vector<int64_t> counters_ = std::vector<int64_t>(2 * kTableSize);
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_EXECUTOR_NAMESPACE_BYTES_H_
