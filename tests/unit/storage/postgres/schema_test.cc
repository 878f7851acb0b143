// The things that a start finds wrong with a database, and says.

#include "storage/postgres/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/storage/postgres/test_cluster.h"
#include "tests/unit/storage/status_matchers.h"

namespace holdfast::storage::postgres {
namespace {

using absl::StatusCode;

absl::Status OpenWith(const std::string& conninfo) {
  return OpenSession({.conninfo = conninfo}, SessionKind::kWriter).status();
}

TEST(Schema, IsMadeOnce) {
  TestCluster cluster;
  const std::string id =
      std::string(cluster.Execute("SELECT value FROM hf_meta WHERE key = 'cluster'").rows[0].Bytes(0, 0));
  EXPECT_EQ(id.size(), 36u);
  EXPECT_THAT(InitDatabases({cluster.NewProcess()}), IsOk());
  EXPECT_EQ(cluster.Execute("SELECT value FROM hf_meta WHERE key = 'cluster'").rows[0].Bytes(0, 0), id);
  EXPECT_EQ(cluster.Execute("SELECT count(*) FROM hf_shard").rows[0].Int(0, 0), 256);
}

TEST(Schema, SeveralProcessesMakeItAtOnce) {
  testing_server::PostgresServer& server = SharedServer();
  Execute(server.conninfo(), "CREATE SCHEMA made_at_once");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back(
        [&] { EXPECT_THAT(InitDatabase({.conninfo = server.conninfo("made_at_once")}, {}, ""), IsOk()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Execute(server.conninfo("made_at_once"), "SELECT count(*) FROM hf_meta").rows[0].Int(0, 0), 3);
}

TEST(Schema, DatabaseWithoutTablesIsRefused) {
  Execute(SharedServer().conninfo(), "CREATE SCHEMA nothing_in_it");
  PostgresOptions options;
  options.conninfo = SharedServer().conninfo("nothing_in_it");
  EXPECT_THAT(OpenPostgresStore(options).status(),
              IsStatus(StatusCode::kFailedPrecondition, "holdfastd --init-cluster"));
}

TEST(Schema, UnknownVersionIsRefusedAndLeftAlone) {
  TestCluster cluster;
  cluster.Execute("UPDATE hf_meta SET value = '1' WHERE key = 'version'");
  for (const absl::Status& status :
       {OpenPostgresStore(cluster.NewProcess()).status(), InitDatabases({cluster.NewProcess()})}) {
    EXPECT_THAT(status,
                IsStatus(StatusCode::kFailedPrecondition, "have version 1, and this server knows versions 2 and 3"));
  }
  EXPECT_EQ(cluster.Execute("SELECT count(*) FROM hf_writer").rows[0].Int(0, 0), 0);
  cluster.Execute("UPDATE hf_meta SET value = '2' WHERE key = 'version'");
  cluster.Execute("UPDATE hf_meta SET value = '64' WHERE key = 'shards'");
  EXPECT_THAT(OpenPostgresStore(cluster.NewProcess()).status(),
              IsStatus(StatusCode::kFailedPrecondition, "the cluster has 64 shards"));
}

TEST(Schema, SettingsThatLoseCommitsAreRefused) {
  const std::string conninfo = absl::StrCat("host=", SharedServer().directory(), " dbname=postgres user=holdfast");
  for (const char* value : {"off", "local", "remote_write"}) {
    const std::string with = absl::StrCat(conninfo, " options='-c synchronous_commit=", value, "'");
    EXPECT_THAT(OpenWith(with),
                IsStatus(StatusCode::kFailedPrecondition, absl::StrCat("synchronous_commit is ", value)));
    EXPECT_THAT(OpenSession({.conninfo = with, .unsafe_settings = true}, SessionKind::kWriter).status(), IsOk());
  }
  EXPECT_THAT(OpenWith(absl::StrCat(conninfo, " options='-c synchronous_commit=remote_apply'")), IsOk());
}

TEST(Schema, ServerThatDoesNotSyncOrIsAStandbyIsRefused) {
  testing_server::PostgresServer server({"fsync = off", "full_page_writes = off"});
  EXPECT_THAT(OpenWith(server.conninfo()), IsStatus(StatusCode::kFailedPrecondition, "fsync is off"));
  Execute(server.conninfo(), "ALTER SYSTEM SET fsync = on");
  Execute(server.conninfo(), "CHECKPOINT");
  server.Kill();
  server.Start();
  EXPECT_THAT(OpenWith(server.conninfo()), IsStatus(StatusCode::kFailedPrecondition, "full_page_writes is off"));
  server.Kill();
  std::ofstream(absl::StrCat(server.directory(), "/data/standby.signal")).close();
  server.Start();
  EXPECT_THAT(OpenWith(server.conninfo()), IsStatus(StatusCode::kUnavailable, "read-only"));
  EXPECT_THAT(OpenWith(server.conninfo() + " target_session_attrs=any"),
              IsStatus(StatusCode::kFailedPrecondition, "is a standby"));
}

TEST(Schema, ServerThatIsNotThereIsNamed) {
  EXPECT_THAT(OpenWith("host=/nowhere dbname=d"), IsStatus(StatusCode::kUnavailable, "/nowhere"));
  EXPECT_THAT(OpenWith("host=127.0.0.1 port=1 password=secret"), IsStatus(StatusCode::kUnavailable, "127.0.0.1"));
  EXPECT_THAT(OpenWith("host=127.0.0.1 port=1 password=secret").message(), testing::Not(testing::HasSubstr("secret")));
  EXPECT_THAT(CheckConninfo("host=a nonsense=b"), IsStatus(StatusCode::kInvalidArgument, "nonsense"));
  EXPECT_THAT(CheckConninfo("postgresql://user@host:7001,other/db?sslmode=verify-full"), IsOk());
}

TEST(Schema, ServerItselfPoolsNothing) { EXPECT_THAT(CheckPooling({.conninfo = SharedServer().conninfo()}), IsOk()); }

// The plan of each statement goes through an index, however small or large the table is.
TEST(Schema, SessionNeverScansTheTable) {
  TestCluster cluster;
  auto session = OpenSession({.conninfo = cluster.conninfo()}, SessionKind::kReader);
  ASSERT_THAT(session, IsOk());
  const auto plan = [&](const std::string& text) {
    static int number = 0;
    (*session)->Add({absl::StrCat("plan", number++), "EXPLAIN " + text});
    const TripResult result = (*session)->Run(Soon());
    EXPECT_TRUE(result.ok()) << result.message;
    std::string lines;
    for (int i = 0; i < result.rows[0].count(); ++i) absl::StrAppend(&lines, result.rows[0].Bytes(i, 0), "\n");
    return lines;
  };
  EXPECT_THAT(
      plan("SELECT value FROM hf_entry WHERE family = 3 AND shard = 7 AND key >= 'a' AND key < 'b' ORDER BY key"),
      testing::AllOf(testing::HasSubstr("Index Scan using hf_entry_pkey"), testing::Not(testing::HasSubstr("Sort"))));
  EXPECT_THAT(plan("SELECT value FROM hf_entry WHERE family = 1 AND key >= 'a' ORDER BY key DESC LIMIT 5"),
              testing::HasSubstr("Index Scan Backward using hf_entry_order"));
}

}  // namespace
}  // namespace holdfast::storage::postgres
