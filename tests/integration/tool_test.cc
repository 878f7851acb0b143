// The tool against the real server: the keys of its JSON, bench, watch, and completion in real shells.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

class ToolTest : public ::testing::Test {
 protected:
  // Returns the output of a shell command, which finds the tool as `holdfast`; its errors go to the log of the test.
  static std::string Shell(const std::string& command, int* status = nullptr) {
    FILE* const pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return "popen failed";
    std::string out;
    for (int c; (c = std::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
    const int ended = pclose(pipe);
    if (status != nullptr) *status = ended;
    return out;
  }
  std::string Tool(const std::string& arguments, int* status = nullptr) {
    return Shell(absl::StrCat(HOLDFAST_TOOL, " --server ", server_.address(), " ", arguments, " </dev/null"), status);
  }

  TemporaryDirectory directory_;
  ServerProcess server_{directory_.path() + "/data"};
};

// The keys of a row of the table in docs/tool.md; true for those that are always there.
using DocKeys = std::map<std::string, bool>;

std::map<std::string, DocKeys> TableOfDoc() {
  std::ifstream file(HOLDFAST_TOOL_DOC);
  std::map<std::string, DocKeys> table;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    if (cells.size() != 3 || !absl::StartsWith(line, "| `")) continue;
    DocKeys& keys = table[cells[0].substr(3, cells[0].size() - 4)];
    for (const absl::string_view word : absl::StrSplit(absl::StripSuffix(cells[2], " |"), ' ', absl::SkipEmpty())) {
      const absl::string_view key = absl::StripSuffix(absl::StripPrefix(word, "`"), "`");
      if (key == "{}") continue;  // no keys
      keys[std::string(absl::StripSuffix(key, "?"))] = !absl::EndsWith(key, "?");
    }
  }
  return table;
}

TEST_F(ToolTest, LinesOfJsonHaveTheKeysOfTheDocument) {
  const std::map<std::string, DocKeys> table = TableOfDoc();
  const std::string file = directory_.path() + "/file";
  // They build on each other. Each has its command, and its arguments.
  const std::vector<std::pair<std::string, std::string>> runs = {
      {"counter increment", "visits"},
      {"counter get", "visits"},
      {"counter stream", "visits other --count 2"},
      {"counter batch-increment", "visits other"},
      {"counter unique", "visits"},
      {"counter reset", "other"},
      {"limit check", "api --key a --limit 5 --window 10s"},
      {"limit check-many", "api --check key=a,limit=5,window=10s"},
      {"batch add", "mail hello"},
      {"batch status", "mail"},
      {"batch flush", "mail"},
      {"batch list", "mail"},
      {"user update", "cache u1 --name Ada"},
      {"user get", "cache u1"},
      {"user list", "cache"},
      {"object put", "cart apples=2"},
      {"object get", "cart apples"},
      {"object list", "cart"},
      {"object alarm set", "cart +100ms"},
      {"object alarm watch", "--count 1"},
      {"object objects", ""},
      {"object describe", "cart"},
      {"object export", "cart " + file},
      {"object import", "copy " + file},
      {"admin status", ""},
      {"admin top", ""},
      {"admin namespaces", ""},
      {"admin history", ""},
      {"object alarm set", "reminder 2024-05-01T12:00:00Z"},
      {"alarms", "--describe"},
      {"rights", "--class Counter"},
      {"health", ""},
      {"token new", "somebody"},
      {"watch counter", "visits --count 1"},
      {"watch batch", "mail --after 0 --count 1"},
      {"bench", "--duration 100ms --objects 2"},
  };
  for (const auto& [command, arguments] : runs) {
    const auto row = table.find(command);
    ASSERT_NE(row, table.end()) << command;
    int status = -1;
    const std::string out = Tool(absl::StrCat("--json ", command, " ", arguments), &status);
    EXPECT_EQ(status, 0) << command;
    EXPECT_NE(out, "") << command;
    for (const absl::string_view line : absl::StrSplit(out, '\n', absl::SkipEmpty())) {
      const nlohmann::json object = nlohmann::json::parse(line);
      for (const auto& [key, value] : object.items()) EXPECT_TRUE(row->second.contains(key)) << command << ": " << key;
      for (const auto& [key, always] : row->second) {
        EXPECT_TRUE(!always || object.contains(key)) << command << ": " << key << " is not in " << line;
      }
    }
  }
}

TEST_F(ToolTest, EveryWorkloadRunsAndLeavesNothing) {
  for (const char* const workload : {"increment", "get", "limit", "add", "put", "read", "sql-update", "sql-select"}) {
    int status = -1;
    const std::string out = Tool(
        absl::StrCat("--json bench ", workload, " --duration 100ms --objects 3 --concurrency 70 --rate 1000"), &status);
    EXPECT_EQ(status, 0) << out;
    const nlohmann::json report = nlohmann::json::parse(out);
    EXPECT_EQ(report["workload"], workload);
    EXPECT_EQ(report["failures"], "0") << out;
    EXPECT_EQ(std::stoll(report["calls"].get<std::string>()) + std::stoll(report["not_begun"].get<std::string>()), 100);
    EXPECT_EQ(Tool("object objects --all"), "") << workload;
  }
}

TEST_F(ToolTest, CtrlCEndsALoadWithItsReport) {
  // The signal comes once the first object is there, so after the load has begun or just before it.
  const std::string holdfast = absl::StrCat(HOLDFAST_TOOL, " --server ", server_.address(), " ");
  const std::string out =
      Shell(absl::StrCat(holdfast, "--json bench --duration 1h --objects 2 & pid=$!; until [ -n \"$(", holdfast,
                         "object objects)\" ]; do :; done; kill -INT $pid; wait $pid; echo \"exit $?\""));
  EXPECT_THAT(out, HasSubstr("\"interrupted\":true"));
  EXPECT_THAT(out, HasSubstr("exit 0\n"));
  EXPECT_EQ(Tool("object objects --all"), "");
}

TEST_F(ToolTest, ItemsAreWatchedAsTheAlarmProcessesThem) {
  Tool("batch configure mail --delay 200ms");
  Tool("batch add mail before");
  Tool("batch flush mail");
  const std::string holdfast = absl::StrCat(HOLDFAST_TOOL, " --server ", server_.address(), " ");
  // The watch begins after the items that are there; items come until it has seen some.
  const std::string out = Shell(absl::StrCat(
      holdfast, "watch batch mail --interval 100ms --count 2 & pid=$!; while kill -0 $pid 2>/dev/null; do ", holdfast,
      "batch add mail after >/dev/null; done; wait $pid"));
  EXPECT_THAT(out, HasSubstr("  after\n"));
  EXPECT_EQ(out.find("before"), std::string::npos) << out;
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 3) << out;
}

class ShellTest : public ToolTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // Returns the words that the shell makes of each line, in which a tab is typed as TAB.
  std::vector<std::vector<std::string>> Type(const std::vector<std::string>& lines) {
    std::string command =
        absl::StrCat("python3 " HOLDFAST_PRESS_TAB " ", GetParam(), " " HOLDFAST_TOOL " ", server_.address());
    for (const std::string& line : lines) absl::StrAppend(&command, " $'", line, "'");
    // The lines are quoted as bash quotes them.
    std::ofstream(directory_.path() + "/type.sh") << command << "\n";
    const std::string out = Shell(absl::StrCat("bash ", directory_.path(), "/type.sh 2>&1"));
    std::vector<std::vector<std::string>> typed;
    for (const absl::string_view line : absl::StrSplit(out, '\n', absl::SkipEmpty())) {
      const nlohmann::json words = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!words.is_array()) ADD_FAILURE() << out;
      if (!words.is_array()) break;
      typed.push_back(words.get<std::vector<std::string>>());
    }
    return typed;
  }
};

TEST_P(ShellTest, CommandsOptionsAndNamesAreCompleted) {
  if (std::system(absl::StrCat("command -v ", GetParam(), " >/dev/null").c_str()) != 0) {
    GTEST_SKIP() << GetParam() << " is not installed: deploy/install-deps.sh --tools";
  }
  const std::string marker = directory_.path() + "/was-run";
  // A client chose this name. Were it inserted as it is, the shell would run it.
  const std::string hostile = absl::StrCat("h$(touch ", marker, ") 'x' \\ ;a");
  Tool("counter increment visits");
  Tool("counter increment user:42:seen");
  Tool("counter increment 'a name of blanks'");
  Tool(absl::StrCat("counter increment \"h\\$(touch ", marker, ") 'x' \\\\ ;a\""));
  Tool("object put cart apples=2");
  ASSERT_THAT(Tool("object objects"), HasSubstr(hostile));

  using Words = std::vector<std::string>;
  EXPECT_EQ(Type({
                "holdfast cou\\tinc\\tvis\\t",
                "holdfast counter get user:4\\t",
                "holdfast counter get a\\t",
                "holdfast counter get h\\t",
                "holdfast object get ca\\t",
                "holdfast object get --class=Coun\\tvis\\t",
                "holdfast --server 127.0.0.1:1 counter get vis\\t",
                "holdfast admin top --by req\\t--lim\\t",
                "holdfast counter get nothing-of-this-name\\t",
            }),
            (std::vector<Words>{
                {"holdfast", "counter", "increment", "visits"},
                {"holdfast", "counter", "get", "user:42:seen"},
                {"holdfast", "counter", "get", "a name of blanks"},
                {"holdfast", "counter", "get", hostile},
                {"holdfast", "object", "get", "cart"},
                {"holdfast", "object", "get", "--class=Counter", "visits"},
                {"holdfast", "--server", "127.0.0.1:1", "counter", "get", "vis"},
                {"holdfast", "admin", "top", "--by", "requests", "--limit"},
                {"holdfast", "counter", "get", "nothing-of-this-name"},
            }));
  EXPECT_FALSE(std::ifstream(marker).good()) << "a name was run";
}

INSTANTIATE_TEST_SUITE_P(Shells, ShellTest, ::testing::Values("bash", "zsh"),
                         [](const auto& shell) { return std::string(shell.param); });

}  // namespace
}  // namespace holdfast::testing
