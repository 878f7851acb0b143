#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/credentials.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST_F(ToolTest, ANewTokenComesWithItsLine) {
  const Result result = Tool({"token", "new", "shop-web"});
  EXPECT_EQ(result.status, 0);
  ASSERT_TRUE(!result.out.empty() && result.out.back() == '\n');
  const std::string token = result.out.substr(0, result.out.size() - 1);
  EXPECT_TRUE(IsToken(token)) << token;
  EXPECT_EQ(result.err,
            absl::StrCat("holdfast: this token is shown only once; the line for the server's token file is\n"
                         "shop-web ",
                         absl::BytesToHexString(TokenHash(token)), "\n"));
  EXPECT_NE(Tool({"token", "new", "shop-web"}).out, result.out);
}

TEST_F(ToolTest, ATokenMayExpire) {
  EXPECT_THAT(Tool({"token", "new", "a", "--expires", "2999-01-01T00:00:00+01:00"}).err,
              HasSubstr(" 2998-12-31T23:00:00Z\n"));
  EXPECT_THAT(Tool({"token", "new", "a", "--expires", "+10h"}).err,
              MatchesRegex(".*\na [0-9a-f]+ [0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+Z\n"));
  ExpectUsage({"token", "new", "a", "--expires", "2020-01-01T00:00:00Z"}, "--expires: is past");
  ExpectUsage({"token", "new", "a", "--expires", "soon"},
              "--expires: 'soon' is not a time such as 2024-05-01T12:00:00Z, or +10m for in ten minutes");
}

TEST_F(ToolTest, ATokenAsJsonIsOneLine) {
  const Result result = Tool({"token", "new", "a", "--json"});
  EXPECT_THAT(result.out, MatchesRegex(R"(\{"token":"hf_[A-Za-z0-9_-]+","line":"a [0-9a-f]+"\})"
                                       "\n"));
  EXPECT_EQ(result.err, "");
}

TEST_F(ToolTest, TheNameOfATokenIsAPrincipal) {
  const std::string problem = "NAME: must be at most 200 printable ASCII characters without blanks and *";
  for (const std::string& name : {std::string("a b"), std::string("*"), std::string("\u00e9"), std::string(),
                                  std::string(201, 'a'), "hf_" + std::string(43, 'A')}) {
    ExpectUsage({"token", "new", name}, problem);
  }
  EXPECT_EQ(Tool({"token", "new", std::string(200, 'a')}).status, 0);
  ExpectUsage({"token", "new"}, "NAME is required");
}

TEST_F(ToolTest, ATokenNeedsNoServerAndNoContext) {
  setenv("HOLDFAST_CONTEXT", "missing", 1);
  setenv("HOLDFAST_SERVER", "http://nonsense", 1);
  EXPECT_EQ(Tool({"token", "new", "a"}).status, 0);
}

}  // namespace
}  // namespace holdfast::client
