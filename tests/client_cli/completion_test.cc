// Completion: what the scripts of the shells get for the words of a command line.

#include "client/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/contexts.h"
#include "tests/client_cli/temp_folder.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class CompletionTest : public ToolTest {
 protected:
  // Returns the words that complete the last one, without the phrases about them.
  std::vector<std::string> Complete(std::vector<std::string> words) {
    words.insert(words.begin(), "__complete");
    const Result result = Tool(std::move(words));
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    std::vector<std::string> lines = absl::StrSplit(result.out, '\n', absl::SkipEmpty());
    for (std::string& line : lines) line = line.substr(0, line.find('\t'));
    if (lines.empty() || lines[0] != "words") return lines;
    lines.erase(lines.begin());
    return lines;
  }
  void ServeNames(const std::vector<std::string>& names) {
    v1::ListObjectsResponse reply;
    for (const std::string& name : names) reply.add_objects()->mutable_object()->set_name(name);
    Reply<v1::ListObjectsRequest>("/holdfast.v1.ObjectService/ListObjects", reply);
  }
};

TEST_F(CompletionTest, CommandsAndGroups) {
  EXPECT_THAT(Complete({""}), Contains("counter"));
  EXPECT_THAT(Complete({""}), Contains("bench"));
  EXPECT_THAT(Complete({"com"}), ElementsAre("completion"));
  EXPECT_THAT(Complete({"al"}), ElementsAre("alarms"));
  EXPECT_THAT(Complete({"object", "alarm", "e"}), ElementsAre("extend"));
  EXPECT_THAT(Complete({"completion", ""}), ElementsAre("bash", "zsh"));
  EXPECT_THAT(Complete({"no-such-command", ""}), IsEmpty());
  EXPECT_THAT(Tool({"__complete", "wat"}).out,
              "words\nwatch\tCounters as they change, and items as they are processed\n");
  EXPECT_THAT(Complete({}), Contains("counter"));
}

TEST_F(CompletionTest, OptionsOfTheCommandAndGlobalOnes) {
  EXPECT_THAT(Complete({"counter", "increment", "--am"}), ElementsAre("--amount"));
  EXPECT_THAT(Complete({"counter", "increment", "--ser"}), ElementsAre("--server"));
  EXPECT_THAT(Complete({"--jso"}), ElementsAre("--json"));
  EXPECT_THAT(Complete({"counter", "get", "--", "--"}), IsEmpty());
}

TEST_F(CompletionTest, WordsThatAnArgumentTakes) {
  EXPECT_THAT(Complete({"admin", "top", "--by", ""}), ElementsAre("requests", "time", "bytes"));
  EXPECT_THAT(Complete({"admin", "top", "--by=r"}), ElementsAre("--by=requests"));
  EXPECT_THAT(Complete({"object", "objects", "--class", "C"}), ElementsAre("Counter"));
  EXPECT_THAT(Complete({"counter", "get", "visits", "--class", ""}), ElementsAre("Counter"));
  EXPECT_THAT(Complete({"admin", "log-level", "D"}), ElementsAre("DEBUG"));
  EXPECT_THAT(Complete({"rights", "--class", "Co"}), ElementsAre("Counter"));
  EXPECT_THAT(Complete({"bench", "sql"}), ElementsAre("sql-update", "sql-select"));
  EXPECT_THAT(Complete({"counter", "increment", "--amount", ""}), IsEmpty());
}

TEST_F(CompletionTest, FilesAreLeftToTheShell) {
  EXPECT_THAT(Complete({"--token-file", ""}), ElementsAre("files"));
  EXPECT_THAT(Complete({"sql", "o", "--file=a"}), ElementsAre("files"));
  EXPECT_THAT(Complete({"object", "export", "o", ""}), ElementsAre("files"));
}

TEST_F(CompletionTest, NamesComeFromTheServer) {
  ServeNames({"visits", "visitors"});
  EXPECT_THAT(Complete({"counter", "get", "vis"}), ElementsAre("visits", "visitors"));
  EXPECT_EQ(request_, "page_size: 100 object_class: \"Counter\" name_prefix: \"vis\"");
  EXPECT_THAT(Complete({"--namespace", "shop", "object", "get", "--class=Counter", "v"}), SizeIs(2));
  EXPECT_EQ(request_, "namespace: \"shop\" page_size: 100 object_class: \"Counter\" name_prefix: \"v\"");
  EXPECT_THAT(Complete({"sql", ""}), SizeIs(2));
  EXPECT_EQ(request_, "page_size: 100 object_class: \"Object\"");
  EXPECT_THAT(Complete({"user", "get", ""}), SizeIs(2));
  EXPECT_EQ(request_, "page_size: 100 object_class: \"UserCache\"");
  EXPECT_THAT(Complete({"watch", "batch", ""}), SizeIs(2));
  EXPECT_EQ(request_, "page_size: 100 object_class: \"BatchProcessor\"");
  // Each name of several, but only the first word of a command that has one.
  EXPECT_THAT(Complete({"counter", "stream", "visits", "v"}), SizeIs(2));
  EXPECT_THAT(Complete({"counter", "get", "visits", "v"}), IsEmpty());
}

TEST_F(CompletionTest, NamesThatWouldSteerTheTerminalOrBeOptionsAreLeftOut) {
  ServeNames({"a\x1b[2J", "a\nb", "a\tb", "a$(b)", "-a", "a b"});
  EXPECT_THAT(Complete({"counter", "get", "a"}), ElementsAre("a$(b)", "a b"));
  EXPECT_THAT(Complete({"counter", "get", "--", ""}), ElementsAre("a$(b)", "-a", "a b"));
}

TEST_F(CompletionTest, NamesAreBounded) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back(absl::StrCat("n", i));
  ServeNames(names);  // of a server that gives more than it is asked for
  EXPECT_THAT(Complete({"counter", "get", ""}), SizeIs(kCompletionNamesMax));
}

TEST_F(CompletionTest, NoErrorIsShown) {
  Fail<v1::ListObjectsRequest, v1::ListObjectsResponse>(
      "/holdfast.v1.ObjectService/ListObjects", Error(grpc::StatusCode::PERMISSION_DENIED, "no", "PERMISSION_DENIED"));
  EXPECT_THAT(Complete({"counter", "get", ""}), IsEmpty());
  EXPECT_THAT(Complete({"--server", "http://a", "counter", "get", ""}), IsEmpty());
  EXPECT_THAT(Complete({"--token-file", "/nonexistent", "counter", "get", ""}), IsEmpty());
  EXPECT_THAT(Complete({"--context", "none", "counter", "get", ""}), IsEmpty());
  EXPECT_THAT(Complete({"--bogus", "counter", "get", ""}), IsEmpty());
  EXPECT_THAT(Complete({"counter", "get", "\xff"}), IsEmpty());
  setenv("HOLDFAST_SERVER", "127.0.0.1:1", 1);
  EXPECT_THAT(Complete({"counter", "get", ""}), IsEmpty());
}

// A port that takes connections and never says a word.
TEST_F(CompletionTest, AServerThatDoesNotAnswerIsWaitedForUpToTheTimeout) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string server = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  EXPECT_THAT(Complete({"--server", server, "--timeout", "50ms", "counter", "get", ""}), IsEmpty());
  // A longer time than the bound is not waited for. The bound of the test is for a machine that is very busy.
  const absl::Time begin = absl::Now();
  EXPECT_THAT(Complete({"--server", server, "--timeout", "1h", "counter", "get", ""}), IsEmpty());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(30));
  close(listener);
}

TEST_F(CompletionTest, ContextsComeFromTheirFile) {
  const TempFolder folder;
  setenv("HOLDFAST_CONFIG", folder.path("config").c_str(), 1);
  EXPECT_THAT(Complete({"context", "use", ""}), IsEmpty());
  ASSERT_EQ(Tool({"context", "set", "dev", "--server", server_.address()}).status, 0);
  ASSERT_EQ(Tool({"context", "set", "prod"}).status, 0);
  EXPECT_THAT(Complete({"context", "use", "d"}), ElementsAre("dev"));
  EXPECT_THAT(Complete({"--context", ""}), ElementsAre("dev", "prod"));
  // The context that is typed says which server has the names.
  unsetenv("HOLDFAST_SERVER");
  ServeNames({"visits"});
  EXPECT_THAT(Complete({"--context", "dev", "counter", "get", ""}), ElementsAre("visits"));
}

TEST_F(CompletionTest, ScriptsArePrintedWithoutAServer) {
  setenv("HOLDFAST_SERVER", "http://wrong", 1);
  EXPECT_THAT(Tool({"completion", "bash"}).out, ::testing::HasSubstr("complete -F _holdfast holdfast\n"));
  EXPECT_THAT(Tool({"completion", "zsh"}).out, ::testing::StartsWith("#compdef holdfast\n"));
}

}  // namespace
}  // namespace holdfast::client
