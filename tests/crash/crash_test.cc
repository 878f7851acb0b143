// The promise: what was acknowledged survives a kill at any moment, even if everything that was not synced is lost.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/crash/workload.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

int Rounds() {
  int rounds = 20;
  if (const char* const text = std::getenv("HOLDFAST_CRASH_ROUNDS")) (void)absl::SimpleAtoi(text, &rounds);
  return rounds;
}

uint64_t Seed() {
  uint64_t seed = std::random_device{}();
  if (const char* const text = std::getenv("HOLDFAST_TEST_SEED")) (void)absl::SimpleAtoi(text, &seed);
  return seed;
}

// So short an idle time that objects are unloaded, moved and loaded again under the load.
constexpr char kConfig[] =
    "actors { idle_timeout_ms: 20 } storage { column_families_max: 6 } testing { lose_unsynced: true ";

TEST(CrashTest, NothingAcknowledgedIsLostByAKill) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  Workload workload(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < Rounds(); ++round) {
    {
      ServerProcess server(data_dir, absl::StrCat(kConfig, "}"));
      workload.RunAndKill(&server, 100 + static_cast<int64_t>(random() % 2000));
    }
    ServerProcess server(data_dir, absl::StrCat(kConfig, "}"));
    const auto differences = workload.Verify(server);
    ASSERT_TRUE(differences.empty()) << "round " << round << ":\n" << absl::StrJoin(differences, "\n");
    // The second kill of the round comes at once, while what Verify wrote may still be on its way.
    server.Kill();
  }
  std::printf("%d kills: %lld writes acknowledged, none lost; %lld got no answer\n", 2 * Rounds(),
              static_cast<long long>(workload.acknowledged()), static_cast<long long>(workload.unanswered()));
}

// The same without the sync: if this found nothing lost, the test above would prove nothing.
TEST(CrashTest, WithSyncOffTheSameRoundsFindLosses) {
  const uint64_t seed = Seed();
  TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  Workload workload(seed);
  size_t found = 0;
  for (int round = 0; round < 3 && found == 0; ++round) {
    {
      ServerProcess server(data_dir, absl::StrCat(kConfig, "sync_off: true }"));
      workload.RunAndKill(&server, 500);
    }
    ServerProcess server(data_dir, absl::StrCat(kConfig, "sync_off: true }"));
    found = workload.Verify(server).size();
  }
  EXPECT_GT(found, 0u);
  std::printf("with sync off: %zu differences found\n", found);
}

}  // namespace
}  // namespace holdfast::testing
