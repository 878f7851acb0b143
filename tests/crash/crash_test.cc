// The promise: an acknowledged write survives a kill at any moment, even if everything that was not synced is lost.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "rocksdb/db.h"
#include "tests/crash/rounds.h"
#include "tests/crash/workload.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

constexpr int kRounds = 12;

// The idle time is so short that objects are unloaded, moved and loaded again under the load. In one life there are
// families for all objects that come; in the next there are too few, and large objects push small ones out.
std::string Config(int life, const std::string& testing = "") {
  return absl::StrCat("actors { idle_timeout_ms: 20 } storage { column_families_max: ", life % 2 == 0 ? 64 : 6,
                      " } testing { lose_unsynced: true ", testing, "}");
}

// Returns the families of objects in the data directory, whether or not a server runs on it.
std::set<std::string> FamiliesIn(const std::string& data_dir) {
  std::vector<std::string> names;
  // The end of the file may be missing after a kill; that does not matter here.
  (void)rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), data_dir, &names);
  return {names.begin(), names.end()};
}

// Returns whether a server that starts finds more families than it keeps: a kill interrupted a move or a deletion.
bool LeftOver(const std::set<std::string>& before, const std::string& data_dir) {
  const std::set<std::string> after = FamiliesIn(data_dir);
  return std::any_of(before.begin(), before.end(), [&](const std::string& name) { return !after.contains(name); });
}

TEST(CrashTest, NothingAcknowledgedIsLostByAKill) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  Workload workload(seed);
  std::mt19937_64 random(seed);
  int moves_killed = 0;
  for (int round = 0; round < Rounds(kRounds); ++round) {
    {
      ServerProcess server(data_dir, Config(round));
      workload.RunAndKill(&server, 100 + static_cast<int64_t>(random() % 2000));
    }
    const std::set<std::string> families = FamiliesIn(data_dir);
    ServerProcess server(data_dir, Config(round));
    if (LeftOver(families, data_dir)) ++moves_killed;
    const auto differences = workload.Verify(server);
    ASSERT_TRUE(differences.empty()) << "round " << round << ":\n" << absl::StrJoin(differences, "\n");
    // The second kill of the round comes at once, while writes of Verify may still be on their way.
    server.Kill();
  }
  ServerProcess server(data_dir, Config(Rounds(kRounds)));
  const auto differences = workload.Finish(server);
  EXPECT_TRUE(differences.empty()) << "at the end:\n" << absl::StrJoin(differences, "\n");
  const auto print = [](int64_t count, const char* what) {
    std::printf("%lld %s", static_cast<long long>(count), what);
  };
  print(2 * Rounds(kRounds), "kills: ");
  print(workload.acknowledged(), "writes acknowledged, none lost; ");
  print(workload.unanswered(), "got no answer; ");
  print(workload.repeated(), "sent again with their id, one effect each; ");
  print(workload.moves_seen(), "moves seen, ");
  print(moves_killed, "kills with a move or a deletion of a family under way; ");
  print(workload.alarms().handled(), "alarms handled once, none early, ");
  print(workload.alarms().redelivered(), "delivered again, ");
  print(workload.alarms().interrupted(), "killed while they ran; ");
  int64_t rows_written = 0, rows_compared = 0, databases = 0;
  for (const SqlWriter& writer : workload.sql()) {
    rows_written += writer.rows_written();
    rows_compared += writer.rows_compared();
    databases += writer.databases_checked();
  }
  print(rows_written, "SQL rows written, ");
  print(rows_compared, "compared after kills, ");
  print(databases, "databases found whole\n");
}

// The same test without the sync: if it found no losses, the test above would prove nothing.
TEST(CrashTest, WithSyncOffTheSameRoundsFindLosses) {
  const uint64_t seed = Seed();
  size_t found = 0;
  size_t found_in_sql = 0;
  // The losses depend on when the system writes, so that the test tries again, each time from the beginning.
  for (int round = 0; round < 10 && found_in_sql == 0; ++round) {
    TemporaryDirectory directory;
    const std::string data_dir = directory.path() + "/data";
    Workload workload(seed + static_cast<uint64_t>(round));
    {
      ServerProcess server(data_dir, Config(round, "sync_off: true "));
      workload.RunAndKill(&server, 500);
    }
    ServerProcess server(data_dir, Config(round, "sync_off: true "));
    const auto differences = workload.Verify(server);
    found += differences.size();
    found_in_sql +=
        static_cast<size_t>(std::count_if(differences.begin(), differences.end(), [](const auto& difference) {
          return difference.find("sql ") != std::string::npos;
        }));
  }
  EXPECT_GT(found, 0u);
  EXPECT_GT(found_in_sql, 0u);
  std::printf("with sync off: %zu differences found, %zu in SQL\n", found, found_in_sql);
}

}  // namespace
}  // namespace holdfast::testing
