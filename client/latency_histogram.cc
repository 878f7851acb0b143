#include "client/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace holdfast::client {

size_t LatencyHistogram::Place(absl::Duration latency) {
  // A latency of 32.4 us is over the bound of 32 us, so parts of a microsecond count as a whole one.
  const auto micros = static_cast<uint64_t>(absl::ToInt64Microseconds(
      absl::Ceil(std::clamp(latency, absl::ZeroDuration(), absl::Hours(24)), absl::Microseconds(1))));
  const uint64_t value = micros == 0 ? 0 : micros - 1;  // bucket n holds n + 1 us
  constexpr uint64_t kSubBuckets = uint64_t{1} << kSubBucketBits;
  if (value < kSubBuckets) return value;
  const int doubling = static_cast<int>(std::bit_width(value)) - kSubBucketBits;  // at least 1
  const uint64_t part = (value >> (doubling - 1)) - kSubBuckets;
  return std::min<size_t>((static_cast<size_t>(doubling) << kSubBucketBits) + part, (kSubBuckets * kDoublings) - 1);
}

absl::Duration LatencyHistogram::UpTo(size_t place) {
  constexpr uint64_t kSubBuckets = uint64_t{1} << kSubBucketBits;
  if (place < kSubBuckets) return absl::Microseconds(place + 1);
  const uint64_t doubling = place >> kSubBucketBits;
  const uint64_t part = place & (kSubBuckets - 1);
  return absl::Microseconds(static_cast<int64_t>((kSubBuckets + part + 1) << (doubling - 1)));
}

void LatencyHistogram::Add(absl::Duration latency) {
  ++counts_[Place(latency)];
  ++count_;
  total_ += latency;
  max_ = std::max(max_, latency);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  total_ += other.total_;
  max_ = std::max(max_, other.max_);
}

absl::Duration LatencyHistogram::Mean() const { return count_ == 0 ? absl::ZeroDuration() : total_ / count_; }

absl::Duration LatencyHistogram::Quantile(double q) const {
  const auto wanted = static_cast<int64_t>(std::ceil(q * static_cast<double>(count_)));
  int64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen > 0 && seen >= wanted) return std::min(UpTo(i), max_);
  }
  return max_;
}

std::vector<LatencyHistogram::Bucket> LatencyHistogram::Buckets() const {
  std::vector<Bucket> buckets;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] > 0) buckets.push_back({UpTo(i), counts_[i]});
  }
  return buckets;
}

}  // namespace holdfast::client
