// The limits of SQL: one case below and one above each limit, and the results of hostile statements.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "storage/sql/connection.h"
#include "storage/sql/program.h"
#include "tests/unit/storage/sql_harness.h"
#include "tests/unit/storage/temp_dir.h"

namespace holdfast::storage::sql {
namespace {

using absl::StatusCode;

// Returns the element n times, with its number for $.
std::string List(int n, const std::string& element, const std::string& between = ", ") {
  std::vector<std::string> elements;
  for (int i = 1; i <= n; ++i) elements.push_back(absl::StrReplaceAll(element, {{"$", absl::StrCat(i)}}));
  return absl::StrJoin(elements, between);
}

std::vector<Row> Number(int64_t number) { return {{Value(number)}}; }

testing::Matcher<const absl::Status&> Invalid(const std::string& text) {
  return IsStatus(StatusCode::kInvalidArgument, text);
}

TEST(SqlLimits, StatementsHaveSoManyBytes) {
  SqlObject object;
  const auto text = [](size_t bytes) { return absl::StrCat("SELECT 1 -- ", std::string(bytes - 12, 'x')); };
  EXPECT_THAT(object.Do(text(100'000)), IsOk());
  EXPECT_THAT(object.Do(text(100'001)), Invalid("at most 100000"));
}

TEST(SqlLimits, AllDatabasesTogetherHaveSoMuchMemory) {
  constexpr size_t kMax = 32 << 20;
  HeapTotal total(kMax);
  SqlObject object;
  object.set_heap_total(&total);
  const std::string large =
      "SELECT length(group_concat(hex(zeroblob(2000)), '')) FROM (VALUES" + List(700, "($)") + ")";
  EXPECT_EQ(object.Rows(large), Number(2'800'000));
  EXPECT_LT(total.bytes, kMax / 2) << "what a statement took is given back";
  // Other databases take the rest.
  const size_t others = kMax - total.bytes;
  total.bytes += others;
  const absl::Status refused = object.Do(large);
  EXPECT_THAT(refused, IsStatus(StatusCode::kResourceExhausted, "sql.heap_bytes_of_all_max"));
  EXPECT_EQ(FailureOf(refused).kind, FailureKind::kBusy);
  EXPECT_THAT(object.Do("SELECT 1"), IsOk()) << "a small one is not refused";
  total.bytes -= others;
  EXPECT_EQ(object.Rows(large), Number(2'800'000));
}

TEST(SqlLimits, StatementsHaveSoManyParameters) {
  SqlObject object;
  EXPECT_THAT(
      object.Do(absl::StrCat("SELECT coalesce(", List(31, "?"), "), ", List(69, "?")), std::vector<Value>(100, Null{})),
      IsOk());
  EXPECT_THAT(object.Do("SELECT ?101", std::vector<Value>(101, Null{})), Invalid("variable number"));
  EXPECT_THAT(object.Do(absl::StrCat("SELECT ", List(50, "?"), " UNION ALL SELECT ", List(51, "?")),
                        std::vector<Value>(101, Null{})),
              Invalid("too many SQL variables"));
}

TEST(SqlLimits, TablesAndResultsHaveSoManyColumns) {
  SqlObject object;
  EXPECT_THAT(object.Do(absl::StrCat("CREATE TABLE t (", List(100, "c$"), ")")), IsOk());
  EXPECT_THAT(object.Do(absl::StrCat("CREATE TABLE u (", List(101, "c$"), ")")), Invalid("too many columns"));
  EXPECT_THAT(object.Do("ALTER TABLE t ADD COLUMN c101"), Invalid("too many columns"));
  EXPECT_THAT(object.Do("SELECT * FROM t"), IsOk());
  EXPECT_THAT(object.Do("SELECT *, 1 FROM t"), Invalid("too many columns"));
}

TEST(SqlLimits, ValuesHaveSoManyBytes) {
  SqlObject object({.result_bytes_max = 8 << 20});
  constexpr size_t kMax = 2 << 20;
  ASSERT_THAT(object.Do("CREATE TABLE t (a, b)"), IsOk());
  for (const bool blob : {false, true}) {
    const auto value = [&](size_t bytes) {
      return blob ? Value(Blob{std::string(bytes, 'x')}) : Value(std::string(bytes, 'x'));
    };
    EXPECT_THAT(object.Do("INSERT INTO t VALUES (?1, ?2)", {value(kMax), value(kMax)}), IsOk()) << "a row has more";
    EXPECT_THAT(object.Do("INSERT INTO t VALUES (?, 1)", {value(kMax + 1)}), Invalid("parameter 1 is too big"));
  }
  EXPECT_EQ(object.Rows("SELECT length(a), length(b) FROM t LIMIT 1"),
            (std::vector<Row>{{int64_t{kMax}, int64_t{kMax}}}));
  EXPECT_EQ(object.Rows("SELECT a FROM t").size(), 2u);
  // A value that SQL computes may have up to a row's bytes; it is read in parts.
  EXPECT_THAT(object.Do("SELECT a || 'x' FROM t"), Invalid("column 1 of the result is too big"));
  ASSERT_THAT(object.Do("INSERT INTO t SELECT zeroblob(?), 'long'", {int64_t{4 << 20}}), IsOk());
  EXPECT_THAT(object.Do("SELECT a FROM t WHERE b = 'long'"), Invalid("column 1 of the result is too big"));
  EXPECT_EQ(object.Rows("SELECT length(substr(a, 4000000)) FROM t WHERE b = 'long'"), Number((4 << 20) - 4000000 + 1));
  EXPECT_THAT(object.Do("INSERT INTO t SELECT zeroblob(?), 'longer'", {int64_t{(4 << 20) + (64 << 10)}}),
              Invalid("too big"));
}

TEST(SqlLimits, PatternsHaveSoManyBytes) {
  SqlObject object;
  for (const std::string op : {"LIKE", "GLOB"}) {
    EXPECT_THAT(object.Do(absl::StrCat("SELECT 'a' ", op, " ?"), {std::string(50, 'a')}), IsOk());
    EXPECT_THAT(object.Do(absl::StrCat("SELECT 'a' ", op, " ?"), {std::string(51, 'a')}),
                Invalid("pattern too complex"));
  }
}

TEST(SqlLimits, FunctionsHaveSoManyArguments) {
  SqlObject object;
  EXPECT_THAT(object.Do(absl::StrCat("SELECT max(", List(32, "$"), ")")), IsOk());
  EXPECT_THAT(object.Do(absl::StrCat("SELECT max(", List(33, "$"), ")")), Invalid("too many arguments"));
}

TEST(SqlLimits, ResultsHaveSoManyBytes) {
  SqlObject object({.result_bytes_max = 1 << 20});
  const auto bytes = [](int64_t n) { return std::vector<Value>{n}; };
  EXPECT_EQ(object.Rows("SELECT zeroblob(?)", bytes((1 << 20) - 16)).size(), 1u) << "16 bytes for the value itself";
  const absl::Status above = object.Do("SELECT zeroblob(?)", bytes((1 << 20) - 15));
  EXPECT_THAT(above, IsStatus(StatusCode::kResourceExhausted, "LIMIT"));
  EXPECT_EQ(FailureOf(above).kind, FailureKind::kResultTooLarge);
  EXPECT_NE(object.connection(), nullptr);
  // RETURNING has written all rows when it returns the first.
  ASSERT_THAT(object.Do("CREATE TABLE t (v)"), IsOk());
  EXPECT_EQ(FailureOf(object.Do("INSERT INTO t VALUES (1), (2) RETURNING zeroblob(1000000)")).kind,
            FailureKind::kResultTooLarge);
  EXPECT_EQ(object.connection(), nullptr);
  EXPECT_EQ(object.Rows("SELECT count(*) FROM t"), Number(0));
}

// The results of all statements of a transaction are held together, so that they have one bound.
TEST(SqlLimits, ResultsOfATransactionHaveSoManyBytes) {
  SqlObject object({.result_bytes_max = 1 << 20, .result_memory_bytes_max = 4 << 20});
  const Statement half = {"SELECT zeroblob(600000)"};
  EXPECT_THAT(object.Turn({half}), IsOk());
  EXPECT_EQ(FailureOf(object.Turn({half, half}).status()).kind, FailureKind::kResultTooLarge);
  EXPECT_THAT(object.Turn({{"SELECT zeroblob(600000); SELECT 1"}, half}), IsOk()) << "the first is not answered";
  EXPECT_THAT(object.Turn({half}), IsOk()) << "another transaction";
  // Numbers take more memory than bytes on the wire.
  const Statement numbers = {
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) SELECT i FROM n",
      {int64_t{15'000}}};
  EXPECT_THAT(object.Turn({numbers}), IsOk());
  EXPECT_EQ(FailureOf(object.Turn({numbers, numbers}).status()).kind, FailureKind::kResultTooLarge);
}

TEST(SqlLimits, ADatabaseHasSoManyPages) {
  SqlObject object({.pages_max = 20});
  ASSERT_THAT(object.Do("CREATE TABLE t (v)"), IsOk());
  // There are four pages: the schema, the map of pages, the table's root, and one page with the bytes of a row.
  EXPECT_THAT(object.Do("INSERT INTO t VALUES (zeroblob(17 * 4092))"), IsOk());
  EXPECT_EQ(object.PageCount(), 20u);
  const absl::Status full = object.Do("INSERT INTO t VALUES (zeroblob(4092))");
  EXPECT_THAT(full, IsStatus(StatusCode::kResourceExhausted, "full"));
  EXPECT_EQ(FailureOf(full).kind, FailureKind::kDatabaseFull);
  EXPECT_EQ(object.Rows("SELECT count(*) FROM t"), Number(1));
  EXPECT_THAT(object.Do("DELETE FROM t"), IsOk());
}

TEST(SqlLimits, ATurnHasSoManyPages) {
  SqlObject object({.cache_bytes = 64 << 10}, 1 << 20);
  ASSERT_THAT(object.Do("CREATE TABLE t (v)"), IsOk());
  const absl::Status status = object.Do("INSERT INTO t VALUES (zeroblob(2000000))");
  EXPECT_EQ(FailureOf(status).kind, FailureKind::kTurnTooLarge) << status;
  EXPECT_EQ(object.connection(), nullptr);
  EXPECT_EQ(object.Rows("SELECT count(*) FROM t"), Number(0));
}

// The clock of this object advances whenever it is read.
class SqlTime : public testing::Test {
 protected:
  SqlTime() {
    EXPECT_THAT(object_.Turn({{"CREATE TABLE t (id INTEGER PRIMARY KEY, v)"},
                              {"INSERT INTO t VALUES (1, zeroblob(100000))"},
                              {"CREATE VIEW v0 AS SELECT id AS n FROM t LIMIT 9"}}),
                IsOk());
    for (int i = 1; i <= 20; ++i) {
      EXPECT_THAT(
          object_.Do(absl::StrCat("CREATE VIEW v", i, " AS SELECT a.n FROM v", i - 1, " a, v", i - 1, " b LIMIT 9")),
          IsOk());
    }
    object_.Reopen();
    connection_ = *Connection::Open(&object_.pages(), {.now = [this] { return now_ += tick_; }});
  }

  absl::Status Run(const std::string& sql, const std::vector<Value>& params = {}) {
    EXPECT_THAT(connection_->Begin(Where::kWorker), IsOk());
    const absl::Time begin = now_;
    const absl::Status status = connection_->Execute(sql, params).status();
    took_ = now_ - begin;
    return status;
  }

  SqlObject object_;
  absl::Time now_ = absl::UnixEpoch();
  absl::Duration tick_ = absl::Milliseconds(100);
  absl::Duration took_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(SqlTime, WhatDoesNotEndIsInterrupted) {
  for (const std::string sql :
       {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "SELECT * FROM v20 LIMIT 0",  // takes long to prepare
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n), m AS (SELECT randomblob(1000000) AS b FROM "
        "n) "
        "SELECT max(length(hex(b))) FROM m"}) {
    const absl::Status status = Run(sql);
    EXPECT_THAT(status, IsStatus(StatusCode::kResourceExhausted, "5s")) << sql;
    EXPECT_EQ(FailureOf(status).kind, FailureKind::kTimeLimit) << sql;
    EXPECT_LT(took_, absl::Milliseconds(5200)) << sql;
    EXPECT_THAT(connection_->Execute("SELECT 1", {}), IsStatus(StatusCode::kResourceExhausted, "5s"));
    connection_->Rollback();
    ASSERT_TRUE(connection_->usable()) << "it has only read";
    EXPECT_THAT(Run("SELECT 1"), IsOk());
    connection_->Rollback();
  }
}

TEST_F(SqlTime, TheTimeIsThatOfTheTransaction) {
  tick_ = absl::Milliseconds(1);
  const std::string sql =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT max(i) FROM n";
  EXPECT_THAT(Run(sql), IsOk());
  const int fit = static_cast<int>(absl::Seconds(5) / took_);
  EXPECT_GT(fit, 1);
  absl::Status status;
  int ran = 1;
  for (; status.ok() && ran < 2 * fit; ++ran) status = connection_->Execute(sql, {}).status();
  EXPECT_THAT(status, IsStatus(StatusCode::kResourceExhausted, "5s"));
  EXPECT_GE(ran, fit / 2);
}

TEST_F(SqlTime, WhatHasWrittenIsGone) {
  EXPECT_EQ(FailureOf(Run("WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n) "
                          "INSERT INTO t SELECT i, 1 FROM n"))
                .kind,
            FailureKind::kTimeLimit);
  connection_->Rollback();
  EXPECT_FALSE(connection_->usable());
  object_.DropTurn();
  EXPECT_EQ(object_.Rows("SELECT count(*) FROM t"), Number(1));
}

// SQLite checks the time where a statement jumps back; these statements compute for long before they do.
TEST(SqlTimeBetweenJumps, IsBounded) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (letters TEXT, digits TEXT COLLATE NOCASE)"), IsOk());
  ASSERT_THAT(object.Do("INSERT INTO t VALUES (replace(hex(zeroblob(200000)), '0', 'a'),"
                        " replace(hex(zeroblob(1500000)), '0', '1'))"),
              IsOk());
  struct Many {
    int count;
    std::string term;
    Value param;
  };
  for (const auto& [count, term, param] :
       {Many{400, "WHEN letters LIKE ?1 THEN $", "%a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_b"},
        Many{400, "WHEN letters GLOB ?1 THEN $", "*a[a]a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?b"},
        Many{1500, "WHEN digits + ?1 < 0 THEN $", int64_t{1}},
        Many{1500, "WHEN CAST(digits AS INTEGER) < ?1 THEN $", int64_t{1}},
        Many{1500, "WHEN json_valid(digits || $) = ?1 THEN $", int64_t{0}}}) {
    const absl::Time begin = absl::Now();
    const absl::Status status = object.Do(absl::StrCat("SELECT CASE ", List(count, term, " "), " END FROM t"), {param});
    EXPECT_LT(absl::Now() - begin, kUncheckedTimeMax + absl::Seconds(1)) << term;
    EXPECT_THAT(status, Invalid("too big")) << term;
    EXPECT_THAT(object.Do(absl::StrCat("SELECT CASE ", List(4, term, " "), " END FROM t"), {param}), IsOk()) << term;
  }
  // The program of a trigger is checked too, also for a cached statement.
  const std::string insert = "INSERT INTO u SELECT letters, ?1 FROM t";
  ASSERT_THAT(object.Do("CREATE TABLE u (v, x)"), IsOk());
  ASSERT_THAT(object.Do(insert, {1}), IsOk());
  ASSERT_THAT(object.Do(absl::StrCat("CREATE TRIGGER g AFTER INSERT ON u BEGIN SELECT CASE ",
                                     List(400, "WHEN new.v LIKE '%a_a_a_a_a_a_b' THEN $", " "), " END; END")),
              IsOk());
  EXPECT_THAT(object.Do(insert, {1}), Invalid("too big"));
}

// SQLite makes this optimization only for its own LIKE and GLOB.
TEST(SqlTimeBetweenJumps, PrefixesUseAnIndex) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (a TEXT COLLATE NOCASE, b TEXT)"), IsOk());
  ASSERT_THAT(object.Do("CREATE INDEX t_a ON t (a); CREATE INDEX t_b ON t (b)"), IsOk());
  for (const std::string where : {"a LIKE 'abc%'", "b GLOB 'abc*'"}) {
    const std::vector<Row> plan = object.Rows("EXPLAIN QUERY PLAN SELECT * FROM t WHERE " + where);
    ASSERT_FALSE(plan.empty());
    EXPECT_THAT(std::get<std::string>(plan[0][3]), testing::StartsWith("SEARCH t USING INDEX")) << where;
  }
}

// Statements that would hold much data at once are bounded by their memory and their temporary files.
TEST(SqlMemory, HostileStatementsEndWithBoundedMemory) {
  TempDir dir;
  TempSpace space(dir.path(), {.bytes_max = 24 << 20});
  SqlObject object;
  Limits limits;
  limits.heap_bytes_max = 24 << 20;
  limits.temp_bytes_max = 24 << 20;
  limits.time_max = absl::Seconds(1);
  const std::string rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) ";
  const std::string kMany = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) ";
  for (const std::string& sql :
       {rows + "SELECT group_concat(i) FROM n", rows + "SELECT json_group_array(randomblob(100) || i) FROM n",
        rows + "SELECT json_group_object(i, hex(randomblob(50000))) FROM n",
        rows + "SELECT hex(randomblob(1000)) AS r FROM n ORDER BY r", rows + "SELECT DISTINCT randomblob(1000) FROM n",
        rows + "SELECT randomblob(1000) AS r, count(*) FROM n GROUP BY r",
        rows + "SELECT 1 WHERE x'00' IN (SELECT randomblob(1000) FROM n)",
        rows + "SELECT sum(i) OVER (ORDER BY i ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM "
               "(SELECT i, randomblob(1000) FROM n)",
        rows + "SELECT last_value(randomblob(1000)) OVER () FROM n",
        rows + ", m AS MATERIALIZED (SELECT randomblob(1000) AS r FROM n) SELECT max(r) FROM m",
        rows + "SELECT randomblob(4000) FROM n UNION SELECT randomblob(4000) FROM n",
        rows + "INSERT INTO t SELECT i, randomblob(3000) FROM n RETURNING v",
        kMany + "INSERT INTO t SELECT i, randomblob(100000) FROM n",
        std::string("WITH RECURSIVE q(v) AS (SELECT randomblob(1000) UNION ALL SELECT randomblob(1000) FROM q, "
                    "(SELECT 1 UNION ALL SELECT 2)) SELECT count(*) FROM q"),
        std::string("WITH RECURSIVE q(v) AS (SELECT randomblob(1000) UNION SELECT randomblob(1000) FROM q) "
                    "SELECT count(*) FROM q"),
        rows + "SELECT group_concat(i) OVER (ORDER BY i) FROM n"}) {
    SCOPED_TRACE(sql);
    object.Reopen();
    ASSERT_THAT(object.Do("DROP TABLE IF EXISTS t"), IsOk());
    ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"), IsOk());
    object.Reopen();
    auto opened = Connection::Open(&object.pages(), {.limits = limits, .now = absl::Now, .temp_space = &space});
    ASSERT_THAT(opened, IsOk());
    Connection& connection = **opened;
    ASSERT_THAT(connection.Begin(Where::kWorker), IsOk());
    (void)connection.TakeMemoryPeak();
    const absl::Status status = connection.Execute(sql, {}).status();
    EXPECT_FALSE(status.ok());
    EXPECT_NE(FailureOf(status).kind, FailureKind::kOther) << status;
    EXPECT_LE(connection.TakeMemoryPeak(), limits.heap_bytes_max);
    connection.Rollback();
    object.DropTurn();
    if (connection.usable()) {
      EXPECT_THAT(connection.Begin(Where::kWorker), IsOk());
      EXPECT_THAT(connection.Execute("SELECT * FROM t", {}), IsOk());
      connection.Rollback();
    }
    opened->reset();
    EXPECT_EQ(space.bytes(), 0u);
  }
}

// Rows that are sorted go to a file without a name, and come back unchanged.
TEST(SqlMemory, SortsSpillToFiles) {
  TempDir dir;
  TempSpace space(dir.path(), {.bytes_max = 256 << 20});
  SqlObject object;
  auto opened = Connection::Open(&object.pages(),
                                 {.limits = {.heap_bytes_max = 8 << 20}, .now = absl::Now, .temp_space = &space});
  ASSERT_THAT(opened, IsOk());
  ASSERT_THAT((*opened)->Begin(Where::kWorker), IsOk());
  auto result = (*opened)->Execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000), "
      "s AS MATERIALIZED (SELECT i, zeroblob(1000) AS z FROM n ORDER BY (i * 7919) % 20011 LIMIT -1 OFFSET 0) "
      "SELECT count(*), sum(i), sum(length(z)) FROM s",
      {});
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->rows, (std::vector<Row>{{int64_t{20000}, int64_t{200010000}, int64_t{20000000}}}));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  (*opened)->Rollback();
}

TEST(SqlMemory, TemporaryFilesLeaveTheReserveOfTheDiskAlone) {
  constexpr uint64_t kReserve = 10 << 20;
  uint64_t free = kReserve + (8 << 20);
  TempDir dir;
  TempSpace space(dir.path(), {.bytes_max = 64 << 20, .disk_reserve_bytes = kReserve},
                  [&] { return free - space.bytes(); });
  SqlObject object;
  auto opened = Connection::Open(&object.pages(), {.now = absl::Now, .temp_space = &space});
  ASSERT_THAT(opened, IsOk());
  ASSERT_THAT((*opened)->Begin(Where::kWorker), IsOk());
  const std::string sort =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) "
      "SELECT count(*) FROM (SELECT randomblob(1000) AS r FROM n ORDER BY r LIMIT -1 OFFSET 1)";
  const absl::Status refused = (*opened)->Execute(sort, {}).status();
  EXPECT_EQ(FailureOf(refused).kind, FailureKind::kBusy) << refused;
  EXPECT_EQ(space.bytes(), 0u);
  EXPECT_FALSE(space.ReserveForImport(9 << 20));
  free += 64 << 20;
  EXPECT_THAT((*opened)->Execute(sort, {}), IsOk());
}

// The bound of the process holds for all connections together.
TEST(SqlMemory, TemporaryFilesAreBoundedTogether) {
  TempDir dir;
  TempSpace space(dir.path(), {.bytes_max = 1 << 20});
  ASSERT_TRUE(space.Reserve(512 << 10));
  SqlObject object;
  auto opened = Connection::Open(&object.pages(), {.now = absl::Now, .temp_space = &space});
  ASSERT_THAT(opened, IsOk());
  ASSERT_THAT((*opened)->Begin(Where::kWorker), IsOk());
  const auto sort = [&](int64_t rows) {
    const absl::Status status =
        (*opened)
            ->Execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
                "SELECT count(*) FROM (SELECT randomblob(1000) AS r FROM n ORDER BY r LIMIT -1 OFFSET 1)",
                {rows})
            .status();
    return FailureOf(status).kind;
  };
  EXPECT_EQ(sort(5000), FailureKind::kBusy) << "others have the rest";
  space.Release(512 << 10);
  EXPECT_EQ(space.bytes(), 0u);
}

// Only pages and statements stay after a transaction, and both are bounded.
TEST(SqlMemory, AConnectionIsSmall) {
  SqlObject object;
  ASSERT_THAT(object.Turn({{"CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT)"},
                           {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
                            "INSERT INTO users SELECT i, 'name' || i, 'name' || i || '@example.com' FROM n"}}),
              IsOk());
  object.Reopen();
  ASSERT_THAT(object.Do("SELECT 1"), IsOk());
  const size_t opened = object.connection()->memory_bytes();
  for (const std::string sql : {"SELECT * FROM users WHERE id = 7", "UPDATE users SET name = 'x' WHERE id = 9",
                                "INSERT INTO users (name) VALUES ('y')", "SELECT count(*) FROM users"}) {
    ASSERT_THAT(object.Do(sql), IsOk());
  }
  const size_t used = object.connection()->memory_bytes();
  RecordProperty("opened_bytes", static_cast<int>(opened));
  RecordProperty("used_bytes", static_cast<int>(used));
  EXPECT_LT(used, 128u << 10) << "of which " << opened << " when it was opened";
  ASSERT_THAT(object.Do("INSERT INTO users SELECT NULL, hex(randomblob(5000)), 'z' FROM users, users AS u LIMIT 500"),
              IsOk());
  EXPECT_EQ(object.Rows("SELECT count(*) FROM users"), Number(601));
  EXPECT_LT(object.connection()->memory_bytes(), Limits().cache_bytes * 5 / 4 + (128u << 10));
  object.connection()->ReleaseMemory();
  EXPECT_LT(object.connection()->memory_bytes(), 128u << 10);
  EXPECT_EQ(object.Rows("SELECT count(*) FROM users"), Number(601));
}

// In a database with many free pages, each commit gives some of them back, up to a bound.
TEST(SqlSpace, ComesBackInSteps) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"), IsOk());
  ASSERT_THAT(object.Do("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
                        "INSERT INTO t SELECT i, zeroblob(3000) FROM n"),
              IsOk());
  const uint32_t full = object.PageCount();
  ASSERT_GT(full, 1000u);
  ASSERT_THAT(object.Do("DELETE FROM t WHERE id % 10 = 0"), IsOk());
  EXPECT_EQ(object.PageCount(), full) << "not for a few, which will be used again";
  ASSERT_THAT(object.Do("DELETE FROM t WHERE id > 50"), IsOk());
  // A page of the map of pages may be given back with them.
  EXPECT_NEAR(object.PageCount(), full - Connection::kGivenBackOnWorker, 1);
  for (int i = 0; i < 5; ++i) ASSERT_THAT(object.Do("UPDATE t SET v = zeroblob(2999) WHERE id = 1"), IsOk());
  EXPECT_LT(object.PageCount(), 100u);
  object.Reopen();
  EXPECT_EQ(object.Rows("SELECT count(*), sum(length(v)) FROM t"), (std::vector<Row>{{int64_t{45}, int64_t{134999}}}));
  EXPECT_EQ(object.Rows("PRAGMA quick_check"), (std::vector<Row>{{Value(std::string("ok"))}}));
}

}  // namespace
}  // namespace holdfast::storage::sql
