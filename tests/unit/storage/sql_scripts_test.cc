// Texts of several statements: dumps of sqlite3's shell, pairs of BEGIN and COMMIT, and where one statement ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "storage/sql/connection.h"
#include "tests/unit/storage/sql_harness.h"
#include "tests/unit/storage/status_matchers.h"

namespace holdfast::storage::sql {
namespace {

using absl::StatusCode;

testing::Matcher<const absl::Status&> Invalid(const std::string& text) {
  return IsStatus(StatusCode::kInvalidArgument, text);
}

std::vector<Row> Number(int64_t number) { return {{Value(number)}}; }

class SqlScripts : public testing::Test {
 protected:
  void ExpectForeignKeysEnforced() {
    EXPECT_THAT(object_.Do("CREATE TABLE parent (id INTEGER PRIMARY KEY)"), IsOk());
    EXPECT_THAT(object_.Do("CREATE TABLE child (p REFERENCES parent (id))"), IsOk());
    EXPECT_THAT(object_.Do("INSERT INTO child VALUES (1)"), IsStatus(StatusCode::kFailedPrecondition, "FOREIGN KEY"));
    EXPECT_THAT(object_.Do("DROP TABLE child; DROP TABLE parent"), IsOk());
  }

  SqlObject object_;
};

TEST_F(SqlScripts, ADumpOfTheShellIsLoaded) {
  std::stringstream dump;
  dump << std::ifstream(HOLDFAST_CASES "/shell-dump.sql").rdbuf();
  ASSERT_FALSE(dump.str().empty());
  ASSERT_THAT(object_.Do(dump.str()), IsOk());
  EXPECT_EQ(
      object_.Rows("SELECT id, customer, note FROM orders"),
      (std::vector<Row>{
          {int64_t{1}, int64_t{2}, "a;b"}, {int64_t{2}, int64_t{1}, Null{}}, {int64_t{3}, int64_t{2}, "COMMIT;"}}));
  EXPECT_EQ(object_.Rows("SELECT name, photo FROM customers WHERE id < 3"),
            (std::vector<Row>{{"O'Hara; \"the first\"", Blob{std::string("\0\xff", 2)}}, {"two\nlines", Null{}}}));
  EXPECT_EQ(object_.Rows("SELECT n FROM totals WHERE customer = 2"), Number(2));
  ASSERT_THAT(object_.Do("INSERT INTO orders (customer) VALUES (3)"), IsOk());
  EXPECT_EQ(object_.Rows("SELECT max(what) FROM log"), Number(4)) << "neither the trigger nor the sequence is there";
  EXPECT_THAT(object_.Do("INSERT INTO orders (customer) VALUES (4)"),
              IsStatus(StatusCode::kFailedPrecondition, "FOREIGN KEY"));
}

TEST_F(SqlScripts, ATableThatOthersReferToIsRebuilt) {
  ASSERT_THAT(object_.Do("CREATE TABLE p (id INTEGER PRIMARY KEY, v)"), IsOk());
  ASSERT_THAT(object_.Do("CREATE TABLE c (p REFERENCES p (id) ON DELETE CASCADE)"), IsOk());
  ASSERT_THAT(object_.Do("INSERT INTO p VALUES (1, 'a'); INSERT INTO c VALUES (1)"), IsOk());
  ASSERT_THAT(object_.Do("pragma Foreign_Keys = 0; begin immediate; CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT);"
                         "INSERT INTO n SELECT * FROM p; DROP TABLE p; ALTER TABLE n RENAME TO p; end transaction;"
                         "PRAGMA foreign_keys = yes; SELECT 1"),
              IsOk());
  EXPECT_EQ(object_.Rows("SELECT p FROM c"), Number(1));
  EXPECT_THAT(object_.Do("INSERT INTO c VALUES (2)"), IsStatus(StatusCode::kFailedPrecondition, "FOREIGN KEY"));
}

TEST_F(SqlScripts, ForeignKeysMustHoldAtTheEnd) {
  const std::string orphan =
      "PRAGMA foreign_keys = OFF; BEGIN; CREATE TABLE p (id INTEGER PRIMARY KEY);"
      "CREATE TABLE c (p REFERENCES p (id)); INSERT INTO c VALUES (1), (2); INSERT INTO p VALUES (1); COMMIT";
  const auto refused =
      IsStatus(StatusCode::kFailedPrecondition, "the row with rowid 2 of the table c refers to no row of p");
  EXPECT_THAT(object_.Do(orphan), refused);
  EXPECT_THAT(object_.Do(orphan + "; PRAGMA foreign_keys = ON; INSERT INTO p VALUES (2)"), refused);
  EXPECT_EQ(object_.Rows("SELECT count(*) FROM sqlite_schema"), Number(0));
  EXPECT_THAT(object_.Do(orphan + "; INSERT INTO p VALUES (2)"), IsOk());
}

TEST_F(SqlScripts, PragmaWithinThePairDoesNothing) {
  EXPECT_THAT(object_.Do("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id))"), IsOk());
  EXPECT_THAT(object_.Do("BEGIN; PRAGMA foreign_keys = OFF; INSERT INTO c VALUES (1); COMMIT"),
              IsStatus(StatusCode::kFailedPrecondition, "FOREIGN KEY"));
  EXPECT_EQ(object_.Rows("SELECT count(*) FROM c"), Number(0));
}

TEST_F(SqlScripts, WhatIsNoPairIsRefusedAndLeavesNothing) {
  const std::string table = "CREATE TABLE t (v);";
  for (const auto& [text, why] : std::vector<std::pair<std::string, std::string>>{
           {"BEGIN;" + table, "BEGIN is not allowed"},
           {table + "COMMIT", "COMMIT is not allowed"},
           {"BEGIN;" + table + "COMMIT; COMMIT", "COMMIT is not allowed"},
           {"BEGIN;" + table + "BEGIN; COMMIT; COMMIT", "BEGIN is not allowed within a transaction"},
           {"BEGIN;" + table + "ROLLBACK", "ROLLBACK is not allowed"},
           {"BEGIN;" + table + "SAVEPOINT s; COMMIT", "savepoints are not allowed"},
           {"PRAGMA foreign_keys = OFF;" + table, "PRAGMA foreign_keys is not allowed"},
           {"PRAGMA foreign_keys = ON;" + table, "PRAGMA foreign_keys is not allowed"},
           {"PRAGMA foreign_keys = maybe; BEGIN;" + table + "COMMIT", "PRAGMA foreign_keys is not allowed"},
           {"PRAGMA writable_schema = ON; BEGIN;" + table + "COMMIT", "ImportSql takes a database as a file"},
           {"BEGIN;" + table + "nonsense; COMMIT", "syntax error"}}) {
    EXPECT_THAT(object_.Do(text), Invalid(why)) << text;
    EXPECT_EQ(object_.Rows("SELECT count(*) FROM sqlite_schema"), Number(0)) << text;
  }
  ExpectForeignKeysEnforced();
}

TEST_F(SqlScripts, AnErrorWithForeignKeysOffEndsTheConnection) {
  ASSERT_THAT(object_.Do("SELECT 1"), IsOk());
  Connection* const connection = object_.connection();
  ASSERT_THAT(connection->Begin(Where::kWorker), IsOk());
  EXPECT_THAT(connection->Execute("PRAGMA foreign_keys = OFF; BEGIN; SELECT nonsense; COMMIT", {}).status(),
              Invalid("no such column"));
  EXPECT_FALSE(connection->usable());
  object_.DropTurn();
  ExpectForeignKeysEnforced();
}

TEST_F(SqlScripts, APairIsNoQuery) {
  ASSERT_THAT(object_.Do("SELECT 1"), IsOk());
  ASSERT_THAT(object_.connection()->Begin(Where::kWorker), IsOk());
  for (const std::string text : {"BEGIN", "COMMIT", "PRAGMA foreign_keys = OFF"}) {
    EXPECT_THAT(object_.connection()->Query(text, {}).status(), Invalid("a query is no BEGIN")) << text;
  }
  object_.connection()->Rollback();
  object_.DropTurn();
  EXPECT_THAT(object_.Do("EXPLAIN BEGIN"), IsOk());
}

// --- The end of a statement when only a part of the text is read

TEST_F(SqlScripts, StatementsOfAnyLengthFollowOneAnother) {
  ASSERT_THAT(object_.Do("CREATE TABLE t (bytes, v)"), IsOk());
  // The texts have about the sizes of the parts, with semicolons everywhere.
  std::string text;
  int64_t count = 0;
  for (const int part : {1, 4096, 32768}) {
    for (int bytes = std::max(1, part - 70); bytes < part + 10; ++bytes) {
      absl::StrAppend(&text, "INSERT INTO t VALUES (", bytes, ", '", std::string(static_cast<size_t>(bytes), ';'),
                      "') ;;\n -- one; more\n");
      ++count;
    }
  }
  ASSERT_GT(text.size(), 2'000'000u);
  ASSERT_THAT(object_.Do(text), IsOk());
  EXPECT_EQ(object_.Rows("SELECT count(*) FROM t WHERE length(v) = bytes"), Number(count));
}

TEST_F(SqlScripts, ManySmallStatementsAreOneText) {
  std::string text = "BEGIN; CREATE TABLE t (v INTEGER PRIMARY KEY);";
  for (int i = 0; i < 20'000; ++i) absl::StrAppend(&text, "INSERT INTO t VALUES (", i, ");");
  ASSERT_THAT(object_.Do(text + "COMMIT;"), IsOk());
  EXPECT_EQ(object_.Rows("SELECT count(*) FROM t"), Number(20'000));
}

TEST_F(SqlScripts, OneStatementHasABound) {
  ASSERT_THAT(object_.Do("CREATE TABLE t (v)"), IsOk());
  const auto insert = [](size_t bytes) {
    return absl::StrCat("INSERT INTO t VALUES ('", std::string(bytes - 26, 'x'), "');");
  };
  EXPECT_THAT(object_.Do(insert(100'000) + insert(100'000) + "SELECT 1"), IsOk());
  const auto too_long = Invalid("a statement may have at most 100000 bytes");
  for (const size_t bytes : {100'001, 100'008, 100'009, 3'000'000}) {
    EXPECT_THAT(object_.Do(insert(bytes)), too_long) << bytes;
    EXPECT_THAT(object_.Do(insert(100) + insert(bytes)), too_long) << bytes;
    EXPECT_THAT(object_.Do(insert(bytes) + insert(100)), too_long) << bytes;
  }
  EXPECT_THAT(object_.Do("SELECT 1; /*" + std::string(200'000, 'x') + "*/"), too_long);
  EXPECT_EQ(object_.Rows("SELECT count(*) FROM t"), Number(2));
}

TEST_F(SqlScripts, AnErrorInALargeTextIsThatOfItsStatement) {
  std::string rest;
  for (int i = 0; i < 20'000; ++i) absl::StrAppend(&rest, "SELECT ", i, ", 'xxxxxxxxxx';");
  EXPECT_THAT(object_.Do("SELEKT 1;" + rest), Invalid("near \"SELEKT\": syntax error"));
  EXPECT_THAT(object_.Do("SELECT missing;" + rest), Invalid("no such column: missing"));
  EXPECT_THAT(object_.Do("SELECT @;" + rest), Invalid("unrecognized token"));
  EXPECT_THAT(object_.Do("CREATE TABLE _holdfast_x (v);" + rest), Invalid("are reserved"));
}

// Blanks, comments and empty statements count as a part of the statement after them, so that a text of them ends at
// once.
TEST_F(SqlScripts, TextsOfNothingAreTooLong) {
  for (const std::string piece : {";", " ", "--\n", "/**/;"}) {
    std::string text;
    while (text.size() < 4'000'000) text += piece;
    EXPECT_THAT(object_.Do(text), Invalid("a statement may have at most 100000 bytes")) << piece;
  }
}

}  // namespace
}  // namespace holdfast::storage::sql
