// Three nodes on two databases: a node is killed, one database stands still, and what is configured wrongly is refused.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "storage/store/object_id.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/load.h"
#include "tests/crash/rounds.h"
#include "tests/integration/rpc.h"

namespace holdfast::testing {
namespace {

// The load needs a while to reach all objects, and to go on after a fault.
constexpr absl::Duration kLoaded = absl::Seconds(2);
constexpr absl::Duration kSharedMax = absl::Seconds(30);
// Far above what a take-over takes, since the machine may be busy.
constexpr absl::Duration kOutageMax = absl::Seconds(10);
constexpr int kCounters = 5;
constexpr std::chrono::milliseconds kCallMax = std::chrono::seconds(5);
constexpr std::chrono::milliseconds kInVainMax = std::chrono::seconds(1);

const ClusterOptions kTwoDatabases = {.nodes = 3, .config = "actors { executors: 2 }", .more_databases = 1};

// Returns the name of a counter that lies in this database.
std::string CounterIn(uint32_t database, int number) {
  std::string name;
  for (int found = -1, i = 0; found < number; ++i) {
    name = absl::StrCat("counter", i);
    if (static_cast<uint32_t>(storage::ObjectKey("default", "Counter", name).shard()) % 2 == database) ++found;
  }
  return name;
}

// Increments the counter through some node.
Reply<v1::IncrementResponse> Increment(const Cluster& cluster, const std::string& name, int node,
                                       std::chrono::milliseconds timeout = kCallMax) {
  const auto stub = v1::CounterService::NewStub(cluster.NewChannel(node));
  v1::IncrementRequest request;
  request.mutable_object()->set_name(name);
  request.set_amount(1);
  return Invoke(*stub, &v1::CounterService::Stub::Increment, request, timeout);
}

// Waits until all nodes reach each other: one that was killed is connected to again up to a second after it serves.
void AwaitAnswers(const Cluster& cluster) {
  for (int node = 0; node < cluster.size(); ++node) {
    for (int counter = 0; counter < kCounters; ++counter) {
      const absl::Time until = absl::Now() + kSharedMax;
      while (!Increment(cluster, CounterIn(0, counter), node).ok() && absl::Now() < until) {
      }
    }
  }
}

bool IsReady(const Cluster& cluster, int node) {
  const auto stub = grpc::health::v1::Health::NewStub(cluster.NewChannel(node));
  const auto reply = Invoke(*stub, &grpc::health::v1::Health::Stub::Check, grpc::health::v1::HealthCheckRequest());
  return reply->status() == grpc::health::v1::HealthCheckResponse::SERVING;
}

TEST(DatabasesTest, NothingIsLostByAKillOrADatabaseThatStandsStill) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  Cluster cluster(kTwoDatabases);
  ASSERT_TRUE(cluster.WaitUntilShared(kSharedMax));
  Load load(cluster, seed);
  load.Begin();
  absl::SleepFor(kLoaded);  // the load works meanwhile

  const std::optional<int> owner = cluster.OwnerOf(storage::ObjectKey("default", "Counter", "shared0"));
  ASSERT_TRUE(owner.has_value());
  const int64_t killed_us = NowUs();
  cluster.Kill(*owner);
  absl::SleepFor(cluster.options().lease + kLoaded);  // the load works meanwhile
  const absl::Duration take_over = absl::Microseconds(load.history().LongestUs(killed_us));
  EXPECT_LT(take_over, kOutageMax);
  cluster.Start(*owner);
  EXPECT_TRUE(cluster.WaitUntilShared(kSharedMax));
  AwaitAnswers(cluster);

  // All nodes lose their leases there, and nobody can take anything over. Objects of the other database go on.
  cluster.more_database(0).Freeze();
  const absl::Time frozen = absl::Now();
  const absl::Duration still = 2 * cluster.options().lease + kLoaded;
  int answered = 0;
  while (absl::Now() - frozen < still) {
    for (int node = 0; node < cluster.size(); ++node) {
      const std::string name = CounterIn(0, answered % kCounters);
      const auto reply = Increment(cluster, name, node);
      EXPECT_TRUE(reply.ok()) << name << " through n" << node << ": " << reply.status.error_message();
      ++answered;
    }
  }
  EXPECT_GT(answered, 0);
  EXPECT_FALSE(Increment(cluster, CounterIn(1, 0), 0, kInVainMax).ok());
  for (int node = 0; node < cluster.size(); ++node) {
    EXPECT_TRUE(cluster.runs(node));
    EXPECT_TRUE(IsReady(cluster, node)) << node;
  }
  cluster.more_database(0).Thaw();
  absl::SleepFor(kLoaded);  // the load works meanwhile
  EXPECT_TRUE(cluster.WaitUntilShared(kSharedMax));
  load.End();
  EXPECT_TRUE(Increment(cluster, CounterIn(1, 1), 1).ok());

  for (const Finding& finding : load.Verify()) ADD_FAILURE() << finding.what;
  for (int database = 0; database < 2; ++database) {
    const auto rows =
        cluster.Query(absl::StrCat("SELECT (SELECT count(*)::text FROM hf_entry WHERE shard >= 0 AND shard % 2 <> ",
                                   database, "), (SELECT count(*)::text FROM hf_entry WHERE family = 3)"),
                      database);
    EXPECT_EQ(rows[0][0], "0") << "objects of the other database";
    EXPECT_NE(rows[0][1], "0") << "objects";
  }
  for (int node = 0; ::testing::Test::HasFailure() && node < cluster.size(); ++node)
    std::printf("n%d\n%s\n", node, cluster.Log(node).c_str());
  std::printf(
      "%lld calls acknowledged, none lost or doubled; longest outage %.2f s after a kill (lease %.1f s);"
      " %d calls of one database answered while the other stood still for %.1f s\n",
      static_cast<long long>(load.acknowledged()), absl::ToDoubleSeconds(take_over),
      absl::ToDoubleSeconds(cluster.options().lease), answered, absl::ToDoubleSeconds(still));
}

TEST(DatabasesTest, OthersThanThoseOfTheClusterAreRefused) {
  Cluster cluster({.nodes = 1, .config = "actors { executors: 2 }", .more_databases = 1});
  cluster.Terminate(0);
  testing_server::PostgresServer another;
  TemporaryDirectory directory;
  const std::string first = cluster.database().conninfo();
  const std::string second = cluster.more_database(0).conninfo();
  const std::string foreign = another.conninfo();
  const auto run = [&](const std::vector<std::string>& databases, const std::vector<std::string>& arguments) {
    const std::string path = absl::StrCat(directory.path(), "/config");
    std::ofstream config(path);
    config << "actors { executors: 2 } listen: \"127.0.0.1:0\" data_dir: \"" << directory.path()
           << "/data\" postgres {";
    for (const std::string& conninfo : databases) config << " database { conninfo: \"" << conninfo << "\" }";
    config << " }\n";
    config.close();
    std::vector<std::string> all = {"--config", path};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return ServerProcess::RunToEnd(all);
  };
  struct Case {
    std::vector<std::string> databases;
    const char* why;
  };
  const Case cases[] = {
      {{second, first},
       "postgres.database[0]: PostgreSQL: this is database 1 of its cluster, and the configuration has "
       "it as 0, counted from 0: their order (postgres.database) can't be changed"},
      {{first},
       "PostgreSQL: the cluster of this database has 2 databases, and the configuration has 1 "
       "(postgres.database); the number can't be changed"},
      {{first, foreign}, "postgres.database[1]: PostgreSQL: the database has no tables"},
  };
  for (const Case& c : cases) {
    for (const std::vector<std::string>& arguments : {std::vector<std::string>(), {"--init-cluster"}}) {
      const ServerProcess::Exit exit = run(c.databases, arguments);
      EXPECT_EQ(exit.status, 1);
      EXPECT_TRUE(absl::StrContains(exit.output, c.why)) << exit.output;
    }
  }
  EXPECT_EQ(run({first, second}, {"--init-cluster"}).status, 0);
  cluster.Start(0);
  EXPECT_EQ(Increment(cluster, CounterIn(1, 0), 0)->value(), 1);
}

}  // namespace
}  // namespace holdfast::testing
