// Backups are made under load, the server is killed over and over, and a restore brings back chosen moments: each
// object is then as it was at that moment.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/crash/rounds.h"
#include "tests/crash/workload.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

constexpr int kRounds = 8;
constexpr int kMoments = 3;

// The families and the executors change from life to life. Records of requests outlive the test, since the restored
// servers are asked again.
std::string Config(int life, const std::string& backups) {
  return absl::StrCat("actors { idle_timeout_ms: 20 executors: ", 1 + life % 3,
                      " } storage { request_record_age_ms: 86400000 column_families_max: ", life % 2 == 0 ? 64 : 6,
                      " } testing { lose_unsynced: true } ", backups);
}

// A moment at which nothing was under way, with the state of all objects.
struct Moment {
  absl::Time time;
  Workload expected;
};

constexpr absl::Duration kFirstBackupMax = absl::Seconds(60);
// In so many rounds some backups are made under load, on any machine.
constexpr int kRoundsWithBackups = 50;

// Returns how many backups were made; the archive must not have had a gap.
int BackupsIn(const std::string& log) {
  EXPECT_EQ(log.find("archive_gap"), std::string::npos) << log;
  int made = 0;
  for (size_t at = log.find("backup_made"); at != std::string::npos; at = log.find("backup_made", at + 1)) ++made;
  return made;
}

TEST(BackupTest, ARestoreBringsBackEachMomentThroughKills) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  const std::string backup_dir = directory.path() + "/backups";
  const std::string backups =
      absl::StrCat("backup { directory: \"", backup_dir, "\" every_ms: 3000 keep: 1000 archive_log: true }");
  const int rounds = std::max(Rounds(kRounds), kMoments + 1);
  Workload workload(seed);
  std::mt19937_64 random(seed);
  std::vector<Moment> moments;
  int made = 0;
  int under_load = 0;
  {
    // Backups give way to everything else, so on a busy machine the short lives below may make none.
    ServerProcess server(data_dir, Config(0, backups));
    const absl::Time until = absl::Now() + kFirstBackupMax;
    // Only the log of the process tells that a backup was made.
    while (BackupsIn(server.Log()) == 0 && absl::Now() < until) absl::SleepFor(absl::Milliseconds(20));
    ASSERT_GT(BackupsIn(server.Log()), 0);
    server.Kill();
  }
  for (int round = 0; round < rounds; ++round) {
    {
      ServerProcess server(data_dir, Config(round, backups));
      workload.RunAndKill(&server, 100 + static_cast<int64_t>(random() % 2000));
      under_load += BackupsIn(server.Log());
    }
    ServerProcess server(data_dir, Config(round, backups));
    const auto differences = workload.Verify(server);
    ASSERT_TRUE(differences.empty()) << "round " << round << ":\n" << absl::StrJoin(differences, "\n");
    made += BackupsIn(server.Log());
    // The moments are in the middle of the rounds, far from each other.
    if (static_cast<int>(moments.size()) < kMoments &&
        round >= (static_cast<int>(moments.size()) + 1) * rounds / (kMoments + 1)) {
      moments.push_back({absl::Now(), workload});
      absl::SleepFor(absl::Milliseconds(10));
    }
    server.Kill();
  }
  {
    ServerProcess server(data_dir, Config(rounds, backups));
    const auto differences = workload.Finish(server);
    EXPECT_TRUE(differences.empty()) << "at the end:\n" << absl::StrJoin(differences, "\n");
    server.Terminate();
  }
  ASSERT_EQ(moments.size(), static_cast<size_t>(kMoments));
  if (rounds >= kRoundsWithBackups) EXPECT_GT(under_load, 0);
  int compared = 0;
  for (Moment& moment : moments) {
    const std::string restored_dir = absl::StrCat(directory.path(), "/restored", compared);
    const std::string at = absl::FormatTime(absl::RFC3339_full, moment.time, absl::UTCTimeZone());
    const auto restore = ServerProcess::RunToEnd({"--restore", backup_dir, "--at", at, "--data-dir", restored_dir});
    ASSERT_EQ(restore.status, 0) << restore.output;
    std::printf("%s", restore.output.c_str());
    ServerProcess server(restored_dir, Config(compared, ""));
    const auto differences = moment.expected.Verify(server);
    EXPECT_TRUE(differences.empty()) << "restored to " << at << ":\n" << absl::StrJoin(differences, "\n");
    ++compared;
    server.Terminate();
  }
  std::printf(
      "%d kills, %d backups under load and %d beside checks, %lld writes acknowledged, none lost; restored to %d "
      "moments, "
      "every object as expected\n",
      2 * rounds, under_load, made, static_cast<long long>(workload.acknowledged()), compared);
}

}  // namespace
}  // namespace holdfast::testing
