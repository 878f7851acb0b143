// Every kind of fault of a cluster under load: nothing acknowledged is lost or done twice. The end prints a table.
//
//   HOLDFAST_CLUSTER_ROUNDS        rounds of each kind; default 2
//   HOLDFAST_CLUSTER_DATABASES     databases of the cluster; default 1. Faults of the database are those of the first
//   HOLDFAST_CLUSTER_OTHER_SERVER  holdfastd of a neighbouring version, for rolling updates; default: the same one
//
// This takes minutes for each kind, so ctest does not run it: `tests/run.sh --full cluster` does.

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/postgres/connection.h"
#include "tests/cluster/fault_rounds.h"
#include "tests/crash/rounds.h"

namespace holdfast::testing {
namespace {

constexpr int kRounds = 2;
// How long a node may take to find out that another one has its writers.
constexpr absl::Duration kFencedMax = absl::Seconds(20);

int NumberOf(const char* name, int by_default) {
  int number = by_default;
  if (const char* const text = std::getenv(name)) (void)absl::SimpleAtoi(text, &number);
  return number;
}
int RoundsOfKind() { return NumberOf("HOLDFAST_CLUSTER_ROUNDS", kRounds); }

// Adds the further databases that the environment asks for. Nodes weigh their shards all the time, unless one of
// another version may not know these settings.
ClusterOptions OfRun(ClusterOptions options) {
  if (std::getenv("HOLDFAST_CLUSTER_OTHER_SERVER") == nullptr) {
    options.cluster_config = "load_interval_ms: 300 moved_load_min: 1";
  }
  const int databases = NumberOf("HOLDFAST_CLUSTER_DATABASES", 1);
  options.more_databases = databases - 1;
  if (databases > 1) absl::StrAppend(&options.config, " actors { executors: ", databases, " }");
  return options;
}

class FaultsTest : public ::testing::Test {
 protected:
  static void TearDownTestSuite() { std::printf("\n%s", TableOf(Rows()).c_str()); }

  static std::vector<FaultRow>& Rows() {
    static auto* const rows = new std::vector<FaultRow>();
    return *rows;
  }

  // Makes a cluster and lets the same happen to it in each round.
  void RunRounds(const std::string& kind, const std::function<void(FaultRounds*)>& strike,
                 const ClusterOptions& options = {}) {
    const uint64_t seed = Seed();
    SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
    FaultRounds rounds(kind, OfRun(options), seed);
    for (int round = 0; round < RoundsOfKind() && !HasFatalFailure(); ++round) {
      rounds.Run([&] { strike(&rounds); });
      if (!rounds.findings().empty()) break;
    }
    for (const Finding& finding : rounds.findings()) ADD_FAILURE() << finding.what;
    if (HasFailure()) {
      for (int node = 0; node < rounds.cluster().size(); ++node) {
        std::printf("--- n%d\n%s\n", node, rounds.cluster().Log(node).c_str());
      }
    }
    Rows().push_back(rounds.row());
    std::printf("%s", TableOf({rounds.row()}).c_str());
  }

  // The node has lost its writers, and must end by itself.
  static void ExpectFenced(Cluster* cluster, int node) {
    const std::optional<int> status = cluster->Wait(node, kFencedMax);
    EXPECT_TRUE(status.has_value() && *status != 0) << "n" << node << " goes on though it was taken over";
  }
};

// The fault is no reason for a node to end. On a machine that is so busy that it could not write for a whole
// lease, others may have taken it over.
void ExpectGoesOn(Cluster* cluster, int node) {
  if (!cluster->Wait(node, absl::ZeroDuration())) return;
  EXPECT_TRUE(absl::StrContains(cluster->Log(node), "taken over")) << "n" << node << " has ended\n"
                                                                   << cluster->Log(node);
}

// --- Nodes

TEST_F(FaultsTest, KillOfAnOwner) {
  RunRounds("kill -9 of an owner", [](FaultRounds* rounds) {
    rounds->cluster().Kill(rounds->AnyNode());
    rounds->Sleep(absl::ZeroDuration(), 2 * rounds->lease());
  });
}

TEST_F(FaultsTest, KillOfTwoOwners) {
  RunRounds("kill -9 of two owners", [](FaultRounds* rounds) {
    const int node = rounds->AnyNode();
    rounds->cluster().Kill(node);
    rounds->cluster().Kill(rounds->Other(node));
    rounds->Sleep(absl::ZeroDuration(), 2 * rounds->lease());
  });
}

TEST_F(FaultsTest, KillOfAllNodes) {
  RunRounds("kill -9 of all nodes", [](FaultRounds* rounds) {
    for (int node = 0; node < rounds->cluster().size(); ++node) rounds->cluster().Kill(node);
  });
}

TEST_F(FaultsTest, Drain) {
  RunRounds("SIGTERM (drain)", [](FaultRounds* rounds) {
    EXPECT_EQ(rounds->cluster().Terminate(rounds->AnyNode()), 0);
    rounds->Sleep(absl::ZeroDuration(), rounds->lease());
  });
}

TEST_F(FaultsTest, KillDuringAHandOver) {
  RunRounds("drain and kill -9 in it", [](FaultRounds* rounds) {
    const int node = rounds->AnyNode();
    rounds->cluster().BeginToTerminate(node);
    rounds->Sleep(absl::ZeroDuration(), absl::Milliseconds(300));
    rounds->cluster().Kill(node);
    rounds->Sleep(absl::ZeroDuration(), rounds->lease());
  });
}

TEST_F(FaultsTest, KillOfTheReceiverDuringAHandOver) {
  RunRounds("drain, and kill -9 of another node in it", [](FaultRounds* rounds) {
    const int node = rounds->AnyNode();
    rounds->cluster().BeginToTerminate(node);
    rounds->Sleep(absl::ZeroDuration(), absl::Milliseconds(300));
    rounds->cluster().Kill(rounds->Other(node));
    EXPECT_EQ(rounds->cluster().Wait(node, kFencedMax), 0);
  });
}

// Stops a node for so long that others take it over, and lets it go on. Returns the node.
int PauseOverTheLease(FaultRounds* rounds) {
  const int node = rounds->AnyNode();
  rounds->cluster().Freeze(node);
  rounds->Sleep(1.5 * rounds->lease(), 3 * rounds->lease());
  rounds->cluster().Thaw(node);
  return node;
}

TEST_F(FaultsTest, PauseOverTheLease) {
  RunRounds("SIGSTOP over the lease, SIGCONT",
            [](FaultRounds* rounds) { ExpectFenced(&rounds->cluster(), PauseOverTheLease(rounds)); });
}

TEST_F(FaultsTest, PauseAboutAsLongAsTheLease) {
  RunRounds("SIGSTOP for about the lease, SIGCONT", [](FaultRounds* rounds) {
    const int node = rounds->AnyNode();
    rounds->cluster().Freeze(node);
    rounds->Sleep(0.8 * rounds->lease(), 1.3 * rounds->lease());
    rounds->cluster().Thaw(node);
    rounds->Sleep(rounds->lease(), 2 * rounds->lease());
  });
}

TEST_F(FaultsTest, TwoNodesSeeTheSameOwnerDead) {
  RunRounds("two nodes that see the same owner dead", [](FaultRounds* rounds) {
    const int dead = rounds->AnyNode();
    rounds->cluster().Kill(dead);
    // Both wake when the lease has ended, at the same moment.
    absl::SleepFor(0.7 * rounds->lease());  // until shortly before the lease has ended
    for (const int step : {1, 2}) rounds->cluster().Freeze(rounds->Other(dead, step));
    absl::SleepFor(0.5 * rounds->lease());  // until it has ended
    for (const int step : {1, 2}) rounds->cluster().Thaw(rounds->Other(dead, step));
    rounds->Sleep(rounds->lease(), 2 * rounds->lease());
  });
}

// A node whose clock is an hour off is refused, and leaves the others alone. Its own was right before, so what it has
// is taken over.
TEST_F(FaultsTest, ClocksApart) {
  ASSERT_NE(std::string(HOLDFAST_FAKETIME), "") << "libfaketime is not installed: deploy/install-deps.sh --tools";
  TemporaryDirectory directory;
  RunRounds("clock of a node an hour off", [&directory](FaultRounds* rounds) {
    const int node = rounds->AnyNode();
    const std::string script = directory.path() + "/holdfastd";
    std::ofstream(script) << "#!/bin/sh\nexport LD_PRELOAD=" HOLDFAST_FAKETIME
                             " DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME="
                          << (rounds->row().rounds % 2 == 0 ? "+" : "-") << "3600s\nexec " << Holdfastd().path
                          << " \"$@\"\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    rounds->cluster().Kill(node);
    rounds->cluster().SetProgram(node, script);
    const ServerProcess::Exit exit = rounds->cluster().StartInVain(node);
    rounds->cluster().SetProgram(node, Holdfastd().path);
    EXPECT_NE(exit.status, 0);
    EXPECT_TRUE(absl::StrContains(exit.output, "that of the database")) << exit.output;
  });
}

// Replaces all nodes, one after the other and in order, by those of another version, and goes back again.
TEST_F(FaultsTest, RollingUpdates) {
  const char* const other = std::getenv("HOLDFAST_CLUSTER_OTHER_SERVER");
  const std::string versions[] = {other != nullptr ? other : Holdfastd().path, Holdfastd().path};
  RunRounds(other != nullptr ? "update to another version, and back" : "all nodes restarted in order",
            [&versions](FaultRounds* rounds) {
              for (const std::string& version : versions) {
                for (int node = 0; node < rounds->cluster().size(); ++node) {
                  EXPECT_EQ(rounds->cluster().Terminate(node), 0);
                  rounds->cluster().SetProgram(node, version);
                  rounds->cluster().Start(node);
                  rounds->Sleep(absl::ZeroDuration(), 0.5 * rounds->lease());
                }
              }
            });
}

// --- The network

// Cuts a node off from its database for so long that others take it over.
void CutDatabase(FaultRounds* rounds, Proxy::Cut cut) {
  const int node = rounds->AnyNode();
  rounds->cluster().to_database(node).Set(cut);
  rounds->Sleep(2 * rounds->lease(), 4 * rounds->lease());
  rounds->cluster().to_database(node).Set(Proxy::Cut::kNone);
}

TEST_F(FaultsTest, DatabaseCutOff) {
  RunRounds("node cut off from the database", [](FaultRounds* rounds) { CutDatabase(rounds, Proxy::Cut::kBoth); });
}

TEST_F(FaultsTest, DatabaseDoesNotHear) {
  RunRounds("one way: the database does not hear a node",
            [](FaultRounds* rounds) { CutDatabase(rounds, Proxy::Cut::kForth); });
}

TEST_F(FaultsTest, DatabaseIsNotHeard) {
  RunRounds("one way: a node does not hear the database",
            [](FaultRounds* rounds) { CutDatabase(rounds, Proxy::Cut::kBack); });
}

TEST_F(FaultsTest, DatabaseConnectionsReset) {
  RunRounds("connections of a node to the database reset", [](FaultRounds* rounds) {
    const int node = rounds->AnyNode();
    for (int i = 0; i < 10; ++i) {
      rounds->cluster().to_database(node).Reset();
      rounds->Sleep(absl::ZeroDuration(), 0.2 * rounds->lease());
    }
    ExpectGoesOn(&rounds->cluster(), node);
  });
}

// Cuts a node off from calls of the others.
void CutPeers(FaultRounds* rounds, Proxy::Cut cut) {
  const int node = rounds->AnyNode();
  rounds->cluster().from_peers(node).Set(cut);
  rounds->Sleep(rounds->lease(), 3 * rounds->lease());
  rounds->cluster().from_peers(node).Set(Proxy::Cut::kNone);
  for (int each = 0; each < rounds->cluster().size(); ++each) ExpectGoesOn(&rounds->cluster(), each);
}

TEST_F(FaultsTest, PeersCutOff) {
  RunRounds("node cut off from other nodes", [](FaultRounds* rounds) { CutPeers(rounds, Proxy::Cut::kBoth); });
}

TEST_F(FaultsTest, PeersAreNotAnswered) {
  RunRounds("one way: other nodes do not hear a node",
            [](FaultRounds* rounds) { CutPeers(rounds, Proxy::Cut::kBack); });
}

// --- The database

TEST_F(FaultsTest, DatabaseKilled) {
  RunRounds("database killed and started", [](FaultRounds* rounds) {
    rounds->cluster().database().Kill();
    rounds->Sleep(absl::ZeroDuration(), rounds->lease());
    rounds->cluster().database().Start();
  });
}

TEST_F(FaultsTest, DatabaseRestarted) {
  RunRounds("database restarted", [](FaultRounds* rounds) {
    rounds->cluster().database().Stop();
    rounds->cluster().database().Start();
  });
}

TEST_F(FaultsTest, DatabaseHangs) {
  RunRounds("database hung over the lease", [](FaultRounds* rounds) {
    rounds->cluster().database().Freeze();
    rounds->Sleep(rounds->lease(), 4 * rounds->lease());
    rounds->cluster().database().Thaw();
  });
}

TEST_F(FaultsTest, DatabaseHangsAndANodeDies) {
  RunRounds("database hung, and kill -9 of an owner", [](FaultRounds* rounds) {
    rounds->cluster().database().Freeze();
    rounds->Sleep(absl::ZeroDuration(), rounds->lease());
    rounds->cluster().Kill(rounds->AnyNode());
    rounds->Sleep(absl::ZeroDuration(), 2 * rounds->lease());
    rounds->cluster().database().Thaw();
    rounds->Sleep(absl::ZeroDuration(), 2 * rounds->lease());
  });
}

// Connections to the database until it takes no more.
using Connections = std::vector<std::unique_ptr<storage::postgres::Connection>>;

void TakeAll(const std::string& conninfo, Connections* taken) {
  while (true) {
    auto opened = storage::postgres::Connection::Open(conninfo);
    if (!opened.ok()) return;
    taken->push_back(*std::move(opened));
  }
}

TEST_F(FaultsTest, ConnectionsExhausted) {
  RunRounds("connections to the database exhausted", [](FaultRounds* rounds) {
    const std::string conninfo = rounds->cluster().database().conninfo();
    Connections taken;
    TakeAll(conninfo, &taken);
    std::string own = "0";
    for (const auto& connection : taken) absl::StrAppend(&own, ",", connection->backend_pid());
    taken.front()->Add({"end", absl::StrCat("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                            " WHERE backend_type = 'client backend' AND pid NOT IN (",
                                            own, ")")});
    EXPECT_TRUE(taken.front()->Run(std::chrono::steady_clock::now() + std::chrono::seconds(10)).ok());
    const absl::Time until = absl::Now() + 2 * rounds->lease();
    while (absl::Now() < until) {
      TakeAll(conninfo, &taken);
      absl::SleepFor(absl::Milliseconds(10));  // until a node has given one up
    }
  });
}

TEST_F(FaultsTest, DiskOfTheDatabaseFull) {
  constexpr int64_t kDiskBytes = 400 << 20;
  constexpr size_t kBlockBytes = 1 << 20;
  RunRounds("disk of the database full",
            [](FaultRounds* rounds) {
              const std::string ballast = rounds->cluster().database().directory() + "/ballast";
              {
                std::ofstream file(ballast);
                const std::string block(kBlockBytes, 'x');
                while (file.write(block.data(), kBlockBytes).flush()) {
                }
              }
              rounds->Sleep(rounds->lease(), 3 * rounds->lease());
              std::remove(ballast.c_str());
              // PostgreSQL ends when it has no room for its log.
              rounds->cluster().database().StartIfEnded();
            },
            {.database = {.settings = {"max_wal_size = 64MB", "min_wal_size = 32MB"}, .disk_bytes = kDiskBytes}});
}

// A standby that does not have all commits takes the place of the database. No node may go on with what it knows; and
// the check notices what the cluster has lost when nodes start on it.
TEST_F(FaultsTest, DatabaseThatLostCommitsEndsTheNodes) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  FaultRounds rounds("database that lost commits", {}, seed);
  testing_server::PostgresServer& database = rounds.cluster().database();
  const auto load = [&rounds] {
    rounds.load().Begin();
    rounds.Sleep(absl::Seconds(1), absl::Seconds(1));
    rounds.load().End();
  };
  load();
  database.Kill();
  database.Save();
  database.Start();
  load();
  rounds.Check();
  ASSERT_TRUE(rounds.findings().empty()) << rounds.findings().front().what;
  database.Kill();
  database.GoBack();
  database.Start();
  for (int node = 0; node < rounds.cluster().size(); ++node) {
    ExpectFenced(&rounds.cluster(), node);
    EXPECT_TRUE(absl::StrContains(rounds.cluster().Log(node), "has lost commits")) << rounds.cluster().Log(node);
  }
  rounds.Settle();
  rounds.Check();
  EXPECT_GT(rounds.row().lost, 0);
  std::printf("a database that lost commits: every node ended, and the check found %lld lost, %lld other\n",
              static_cast<long long>(rounds.row().lost), static_cast<long long>(rounds.row().other));
}

// With the fence switched off a node that was paused commits although others have its shards. If the check found
// nothing then, the tests above would prove nothing.
TEST_F(FaultsTest, WithTheFenceOffTheSameRoundsFindViolations) {
  constexpr int kTriesMax = 20;
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  FaultRounds rounds("fence off: SIGSTOP over the lease", {.config = "testing { fence_off: true }"}, seed);
  ASSERT_TRUE(rounds.findings().empty());
  const auto violations = [&rounds] { return rounds.row().lost + rounds.row().doubled; };
  for (int i = 0; i < kTriesMax && violations() == 0; ++i) {
    rounds.Run([&rounds] { PauseOverTheLease(&rounds); });
  }
  for (const Finding& finding : rounds.findings()) std::printf("found: %s\n", finding.what.c_str());
  EXPECT_GT(violations(), 0);
  Rows().push_back(rounds.row());
}

}  // namespace
}  // namespace holdfast::testing
