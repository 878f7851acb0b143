#include "client/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace holdfast::client {
namespace {

TEST(LatencyHistogramTest, NothingIsZero) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), absl::ZeroDuration());
  EXPECT_EQ(histogram.Mean(), absl::ZeroDuration());
  EXPECT_TRUE(histogram.Buckets().empty());
}

TEST(LatencyHistogramTest, EveryLatencyIsInABucketThatEndsAtMostAThirtySecondAboveIt) {
  for (absl::Duration latency = absl::Nanoseconds(1); latency < absl::Hours(18);
       latency += latency / 7 + absl::Nanoseconds(333)) {
    LatencyHistogram histogram;
    histogram.Add(latency);
    const std::vector<LatencyHistogram::Bucket> buckets = histogram.Buckets();
    ASSERT_EQ(buckets.size(), 1u);
    EXPECT_GE(buckets[0].up_to, latency);
    EXPECT_LE(buckets[0].up_to, latency * (1 + 1.0 / 32) + absl::Microseconds(1)) << latency;
    EXPECT_EQ(histogram.Quantile(1), latency);
  }
}

TEST(LatencyHistogramTest, WhatIsOutOfBoundsIsInTheFirstOrLastBucket) {
  LatencyHistogram histogram;
  histogram.Add(-absl::Seconds(1));
  histogram.Add(absl::Hours(1000));
  EXPECT_EQ(histogram.Buckets().size(), 2u);
  EXPECT_EQ(histogram.max(), absl::Hours(1000));
}

TEST(LatencyHistogramTest, QuantilesAreThoseOfTheSortedLatencies) {
  std::mt19937 random(7);
  std::lognormal_distribution<double> distribution(6, 2);
  std::vector<absl::Duration> sorted;
  LatencyHistogram one, other;
  for (int i = 0; i < 10'000; ++i) {
    sorted.push_back(absl::Microseconds(distribution(random)));
    (i % 2 == 0 ? one : other).Add(sorted.back());
  }
  one.Merge(other);
  std::ranges::sort(sorted);
  EXPECT_EQ(one.count(), 10'000);
  for (const double q : {0.0001, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const absl::Duration exact = sorted[static_cast<size_t>(q * 10'000 + 0.5) - 1];
    EXPECT_GE(one.Quantile(q), exact) << q;
    EXPECT_LE(one.Quantile(q), exact * (1 + 1.0 / 32) + absl::Microseconds(1)) << q;
  }
}

}  // namespace
}  // namespace holdfast::client
