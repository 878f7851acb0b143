// How many bytes of something each namespace has, in a memory of fixed size however many namespaces there are: clients
// choose their names, so a map by name would grow with what they send.
//
// Each namespace adds to one counter in each of two tables, which a hash picks. Of() is the smaller of its two: never
// less than what the namespace has, and more only where both counters are shared with namespaces that have much, which
// for two that fill half of a bound each is one chance in 10^8. The hash differs from process to process, so nobody can
// choose names that meet. What was added can be taken away again exactly.

#ifndef HOLDFAST_ACTORS_NAMESPACE_BYTES_H_
#define HOLDFAST_ACTORS_NAMESPACE_BYTES_H_

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

#endif  // HOLDFAST_ACTORS_NAMESPACE_BYTES_H_
