// `holdfast sql` runs against the real server: databases go out to files and come back in.

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

class ToolSqlTest : public ::testing::Test {
 protected:
  std::string Sql(const std::string& arguments) { return Tool("sql " + arguments); }
  // Returns the output of the tool, with its errors.
  std::string Tool(const std::string& arguments) {
    const std::string command =
        std::string(HOLDFAST_TOOL) + " --server " + server_.address() + " " + arguments + " 2>&1";
    FILE* const pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return "popen failed";
    std::string out;
    for (int c; (c = std::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
    pclose(pipe);
    return out;
  }

  TemporaryDirectory directory_;
  ServerProcess server_{directory_.path() + "/data"};
  const std::string file_ = directory_.path() + "/file.db";
};

TEST_F(ToolSqlTest, DatabaseGoesToAFileAndIntoAnotherObject) {
  ASSERT_EQ(Sql("from \"CREATE TABLE t(v)\" \"INSERT INTO t VALUES (hex(zeroblob(500000)))\""), "");
  EXPECT_NE(Sql("from '.export " + file_ + "'").find(" bytes to " + file_), std::string::npos);
  EXPECT_NE(Sql("into '.import " + file_ + "'").find(" bytes from " + file_), std::string::npos);
  EXPECT_EQ(Sql("into --csv \"SELECT length(v) AS n FROM t\""), "n\r\n1000000\r\n");
}

TEST_F(ToolSqlTest, WithReadOnlyNothingIsWritten) {
  ASSERT_EQ(Sql("o \"CREATE TABLE t(v)\" \"INSERT INTO t VALUES (1)\""), "");
  EXPECT_EQ(Sql("o --read-only --csv \"SELECT v FROM t\""), "v\r\n1\r\n");
  EXPECT_NE(Sql("o --read-only \"DELETE FROM t\"").find("the statement writes, and the request is read_only"),
            std::string::npos);
  EXPECT_EQ(Sql("o --read-only .tables"), "t\n");
  EXPECT_EQ(Sql("o --csv \"SELECT v FROM t\""), "v\r\n1\r\n");
}

TEST_F(ToolSqlTest, DumpOfTheShellOfSqliteIsLoaded) {
  ASSERT_EQ(Sql("o --file " HOLDFAST_CASES "/shell-dump.sql"), "");
  EXPECT_EQ(Sql("o --csv \"SELECT count(*) AS n FROM orders JOIN customers ON customer = customers.id\""),
            "n\r\n3\r\n");
  EXPECT_NE(Sql("o \"INSERT INTO orders(customer) VALUES (9)\"").find("SQL_CONSTRAINT"), std::string::npos);
}

TEST_F(ToolSqlTest, ScriptThatFailsSaysWhichLinesTookEffect) {
  std::ofstream(file_) << "CREATE TABLE t(v);\nINSERT INTO t\nVALUES (1);\nSELECT x FROM t;\nDELETE FROM t;\n";
  EXPECT_EQ(Sql("o --file " + file_),
            "holdfast: INVALID_ARGUMENT: line 4: no such column: x; lines 1 to 3 took effect (SQL_ERROR)\n");
  EXPECT_EQ(Sql("o --csv \"SELECT v FROM t\""), "v\r\n1\r\n");
}

TEST_F(ToolSqlTest, VersionIsThatOfTheLastMigration) {
  const std::string first = R"j({"version": 1, "statements": [{"sql": "CREATE TABLE t(v)"}]})j";
  const std::string second = R"j({"version": 7, "statements": [{"sql": "ALTER TABLE t ADD w"}]})j";
  std::ofstream(file_) << "[" << first << "]";
  EXPECT_EQ(Sql("o --migrations " + file_), "version before  0\nversion after   1\n");
  std::ofstream(file_) << "[" << first << ", " << second << "]";
  EXPECT_EQ(Sql("o --migrations " + file_), "version before  1\nversion after   7\n");
  EXPECT_EQ(Sql("o --migrations " + file_), "version before  7\nversion after   7\n");
  EXPECT_NE(Tool("object describe o").find("\nschema version  7\n"), std::string::npos);
}

TEST_F(ToolSqlTest, WhatDoesNotExistIsNeitherDescribedNorRemoved) {
  const std::string missing = "holdfast: NOT_FOUND: object o does not exist (NOT_FOUND)\n";
  EXPECT_EQ(Tool("object describe o </dev/null"), missing);
  EXPECT_EQ(Tool("object cleanup o </dev/null"), missing);
  ASSERT_EQ(Sql("o \"CREATE TABLE t(v)\""), "");
  EXPECT_EQ(Tool("object cleanup o </dev/null"), "cleaned up\n");
  EXPECT_EQ(Tool("object delete-all o </dev/null"), missing);
  EXPECT_EQ(Tool("object alarm set o +1h").substr(0, 8), "set for ");
  EXPECT_EQ(Tool("object delete-all o </dev/null"), "deleted\n");
}

TEST_F(ToolSqlTest, FileThatCannotBeUsedIsAnErrorAndLeavesWhatIsThere) {
  ASSERT_EQ(Sql("o \"CREATE TABLE t(v)\""), "");
  EXPECT_NE(Sql("o '.export /nowhere/file.db'").find("can't be written"), std::string::npos);
  EXPECT_NE(Sql("o '.import /nowhere/file.db'").find("can't be read"), std::string::npos);
  std::ofstream(file_) << "no database";
  EXPECT_NE(Sql("o '.import " + file_ + "'").find("SQL_ERROR"), std::string::npos);
  EXPECT_EQ(Sql("o .tables"), "t\n");
}

}  // namespace
}  // namespace holdfast::testing
