// A histogram of latencies in bounded memory: 8 KiB, however many there are.

#ifndef HOLDFAST_CLIENT_LATENCY_HISTOGRAM_H_
#define HOLDFAST_CLIENT_LATENCY_HISTOGRAM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace holdfast::client {

// Buckets are microseconds up to 32 us, and after that 32 for each doubling, so a bucket's bound is at most 1/32 above
// what is in it. Latencies of over 19 hours are in the last bucket. Single-threaded.
class LatencyHistogram {
 public:
  void Add(absl::Duration latency);
  void Merge(const LatencyHistogram& other);

  int64_t count() const { return count_; }
  absl::Duration max() const { return max_; }
  absl::Duration Mean() const;
  // Returns a time that the fraction `q` of the latencies, 0 to 1, do not exceed; 0 if there are none.
  absl::Duration Quantile(double q) const;

  struct Bucket {
    absl::Duration up_to;
    int64_t count;
  };
  // Returns the buckets that are not empty, in order.
  std::vector<Bucket> Buckets() const;

 private:
  static constexpr int kSubBucketBits = 5;
  static constexpr int kDoublings = 32;

  static size_t Place(absl::Duration latency);
  static absl::Duration UpTo(size_t place);

  std::array<int64_t, size_t{kDoublings} << kSubBucketBits> counts_ = {};
  int64_t count_ = 0;
  absl::Duration total_;
  absl::Duration max_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_LATENCY_HISTOGRAM_H_
