// The same promise on PostgreSQL: holdfastd is killed under load, and the database is killed under load while holdfastd
// lives on.

#include <gtest/gtest.h>

#include <cstdio>
#include <random>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/crash/rounds.h"
#include "tests/crash/workload.h"
#include "tests/integration/server_process.h"
#include "tests/shared/postgres_server.h"

namespace holdfast::testing {
namespace {

constexpr int kRounds = 4;

// A database, and servers on it one after the other.
class PostgresCrashTest : public ::testing::Test {
 protected:
  PostgresCrashTest() {
    const std::string config_file = directory_.path() + "/config";
    std::FILE* const file = std::fopen(config_file.c_str(), "w");
    std::fputs(Config().c_str(), file);
    std::fclose(file);
    const auto made = ServerProcess::RunToEnd({"--config", config_file, "--init-cluster"});
    EXPECT_EQ(made.status, 0) << made.output;
  }

  // The idle time is so short that objects are unloaded and loaded again under the load.
  std::string Config() const {
    return absl::StrCat("actors { idle_timeout_ms: 20 } postgres { lease_ms: 2000 database { conninfo: \"",
                        absl::StrReplaceAll(database_.conninfo(), {{"\"", "\\\""}}), "\" } }");
  }
  std::string data_dir() const { return directory_.path() + "/data"; }
  void Verify(const ServerProcess& server, int round) {
    const auto differences = workload_.Verify(server);
    ASSERT_TRUE(differences.empty()) << "round " << round << ":\n" << absl::StrJoin(differences, "\n");
  }
  void Finish() {
    ServerProcess server(data_dir(), Config());
    const auto differences = workload_.Finish(server);
    EXPECT_TRUE(differences.empty()) << "at the end:\n" << absl::StrJoin(differences, "\n");
    std::printf("%lld writes acknowledged, none lost; %lld got no answer; %lld sent again with their id\n",
                static_cast<long long>(workload_.acknowledged()), static_cast<long long>(workload_.unanswered()),
                static_cast<long long>(workload_.repeated()));
  }

  const uint64_t seed_ = Seed();
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, absl::StrCat("HOLDFAST_TEST_SEED=", seed_)};
  std::mt19937_64 random_{seed_};
  testing_server::PostgresServer database_;
  TemporaryDirectory directory_;
  Workload workload_{seed_};
};

TEST_F(PostgresCrashTest, NothingAcknowledgedIsLostByAKillOfTheServer) {
  for (int round = 0; round < Rounds(kRounds); ++round) {
    {
      ServerProcess server(data_dir(), Config());
      workload_.RunAndKill(&server, 100 + static_cast<int64_t>(random_() % 1000));
    }
    ServerProcess server(data_dir(), Config());
    ASSERT_NO_FATAL_FAILURE(Verify(server, round));
    server.Kill();
  }
  Finish();
}

TEST_F(PostgresCrashTest, NothingAcknowledgedIsLostByKillsOfTheDatabase) {
  for (int round = 0; round < Rounds(kRounds); ++round) {
    ServerProcess server(data_dir(), Config());
    std::thread load([&] { workload_.RunAndKill(&server, 1500); });
    // The load goes on through the kills: commits are tried again.
    for (int kill = 0; kill < 2; ++kill) {
      absl::SleepFor(absl::Milliseconds(50 + random_() % 300));  // the kill comes at any moment of the load
      database_.Kill();
      database_.Start();
    }
    load.join();
    ServerProcess next(data_dir(), Config());
    EXPECT_FALSE(absl::StrContains(server.Log(), "commit_failed")) << server.Log();
    ASSERT_NO_FATAL_FAILURE(Verify(next, round));
    next.Kill();
  }
  Finish();
}

}  // namespace
}  // namespace holdfast::testing
