#include "client/sql_split.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace holdfast::client {
namespace {

// Returns "line: statement" for each statement; the statement of Rest() begins with "rest ".
std::vector<std::string> Split(const std::string& text) {
  SqlSplitter splitter;
  std::vector<std::string> result;
  for (const auto& line : absl::StrSplit(text, '\n')) {
    splitter.Add(line);
    while (const auto statement = splitter.Next()) {
      result.push_back(absl::StrCat(statement->line, ": ", statement->sql));
    }
  }
  if (const auto rest = splitter.Rest()) result.push_back(absl::StrCat("rest ", rest->line, ": ", rest->sql));
  return result;
}

using Statements = std::vector<std::string>;

TEST(SqlSplitTest, SemicolonsEndStatements) {
  EXPECT_EQ(Split("a; b;c\n;\n\n d\ne;"), (Statements{"1: a;", "1: b;", "1: c\n;", "4: d\ne;"}));
}

TEST(SqlSplitTest, TheLastNeedsNone) {
  EXPECT_EQ(Split("a;\n b"), (Statements{"1: a;", "rest 2: b"}));
  EXPECT_EQ(Split("a '"), Statements{"rest 1: a '"});
}

TEST(SqlSplitTest, SemicolonsInStringsNamesAndCommentsDoNot) {
  const Statements statements = {"a ';';", "b \";\";", "c [;];", "d `;`;", "e /* ; */;", "f -- ;\n;", "g 'it''s;';"};
  for (const std::string& statement : statements) {
    EXPECT_EQ(Split(statement + statement), (Statements{"1: " + statement, Split(statement + statement)[1]}));
    EXPECT_EQ(Split(statement), Statements{"1: " + statement});
  }
}

TEST(SqlSplitTest, NorDoThoseOfATrigger) {
  const std::string trigger =
      "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  INSERT INTO b VALUES(1);\n  DELETE FROM c;\nEND;";
  EXPECT_EQ(Split(trigger + " d;"), (Statements{"1: " + trigger, "4: d;"}));
}

TEST(SqlSplitTest, BlanksAndCommentsAreNoStatements) {
  EXPECT_EQ(Split(""), Statements{});
  EXPECT_EQ(Split(" ;; -- c\n/* c\n c */ ; \n-- the end"), Statements{});
  EXPECT_EQ(Split("a; -- of a\n-- of b\nb;"), (Statements{"1: a;", "3: b;"}));
  EXPECT_EQ(Split("/* one\n two */\n\nb; /*"), (Statements{"4: b;", "rest 4: /*"}));
  EXPECT_EQ(Split("-5;"), Statements{"1: -5;"});
}

TEST(SqlSplitTest, PendingIsWhatHasBegun) {
  SqlSplitter splitter;
  const auto add = [&splitter](const std::string& line) {
    splitter.Add(line);
    while (splitter.Next()) {
    }
    return splitter.pending();
  };
  EXPECT_FALSE(add("-- comment"));
  EXPECT_FALSE(add("a;  "));
  EXPECT_TRUE(add("b"));
  EXPECT_EQ(splitter.pending_line(), 3);
  EXPECT_TRUE(add(""));
  EXPECT_FALSE(add(";"));
  EXPECT_EQ(splitter.next_line(), 6);
}

TEST(SqlSplitTest, AStatementOverTheBoundHasNoEnd) {
  for (const size_t over : {0, 1}) {
    SqlSplitter splitter;
    splitter.Add(absl::StrCat("a;", std::string(kStatementBytesMax - 1 + over, 'x'), ";b;"));
    EXPECT_EQ(splitter.Next()->sql, "a;");
    const auto statement = splitter.Next();
    EXPECT_EQ(statement.has_value(), over == 0);
    EXPECT_EQ(splitter.too_long(), over == 1);
    SqlSplitter unended;
    unended.Add(std::string(kStatementBytesMax + over, 'x'));
    EXPECT_FALSE(unended.Next().has_value());
    EXPECT_EQ(unended.too_long(), over == 1);
  }
}

}  // namespace
}  // namespace holdfast::client
