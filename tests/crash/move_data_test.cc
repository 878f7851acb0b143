// Writes that a server under load has acknowledged are there after a move of its data into a database, and back.

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "tests/crash/rounds.h"
#include "tests/crash/workload.h"
#include "tests/integration/server_process.h"
#include "tests/shared/postgres_server.h"

namespace holdfast::testing {
namespace {

class MoveDataTest : public ::testing::Test {
 protected:
  MoveDataTest() {
    std::FILE* const file = std::fopen(config_file().c_str(), "w");
    std::fputs(InDatabase().c_str(), file);
    std::fclose(file);
    EXPECT_EQ(Run("--init-cluster").status, 0);
  }

  std::string config_file() const { return directory_.path() + "/config"; }
  std::string InDatabase() const {
    return absl::StrCat("postgres { lease_ms: 500 database { conninfo: \"",
                        absl::StrReplaceAll(database_.conninfo(), {{"\"", "\\\""}}), "\" } }");
  }
  ServerProcess::Exit Run(const std::string& command, const std::string& directory = "") {
    std::vector<std::string> arguments = {"--config", config_file(), command};
    if (!directory.empty()) arguments.push_back(directory);
    return ServerProcess::RunToEnd(arguments);
  }
  void Verify(const ServerProcess& server, const char* when) {
    const auto differences = workload_.Verify(server);
    EXPECT_TRUE(differences.empty()) << when << ":\n" << absl::StrJoin(differences, "\n");
  }

  const uint64_t seed_ = Seed();
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, absl::StrCat("HOLDFAST_TEST_SEED=", seed_)};
  testing_server::PostgresServer database_;
  TemporaryDirectory directory_;
  Workload workload_{seed_};
};

TEST_F(MoveDataTest, IntoADatabaseAndBack) {
  const std::string first = directory_.path() + "/first";
  const std::string second = directory_.path() + "/second";
  const std::string temporary = directory_.path() + "/temporary";
  {
    // The kill leaves headers that lag.
    ServerProcess server(first);
    workload_.RunAndKill(&server, 500);
  }
  EXPECT_NE(Run("--move-data", directory_.path() + "/nothing").status, 0);
  const auto moved = Run("--move-data", first);
  ASSERT_EQ(moved.status, 0) << moved.output;
  EXPECT_TRUE(absl::StrContains(moved.output, "copied and compared")) << moved.output;
  const auto again = Run("--move-data", first);
  EXPECT_NE(again.status, 0);
  EXPECT_TRUE(absl::StrContains(again.output, "objects already")) << again.output;
  {
    ServerProcess server(temporary, InDatabase());
    Verify(server, "in the database");
    const auto refused = Run("--move-data-back", second);
    EXPECT_NE(refused.status, 0) << "a server is alive";
    workload_.RunAndKill(&server, 500);
  }
  const auto killed = Run("--move-data-back", second);
  EXPECT_NE(killed.status, 0);
  EXPECT_TRUE(absl::StrContains(killed.output, "has not ended in order")) << killed.output;
  {
    ServerProcess server(temporary, InDatabase());
    Verify(server, "after the kill");
    EXPECT_EQ(server.Terminate(), 0);
  }
  const auto back = Run("--move-data-back", second);
  ASSERT_EQ(back.status, 0) << back.output;
  EXPECT_FALSE(std::filesystem::exists(second + ".moving"));
  ServerProcess server(second);
  Verify(server, "back in a directory");
  const auto differences = workload_.Finish(server);
  EXPECT_TRUE(differences.empty()) << "at the end:\n" << absl::StrJoin(differences, "\n");
}

}  // namespace
}  // namespace holdfast::testing
