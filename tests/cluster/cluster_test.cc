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
#include "tests/cluster/load.h"
#include "tests/crash/rounds.h"

namespace holdfast::testing {
namespace {

// The load needs a while to reach all objects, and to go on after a fault.
constexpr absl::Duration kLoaded = absl::Seconds(2);

// Waits, and returns the longest call since.
absl::Duration LongestAfter(const Load& load, int64_t since_us, absl::Duration wait) {
  absl::SleepFor(wait);  // the load works meanwhile
  return absl::Microseconds(load.history().LongestUs(since_us));
}

void ExpectNoFindings(Load* load) {
  for (const Finding& finding : load->Verify()) ADD_FAILURE() << finding.what;
}

TEST(ClusterTest, ANodeAloneIsKilledAndStartedAgain) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  Cluster cluster({.nodes = 1});
  Load load(cluster, seed);
  load.Begin();
  absl::SleepFor(kLoaded);
  const int64_t killed_us = NowUs();
  cluster.Kill(0);
  cluster.Start(0);
  const absl::Duration outage = LongestAfter(load, killed_us, kLoaded);
  load.End();
  ExpectNoFindings(&load);
  std::printf("%lld calls acknowledged, %lld alarms, none lost or doubled; longest outage %.2f s\n",
              static_cast<long long>(load.acknowledged()), static_cast<long long>(load.alarms().handled()),
              absl::ToDoubleSeconds(outage));
}

}  // namespace
}  // namespace holdfast::testing
