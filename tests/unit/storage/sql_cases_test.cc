// Statements that, with another SQLite or without a bound, ended the server or got a wrong answer.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sql/connection.h"
#include "tests/unit/storage/sql_harness.h"

namespace holdfast::storage::sql {
namespace {

using absl::StatusCode;

void DoAll(SqlObject& object, const std::vector<std::string>& statements) {
  std::vector<Statement> turn;
  for (const std::string& sql : statements) turn.push_back({sql, {}});
  ASSERT_THAT(object.Turn(turn).status(), IsOk());
}

TEST(SqlCases, ATokenizerWithHalfAnOptionIsAnError) {
  SqlObject object;
  const absl::Status status = object.Do("CREATE VIRTUAL TABLE n USING fts5(body, tokenize='trigram case_sensitive')");
  EXPECT_THAT(status, IsStatus(StatusCode::kInvalidArgument, "tokenizer"));
  EXPECT_EQ(FailureOf(status).kind, FailureKind::kSqlError);
}

TEST(SqlCases, AConcatenationOfEmptyTextsIsEmpty) {
  SqlObject object;
  DoAll(object, {"CREATE TABLE t(id, v)", "INSERT INTO t VALUES (1, NULL), (2, ''), (3, 'x')"});
  for (const std::string function : {"group_concat(v, '/')", "string_agg(v, '/')", "group_concat(v)"}) {
    EXPECT_EQ(object.Rows("SELECT hex(" + function + " OVER (PARTITION BY id ORDER BY id GROUPS CURRENT ROW)) FROM t"),
              (std::vector<Row>{{std::string()}, {std::string()}, {std::string("78")}}))
        << function;
  }
}

TEST(SqlCases, ARightJoinKeepsItsRows) {
  SqlObject object;
  DoAll(object, {"CREATE TABLE a(x)", "CREATE TABLE b(y)", "CREATE TABLE c(z)", "INSERT INTO a VALUES(1)",
                 "INSERT INTO b VALUES(2)", "INSERT INTO c VALUES(3)"});
  const std::vector<Row> expected = {{Null{}, Null{}, int64_t{3}}};
  EXPECT_EQ(object.Rows("SELECT * FROM a JOIN b ON 0 RIGHT JOIN c ON 1"), expected);
  EXPECT_EQ(object.Rows("SELECT * FROM a JOIN b ON 0 FULL JOIN c ON 0"), expected);
}

TEST(SqlCases, JsonOfAnInfinityIsJson) {
  SqlObject object;
  EXPECT_EQ(object.Rows("SELECT json_valid(json_array(9e999))"), (std::vector<Row>{{int64_t{1}}}));
}

TEST(SqlCases, AlterTableHasNoColumns) {
  SqlObject object;
  DoAll(object, {"CREATE TABLE t(a)"});
  const auto results = object.Turn({{"ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT 1 CHECK (b > 0)", {}}});
  ASSERT_THAT(results.status(), IsOk());
  EXPECT_TRUE(results->front().columns.empty());
}

TEST(SqlCases, AnAutoincrementThatIsUsedUpIsNoQuota) {
  SqlObject object;
  DoAll(object, {"CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO t VALUES(9223372036854775807)"});
  const absl::Status status = object.Do("INSERT INTO t DEFAULT VALUES");
  EXPECT_THAT(status, IsStatus(StatusCode::kInvalidArgument, "AUTOINCREMENT"));
  EXPECT_EQ(FailureOf(status).kind, FailureKind::kSqlError);
  // The failed statement has left nothing behind, and the next one works.
  EXPECT_EQ(object.Rows("SELECT count(*) FROM t"), (std::vector<Row>{{int64_t{1}}}));
}

TEST(SqlCases, ADatabaseThatIsFullIsAQuota) {
  SqlObject object({.pages_max = 8});
  DoAll(object, {"CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)"});
  const absl::Status status = object.Do("INSERT INTO t(b) VALUES(zeroblob(100000))");
  EXPECT_EQ(FailureOf(status).kind, FailureKind::kDatabaseFull) << status;
}

// The deletion of each of a thousand rows deletes the next.
TEST(SqlCases, ADeletionCascadesAThousandDeep) {
  SqlObject object;
  DoAll(object, {"CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES c(id) ON DELETE CASCADE)",
                 "CREATE INDEX c_p ON c(p)", "INSERT INTO c VALUES(0, NULL)",
                 "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM r WHERE x<1000) "
                 "INSERT INTO c SELECT x, x-1 FROM r"});
  EXPECT_THAT(object.Do("DELETE FROM c WHERE id = 0"), IsOk());
  EXPECT_EQ(object.Rows("SELECT count(*) FROM c"), (std::vector<Row>{{int64_t{0}}}));
}

TEST(SqlCases, ACascadeThatIsDeeperIsAnError) {
  SqlObject object;
  DoAll(object, {"CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES c(id) ON DELETE CASCADE)",
                 "CREATE INDEX c_p ON c(p)", "INSERT INTO c VALUES(0, NULL)",
                 "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM r WHERE x<3000) "
                 "INSERT INTO c SELECT x, x-1 FROM r"});
  EXPECT_THAT(object.Do("DELETE FROM c WHERE id = 0"), IsStatus(StatusCode::kInvalidArgument, "too many levels"));
  EXPECT_EQ(object.Rows("SELECT count(*) FROM c"), (std::vector<Row>{{int64_t{3001}}}));
}

// A schema whose parts refer to each other in a chain takes SQLite down its stack; without a bound the process ends.
class SqlDepth : public ::testing::TestWithParam<const char*> {};

TEST_P(SqlDepth, AChainThatIsTooLongIsAnError) {
  const std::string kind = GetParam();
  constexpr int kLinks = 10'000;
  constexpr int kLinksPerTurn = 1000;
  SqlObject object({.time_max = absl::Seconds(60)});
  ASSERT_THAT(object.Do("CREATE TABLE t0(a INTEGER PRIMARY KEY, b)"), IsOk());
  if (kind == "views") {
    ASSERT_THAT(object.Do("CREATE VIEW v0 AS SELECT a FROM t0"), IsOk());
  }
  for (int i = 1; i < kLinks;) {
    std::vector<Statement> turn;
    for (; i < kLinks && turn.size() < kLinksPerTurn; ++i) {
      if (kind == "views") {
        turn.push_back(
            {absl::StrCat("CREATE VIEW v", i, " AS SELECT max(a) a FROM v", i - 1, " GROUP BY a LIMIT 5"), {}});
      } else if (kind == "triggers") {
        turn.push_back({absl::StrCat("CREATE TABLE t", i, "(a INTEGER PRIMARY KEY, b)"), {}});
        turn.push_back({absl::StrCat("CREATE TRIGGER g", i, " AFTER INSERT ON t", i - 1, " BEGIN INSERT INTO t", i,
                                     " SELECT a, (SELECT max(b) FROM t", i - 1, ") FROM t", i - 1, "; END"),
                        {}});
      } else {
        turn.push_back(
            {absl::StrCat("CREATE TABLE t", i, "(a INTEGER PRIMARY KEY REFERENCES t", i - 1, "(a) ON DELETE CASCADE)"),
             {}});
      }
    }
    ASSERT_THAT(object.Turn(turn).status(), IsOk()) << i;
  }
  const std::string sql = kind == "views"      ? absl::StrCat("SELECT * FROM v", kLinks - 1)
                          : kind == "triggers" ? "INSERT INTO t0 VALUES(1, 2)"
                                               : "DELETE FROM t0 WHERE a = 1";
  const absl::Status status = object.Do(sql);
  EXPECT_THAT(status, IsStatus(StatusCode::kInvalidArgument, "too"));
  EXPECT_EQ(FailureOf(status).kind, FailureKind::kSqlError);
  EXPECT_EQ(object.Rows("SELECT count(*) FROM t0"), (std::vector<Row>{{int64_t{0}}}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, SqlDepth, ::testing::Values("views", "triggers", "foreign_keys"),
                         [](const auto& info) { return std::string(info.param); });

TEST(SqlCases, StatementsThatNestDeepAreErrors) {
  SqlObject object;
  const auto repeat = [](const std::string& part, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
  };
  constexpr int kDeep = 3000;
  for (const std::string& sql :
       {repeat("SELECT * FROM (", kDeep) + "SELECT 1" + repeat(")", kDeep),
        "SELECT " + repeat("(", kDeep) + "1" + repeat(")", kDeep), "SELECT " + repeat("NOT ", kDeep) + "1",
        repeat("WITH a AS (", kDeep) + "SELECT 1" + repeat(") SELECT * FROM a", kDeep),
        "SELECT json('" + repeat("[", kDeep) + repeat("]", kDeep) + "')",
        "SELECT 1 WHERE 1 IN (" + repeat("SELECT 1 WHERE 1 IN (", kDeep) + "1" + repeat(")", kDeep + 1)}) {
    EXPECT_EQ(FailureOf(object.Do(sql)).kind, FailureKind::kSqlError) << sql.substr(0, 60);
  }
}

}  // namespace
}  // namespace holdfast::storage::sql
