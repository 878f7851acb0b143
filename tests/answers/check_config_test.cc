// `holdfastd --check-config` prints the configuration that a server would run with, and starts no server.

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/answers/answers.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

class CheckConfigTest : public AnswersTest {
 protected:
  ServerProcess::Exit Check(const std::string& config, std::vector<std::string> arguments = {}) {
    const std::string path = directory_.path() + "/config";
    std::ofstream(path) << config;
    arguments.insert(arguments.end(), {"--check-config", "--config", path, "--data-dir", data_dir()});
    return ServerProcess::RunToEnd(arguments);
  }
};

TEST_F(CheckConfigTest, PrintsEverySettingAndOpensNothing) {
  Start();
  // A running server uses both the address and the data directory.
  const auto exit = Check("server { calls_max: 7 }", {"--listen", server_->address(), "--log-level", "WARNING"});
  EXPECT_EQ(exit.status, 0) << exit.output;
  for (const std::string& line :
       {"listen: \"" + server_->address() + "\"", "data_dir: \"" + data_dir() + "\"",
        std::string("log_level: LOG_LEVEL_WARNING"), std::string("calls_max: 7"),
        std::string("drain_timeout_ms: 15000"), std::string("temp_files_max: "), std::string("open_tables_max: ")}) {
    EXPECT_THAT(exit.output, HasSubstr(line));
  }
  // The printed configuration has the values that the server chose for settings of 0.
  for (const char* zero : {"executors: 0", "connections_max: 0", "open_tables_max: 0", "temp_files_max: 0"}) {
    EXPECT_EQ(exit.output.find(zero), std::string::npos) << zero;
  }
  const auto again = Check(exit.output);
  EXPECT_EQ(again.output, exit.output);
}

TEST_F(CheckConfigTest, MakesNoDataDirectory) {
  EXPECT_EQ(Check("").status, 0);
  EXPECT_FALSE(std::filesystem::exists(data_dir()));
}

TEST_F(CheckConfigTest, PrintsAllThatIsWrong) {
  const auto exit = Check("server { calls_max: 0 } sql { threads: 65 }");
  EXPECT_EQ(exit.status, 1);
  EXPECT_THAT(exit.output, HasSubstr("server.calls_max: 0 is not from 1 to 1000000"));
  EXPECT_THAT(exit.output, HasSubstr("sql.threads: 65"));
  EXPECT_EQ(Check("log_level: LOUD").status, 1);
  const auto level = Check("", {"--log-level", "LOUD"});
  EXPECT_EQ(level.status, 1);
  EXPECT_THAT(level.output, HasSubstr("\"LOUD\" is not one of DEBUG, INFO, WARNING, ERROR"));
}

}  // namespace
}  // namespace holdfast::testing
