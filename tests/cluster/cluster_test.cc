// Nothing that a cluster has acknowledged is lost or done twice when a node is killed and another one is drained. The
// long form, with every kind of fault, is faults_test.cc.

#include "tests/cluster/cluster.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/store/object_id.h"
#include "tests/cluster/load.h"
#include "tests/crash/rounds.h"

namespace holdfast::testing {
namespace {

// The load needs a while to reach all objects, and to go on after a fault.
constexpr absl::Duration kLoaded = absl::Seconds(2);
constexpr absl::Duration kSharedMax = absl::Seconds(30);
// Far above what either takes, since the machine may be busy.
constexpr absl::Duration kOutageMax = absl::Seconds(10);

// Waits, and returns the longest call since.
absl::Duration LongestAfter(const Load& load, int64_t since_us, absl::Duration wait) {
  absl::SleepFor(wait);  // the load works meanwhile
  return absl::Microseconds(load.history().LongestUs(since_us));
}

TEST(ClusterTest, NothingIsLostOrDoubledByAKillAndADrain) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  Cluster cluster({.nodes = 3});
  ASSERT_TRUE(cluster.WaitUntilShared(kSharedMax));
  Load load(cluster, seed);
  load.Begin();
  absl::SleepFor(kLoaded);  // the load works meanwhile

  const std::optional<int> owner = cluster.OwnerOf(storage::ObjectKey("default", "Counter", "shared0"));
  ASSERT_TRUE(owner.has_value());
  const int64_t killed_us = NowUs();
  cluster.Kill(*owner);
  const absl::Duration take_over = LongestAfter(load, killed_us, cluster.options().lease + kLoaded);
  EXPECT_LT(take_over, kOutageMax);
  cluster.Start(*owner);
  EXPECT_TRUE(cluster.WaitUntilShared(kSharedMax));

  const int drained = (*owner + 1) % cluster.size();
  const int64_t drained_us = NowUs();
  EXPECT_EQ(cluster.Terminate(drained), 0) << cluster.Log(drained);
  const absl::Duration hand_over = LongestAfter(load, drained_us, kLoaded);
  EXPECT_LT(hand_over, kOutageMax);
  EXPECT_TRUE(cluster.WaitUntilShared(kSharedMax));

  load.End();
  for (const Finding& finding : load.Verify()) ADD_FAILURE() << finding.what;
  for (int node = 0; ::testing::Test::HasFailure() && node < cluster.size(); ++node)
    std::printf("n%d\n%s\n", node, cluster.Log(node).c_str());
  std::printf(
      "%lld calls acknowledged, %lld alarms handled, none lost or doubled; longest outage %.2f s after a kill"
      " (lease %.1f s), %.2f s after a drain\n",
      static_cast<long long>(load.acknowledged()), static_cast<long long>(load.alarms().handled()),
      absl::ToDoubleSeconds(take_over), absl::ToDoubleSeconds(cluster.options().lease),
      absl::ToDoubleSeconds(hand_over));
}

}  // namespace
}  // namespace holdfast::testing
