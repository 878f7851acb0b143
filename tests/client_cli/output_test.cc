// Tables and fields at a terminal: they fit, nothing is lost, and colours come only where they are wanted.

#include "client/output.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "client/terminal.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

std::string Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                  TextStyle style) {
  std::ostringstream out;
  TextOutput(out, style).Table(header, rows);
  return out.str();
}

void ExpectToFit(const std::string& text, size_t columns) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    EXPECT_LE(TextWidth(line), columns) << line;
    EXPECT_FALSE(absl::EndsWith(line, " ")) << line;
  }
}

TEST(OutputTest, ATableThatFitsIsAsWideAsItsContents) {
  EXPECT_EQ(Table({"ID", "NAME"}, {{"1", "ab"}}, {.columns = 40}), "ID  NAME\n1   ab\n");
}

TEST(OutputTest, TheWidestColumnIsNarrowedAndGoesOnBelow) {
  EXPECT_EQ(Table({"ID", "NAME"}, {{"1", "abcdefghijklmnopqrstuvwxyz"}, {"2", "z"}}, {.columns = 14}),
            "ID  NAME\n"
            "1   abcdefghij\n"
            "    klmnopqrst\n"
            "    uvwxyz\n"
            "2   z\n");
}

TEST(OutputTest, ATextIsBrokenAtBlanks) {
  EXPECT_EQ(Table({"N", "TEXT"}, {{"1", "one two three four"}}, {.columns = 15}),
            "N  TEXT\n1  one two\n   three four\n");
}

TEST(OutputTest, CharactersAreNotCutApart) {
  const std::string word = "\xc3\xa9";  // two bytes, one column
  std::string name;
  for (int i = 0; i < 20; ++i) name += word;
  const std::string text = Table({"NAME"}, {{name}}, {.columns = 10});
  EXPECT_EQ(text, absl::StrCat("NAME\n", name.substr(0, 20), "\n", name.substr(20), "\n"));
}

TEST(OutputTest, WithoutColumnsALineIsARow) {
  const std::string name(5000, 'x');
  EXPECT_EQ(Table({"NAME"}, {{name}}, {}), absl::StrCat("NAME\n", name, "\n"));
}

TEST(OutputTest, AnyTableFits) {
  for (size_t columns = 1; columns <= 8; ++columns) {
    std::vector<std::string> header, row;
    for (size_t i = 0; i < columns; ++i) {
      header.push_back(absl::StrCat("COLUMN", i));
      row.push_back(std::string(i * 7777, 'x'));
    }
    ExpectToFit(Table(header, {row, row}, {.columns = 80}), 80);
  }
}

TEST(OutputTest, FieldsFitToo) {
  std::ostringstream out;
  TextOutput(out, {.columns = 40}).Fields({{"name", std::string(100, 'y')}, {"none", ""}, {"other", "z"}});
  ExpectToFit(out.str(), 40);
  EXPECT_TRUE(absl::StartsWith(out.str(), absl::StrCat("name   ", std::string(33, 'y'), "\n       yyy"))) << out.str();
}

TEST(OutputTest, ColoursAreLeftOutUnlessTheyAreWanted) {
  EXPECT_EQ(Table({"A"}, {{"b"}}, {.columns = 80}), "A\nb\n");
  EXPECT_EQ(Table({"A"}, {{"b"}}, {.columns = 80, .colours = true}), "\x1b[1mA\x1b[0m\nb\n");
  std::ostringstream out;
  TextOutput text(out, {.colours = true});
  text.Table({"A"}, {{"b\x1b[2J"}}, {Colour::kRed});
  EXPECT_EQ(out.str(), "\x1b[1mA\x1b[0m\n\x1b[31mb\\x1b[2J\x1b[0m\n");
}

TEST(OutputTest, NoColorAndADumbTerminalHaveNoColours) {
  const char* const term = std::getenv("TERM");
  const std::string before = term == nullptr ? "" : term;
  setenv("TERM", "xterm", 1);
  unsetenv("NO_COLOR");
  EXPECT_TRUE(FindTerminal().colours);
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(FindTerminal().colours);  // empty is as good as none
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(FindTerminal().colours);
  unsetenv("NO_COLOR");
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(FindTerminal().colours);
  unsetenv("TERM");
  EXPECT_FALSE(FindTerminal().colours);
  if (term != nullptr) setenv("TERM", before.c_str(), 1);
}

TEST(OutputTest, ShortDurations) {
  EXPECT_EQ(ShortDuration(absl::ZeroDuration()), "-");
  EXPECT_EQ(ShortDuration(absl::Microseconds(250)), "250us");
  EXPECT_EQ(ShortDuration(absl::Microseconds(1500)), "1.5ms");
  EXPECT_EQ(ShortDuration(absl::Microseconds(999'600)), "1.0s");
  EXPECT_EQ(ShortDuration(absl::Seconds(12)), "12s");
}

class TerminalTest : public ToolTest {
 protected:
  static Surroundings Coloured() {
    return {.terminal = {.colours = true}, .sleep = [](absl::Duration) {}};
  }
};

TEST_F(TerminalTest, ErrorsAndHeadersHaveColoursAtATerminalOnly) {
  v1::ListNamespacesResponse reply;
  reply.add_namespaces()->set_namespace_("shop");
  Reply<v1::ListNamespacesRequest>("/holdfast.v1.AdminService/ListNamespaces", reply);
  Fail<v1::GetStatusRequest, v1::GetStatusResponse>("/holdfast.v1.AdminService/GetStatus",
                                                    grpc::Status(grpc::StatusCode::INTERNAL, "broken"));
  EXPECT_EQ(Tool({"admin", "namespaces"}, "", true, Coloured()).out.substr(0, 5), "\x1b[1mO");
  EXPECT_EQ(Tool({"admin", "namespaces"}, "", false, Coloured()).out.substr(0, 7), "OBJECTS");
  EXPECT_EQ(Tool({"admin", "namespaces", "--json"}, "", true, Coloured()).out[0], '{');
  EXPECT_EQ(Tool({"admin", "status"}, "", true, Coloured()).err.substr(0, 10), "\x1b[1;31mhol");
  EXPECT_EQ(Tool({"admin", "status"}, "", false, Coloured()).err.substr(0, 10), "holdfast: ");
}

TEST_F(TerminalTest, TheWidestTablesFitIntoEightyColumns) {
  const std::string name(300, 'n');
  v1::ListObjectsResponse objects;
  v1::ObjectSummary& object = *objects.add_objects();
  object.mutable_object()->set_name(name);
  object.mutable_object()->set_object_class("BatchProcessor");
  object.mutable_update_time()->set_seconds(1'700'000'000);
  object.set_size_bytes(INT64_MAX);
  Reply<v1::ListObjectsRequest>("/holdfast.v1.ObjectService/ListObjects", objects);
  ExpectToFit(Tool({"object", "objects"}, "", true).out, 80);

  v1::GetStatusResponse status;
  v1::ExecutorStatus& executor = *status.add_executors();
  executor.set_unresponsive(true);
  executor.mutable_cpu_time()->set_seconds(1'000'000);
  executor.mutable_cpu_time()->set_nanos(123'456'789);
  executor.set_active_objects(1'000'000);
  executor.set_active_object_bytes(int64_t{1} << 40);
  executor.set_pending_commit_bytes(int64_t{1} << 40);
  status.mutable_calls()->set_ended(INT64_MAX);
  Reply<v1::GetStatusRequest>("/holdfast.v1.AdminService/GetStatus", status);
  ExpectToFit(Tool({"admin", "status"}, "", true).out, 80);

  v1::ListHotObjectsResponse hot;
  *hot.add_objects()->mutable_object() = object.object();
  hot.mutable_objects(0)->mutable_object()->set_namespace_(std::string(64, 's'));
  hot.mutable_objects(0)->set_requests(INT64_MAX);
  Reply<v1::ListHotObjectsRequest>("/holdfast.v1.AdminService/ListHotObjects", hot);
  const std::string top = Tool({"admin", "top", "--count", "1"}, "", true).out;
  ExpectToFit(top.substr(top.find("the busiest")), 80);

  v1::ListEntriesResponse entries;
  entries.add_entries()->set_key(name);
  entries.mutable_entries(0)->set_etag(std::string(32, 'e'));
  entries.mutable_entries(0)->set_value(std::string(2000, '\xff'));
  Reply<v1::ListEntriesRequest>("/holdfast.v1.ObjectService/ListEntries", entries);
  ExpectToFit(Tool({"object", "list", "o"}, "", true).out, 80);
}

}  // namespace
}  // namespace holdfast::client
