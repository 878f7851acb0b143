// Some SQL runs on an object's executor, and the rest must run on a worker.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sql/connection.h"
#include "tests/unit/storage/sql_harness.h"

namespace holdfast::storage::sql {
namespace {

// The database has so many rows that a statement over all of them is not short.
class SqlShort : public testing::Test {
 protected:
  SqlShort() {
    EXPECT_THAT(
        object_.Turn({{"CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v, n INTEGER DEFAULT 0)"},
                      {"CREATE INDEX t_v ON t (v)"},
                      {"CREATE TABLE child (t REFERENCES t ON DELETE CASCADE, v)"},
                      {"CREATE INDEX child_t ON child (t)"},
                      {"CREATE TABLE log (id)"},
                      {"CREATE VIRTUAL TABLE search USING fts5(body)"},
                      {"CREATE TRIGGER noted AFTER UPDATE OF n ON t BEGIN INSERT INTO log VALUES (new.id); END"},
                      {"WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 3000) "
                       "INSERT INTO t (id, k, v) SELECT i, 'key' || i, i % 100 FROM i"},
                      {"INSERT INTO child SELECT id, 1 FROM t WHERE id < 50"}}),
        IsOk());
    Reopen();
  }

  void Reopen() {
    object_.Reopen();
    Connection::Open(&object_.pages(), {.now = [] { return absl::UnixEpoch(); }, .long_statements = &long_})
        .value()
        .swap(connection_);
  }

  // Executes one statement in a transaction of its own, and rolls it back.
  absl::Status On(Where where, const std::string& sql, const std::vector<Value>& params = {}) {
    if (!connection_->usable()) Reopen();
    EXPECT_THAT(connection_->Begin(where), IsOk());
    const absl::Status status = connection_->Execute(sql, params).status();
    connection_->Rollback();
    object_.DropTurn();
    return status;
  }
  absl::Status OnExecutor(const std::string& sql, const std::vector<Value>& params = {}) {
    return On(Where::kExecutor, sql, params);
  }

  SqlObject object_;
  LongStatements long_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(SqlShort, KeyedReadsAndWritesRunOnTheExecutor) {
  for (const std::string sql :
       {"SELECT * FROM t WHERE id = 7", "SELECT v FROM t WHERE k = 'key7'",
        "SELECT id FROM t WHERE v = 7 ORDER BY id LIMIT 10", "SELECT k FROM t ORDER BY id DESC LIMIT 5",
        "SELECT count(*), sum(id) FROM t WHERE v = 7",
        "SELECT t.k, child.v FROM t JOIN child ON child.t = t.id WHERE t.id = 3",
        "INSERT INTO t (k, v) VALUES ('new', 1)",
        "INSERT INTO t (id, k) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET v = v + 1 RETURNING v",
        "INSERT OR REPLACE INTO t (id, k, v) VALUES (3, 'z', 3)", "UPDATE t SET n = n + 1 WHERE id = 9",
        "DELETE FROM t WHERE id = 3",
        "SELECT json_extract('{\"a\":1}', '$.a'), length('x'), upper('x'), datetime('now')",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x", "SELECT 1 UNION SELECT 2", "SELECT 1; SELECT 2", ";SELECT 1",
        "SELECT 1;; SELECT 2", "-- x\n; /* y */; SELECT 1", "\xef\xbb\xbf;SELECT 1"}) {
    EXPECT_THAT(OnExecutor(sql), IsOk()) << sql;
    EXPECT_THAT(On(Where::kWorker, sql), IsOk()) << sql;
  }
}

TEST_F(SqlShort, WhatCanRunLongDoesNot) {
  for (const std::string sql : {"DELETE FROM log",         // Clear
                                "SELECT count(*) FROM t",  // Count
                                "CREATE TABLE u (v)",
                                "CREATE INDEX t_n ON t (n)",
                                "DROP TABLE log",
                                "ALTER TABLE t ADD COLUMN x",
                                "ALTER TABLE t RENAME TO u",
                                "REINDEX",
                                "ANALYZE",
                                "PRAGMA quick_check",
                                "PRAGMA table_info(t)",
                                "PRAGMA user_version",
                                "SELECT * FROM pragma_table_info('t')",
                                "EXPLAIN QUERY PLAN SELECT 1",
                                "EXPLAIN SELECT 1",
                                "SELECT * FROM search WHERE search MATCH 'x'",
                                "INSERT INTO search VALUES ('x')",
                                "SELECT * FROM json_each('[1]')",
                                "SELECT instr('a', 'b')",
                                "SELECT replace('a', 'b', 'c')",
                                "SELECT trim('a')",
                                "SELECT 'a' LIKE '%a'",
                                "SELECT 'a' GLOB '*a'",
                                "SELECT printf('%d', 1)",
                                "SELECT zeroblob(10)",
                                "SELECT group_concat(v) FROM t WHERE id = 1",
                                "SELECT row_number() OVER () FROM t WHERE id = 1"}) {
    EXPECT_TRUE(IsNeedsWorker(OnExecutor(sql))) << sql;
    EXPECT_TRUE(connection_->usable()) << sql;
    EXPECT_THAT(On(Where::kWorker, sql), IsOk()) << sql;
  }
}

// The answer of EXPLAIN has the programs of triggers and foreign keys, too.
TEST_F(SqlShort, WhatATriggerDoesCounts) {
  ASSERT_THAT(object_.Do("CREATE TRIGGER emptied AFTER INSERT ON child BEGIN DELETE FROM log; END"), IsOk());
  ASSERT_THAT(object_.Do("CREATE TRIGGER searched AFTER INSERT ON log BEGIN INSERT INTO search VALUES ('x'); END"),
              IsOk());
  ASSERT_THAT(object_.Do("CREATE TRIGGER found AFTER DELETE ON t BEGIN SELECT instr(old.k, 'x'); END"), IsOk());
  Reopen();
  EXPECT_TRUE(IsNeedsWorker(OnExecutor("INSERT INTO log VALUES (1)")));
  EXPECT_TRUE(IsNeedsWorker(OnExecutor("DELETE FROM t WHERE id = 1")));
  EXPECT_TRUE(IsNeedsWorker(OnExecutor("UPDATE t SET n = 1 WHERE id = 1"))) << "a trigger of a trigger";
}

// SQLite reads these expressions with the schema, and asks no authorizer about them.
TEST_F(SqlShort, WhatTheSchemaComputesCounts) {
  ASSERT_THAT(object_.Do("CREATE TABLE checked (v CHECK (v NOT LIKE 'x%'));"
                         "CREATE TABLE made (v, w AS (replace(v, 'a', 'b')) STORED);"
                         "CREATE TABLE given (v, w DEFAULT (hex(zeroblob(4))));"
                         "CREATE TABLE indexed (v); CREATE INDEX i ON indexed (trim(v));"
                         "CREATE TABLE part (v); CREATE INDEX p ON part (v) WHERE v GLOB 'a*';"
                         "CREATE TABLE fine (v CHECK (length(v) < 9), w AS (upper(v)), x DEFAULT (unixepoch()))"),
              IsOk());
  Reopen();
  for (const std::string table : {"checked", "made", "given", "indexed", "part"}) {
    EXPECT_TRUE(IsNeedsWorker(OnExecutor("INSERT INTO " + table + " (v) VALUES ('y')"))) << table;
  }
  EXPECT_THAT(OnExecutor("INSERT INTO fine (v) VALUES ('y')"), IsOk());
}

// A cached statement is checked again.
TEST(SqlShortAgain, WhenTheSchemaHasChanged) {
  SqlObject object;
  object.set_executor_first(true);
  ASSERT_THAT(object.Do("CREATE TABLE t (v); CREATE TABLE u (v)"), IsOk());
  const std::string insert = "INSERT INTO t VALUES ('a')";
  ASSERT_THAT(object.Do(insert), IsOk());
  ASSERT_THAT(object.Do(insert), IsOk());
  EXPECT_EQ(object.ran_on_executor(), 2);
  const Connection* connection = object.connection();
  ASSERT_THAT(
      object.Do("CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u VALUES (replace(new.v, 'a', 'b')); END"),
      IsOk());
  ASSERT_EQ(object.connection(), connection);
  ASSERT_THAT(object.Do(insert), IsOk());
  EXPECT_EQ(object.ran_on_executor(), 2);
  EXPECT_EQ(object.Rows("SELECT v FROM u"), (std::vector<Row>{{Value(std::string("b"))}}));
}

TEST_F(SqlShort, StepsAreBounded) {
  const std::string sql = "SELECT max(n + 1) FROM t WHERE id > ?";
  EXPECT_THAT(OnExecutor(sql, {int64_t{2990}}), IsOk());
  EXPECT_TRUE(IsNeedsWorker(OnExecutor(sql, {int64_t{1}})));
  EXPECT_TRUE(connection_->usable()) << "it has only read";
  EXPECT_TRUE(long_.Contains(sql));
  EXPECT_TRUE(IsNeedsWorker(OnExecutor(sql, {int64_t{2990}}))) << "from now on it runs on a worker";
  EXPECT_THAT(On(Where::kWorker, sql, {int64_t{1}}), IsOk());
  EXPECT_TRUE(IsNeedsWorker(OnExecutor(sql, {int64_t{2990}})));
  EXPECT_THAT(On(Where::kWorker, sql, {int64_t{2990}}), IsOk());
  EXPECT_THAT(OnExecutor(sql, {int64_t{2990}}), IsOk()) << "until one tells that it is short again";

  EXPECT_TRUE(IsNeedsWorker(OnExecutor("UPDATE t SET n = n + 1")));
  EXPECT_FALSE(connection_->usable()) << "it has written";
  EXPECT_TRUE(long_.Contains("UPDATE t SET n = n + 1")) << "that outlives the connection";
  EXPECT_TRUE(IsNeedsWorker(OnExecutor("UPDATE t SET n = n + 1")));
  EXPECT_TRUE(connection_->usable()) << "it has not run";
}

// The bound is on all statements of a transaction together.
TEST_F(SqlShort, TransactionsAreBounded) {
  ASSERT_THAT(connection_->Begin(Where::kExecutor), IsOk());
  int statements = 0;
  absl::Status status;
  for (; status.ok(); ++statements) status = connection_->Execute("SELECT v FROM t WHERE id = 1", {}).status();
  EXPECT_TRUE(IsNeedsWorker(status)) << status;
  EXPECT_GT(statements, 200);
  EXPECT_LT(statements, 1000);
  EXPECT_TRUE(IsNeedsWorker(connection_->Execute("SELECT 1", {}).status()));
  EXPECT_TRUE(IsNeedsWorker(connection_->Commit()));
  connection_->Rollback();
  EXPECT_TRUE(connection_->usable());
  EXPECT_THAT(OnExecutor("SELECT v FROM t WHERE id = 1"), IsOk());
}

TEST_F(SqlShort, SizesAreBounded) {
  EXPECT_THAT(OnExecutor("SELECT length(?)", {std::string(kShortValueBytes, 'x')}), IsOk());
  EXPECT_TRUE(IsNeedsWorker(OnExecutor("SELECT length(?)", {std::string(kShortValueBytes + 1, 'x')})));
  const std::vector<Value> four(4, std::string(kShortValueBytes, 'x'));
  EXPECT_THAT(OnExecutor("SELECT length(?), length(?), length(?), length(?)", four), IsOk());
  std::vector<Value> five = four;
  five.push_back(int64_t{1});
  EXPECT_TRUE(IsNeedsWorker(OnExecutor("SELECT length(?), length(?), length(?), length(?), ?", five)));
  EXPECT_TRUE(IsNeedsWorker(OnExecutor("SELECT ?1 || ?1", {std::string(kShortValueBytes, 'x')})));
  const auto text = [](size_t bytes) { return absl::StrCat("SELECT 1 -- ", std::string(bytes - 12, 'x')); };
  EXPECT_THAT(OnExecutor(text(kShortStatementBytes)), IsOk());
  EXPECT_TRUE(IsNeedsWorker(OnExecutor(text(kShortStatementBytes + 1))));
  ASSERT_THAT(object_.Do("INSERT INTO log VALUES (zeroblob(?))", {int64_t{kShortValueBytes + 1}}), IsOk());
  Reopen();
  EXPECT_TRUE(IsNeedsWorker(OnExecutor("SELECT * FROM log")));
  EXPECT_TRUE(connection_->usable());
}

// Each row is a page in this table.
TEST_F(SqlShort, PagesAreBounded) {
  ASSERT_THAT(object_.Do("INSERT INTO log SELECT zeroblob(4000) FROM t LIMIT 600"), IsOk());
  Reopen();
  const std::string sql = "SELECT count(id) FROM log WHERE rowid <= ?";
  EXPECT_THAT(OnExecutor(sql, {int64_t{400}}), IsOk());
  Reopen();
  EXPECT_TRUE(IsNeedsWorker(OnExecutor(sql, {int64_t{600}})));
  EXPECT_TRUE(connection_->usable());
  EXPECT_TRUE(long_.Contains(sql));
}

// Each view of views doubles the work; SQLite takes no step while it prepares the statement.
TEST_F(SqlShort, PreparingIsBounded) {
  ASSERT_THAT(object_.Do("CREATE VIEW v0 AS SELECT n FROM t LIMIT 9"), IsOk());
  for (int i = 1; i <= 12; ++i) {
    ASSERT_THAT(
        object_.Do(absl::StrCat("CREATE VIEW v", i, " AS SELECT a.n FROM v", i - 1, " a, v", i - 1, " b LIMIT 9")),
        IsOk());
  }
  Reopen();
  EXPECT_TRUE(IsNeedsWorker(OnExecutor("SELECT * FROM v12 LIMIT 0")));
  EXPECT_TRUE(connection_->usable());
  EXPECT_THAT(OnExecutor("SELECT v FROM t WHERE id = 1"), IsOk());
}

// Reading the schema is bounded, too.
TEST(SqlOpening, IsBoundedOnTheExecutor) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t0 (v)"), IsOk());
  const auto open = [&](Where where) {
    object.Reopen();
    return Connection::Open(&object.pages(), {.now = absl::Now, .where = where}).status();
  };
  EXPECT_THAT(open(Where::kExecutor), IsOk());
  std::string tables;
  for (int i = 1; i <= 2000; ++i) absl::StrAppend(&tables, "CREATE TABLE t", i, " (a, b, c);");
  ASSERT_THAT(object.Do(tables), IsOk());
  EXPECT_TRUE(IsNeedsWorker(open(Where::kExecutor)));
  EXPECT_THAT(open(Where::kWorker), IsOk());
  object.Reopen();
  auto stopped = Connection::Open(&object.pages(), {.now = absl::Now, .stop = [] { return true; }});
  EXPECT_EQ(FailureOf(stopped.status()).kind, FailureKind::kTimeLimit) << stopped.status();
  // The harness opens a connection of its own.
  object.set_executor_first(true);
  object.Reopen();
  EXPECT_THAT(object.Do("SELECT * FROM t7"), IsOk());
  EXPECT_EQ(object.ran_on_executor(), 0);
  EXPECT_THAT(object.Do("SELECT * FROM t7"), IsOk());
  EXPECT_EQ(object.ran_on_executor(), 1);
}

// A read that needs the disk keeps the connection; a transaction that has written and then needs the disk does not.
TEST(SqlCold, WhatHasOnlyReadKeepsTheConnection) {
  SqlObject object;
  object.set_executor_first(true);
  ASSERT_THAT(object.Turn({{"CREATE TABLE t (id INTEGER PRIMARY KEY, v)"},
                           {"CREATE TABLE u (v)"},
                           {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) "
                            "INSERT INTO t SELECT i, zeroblob(1000) FROM n"}}),
              IsOk());
  object.Settle();
  object.Reopen();
  ASSERT_THAT(object.Do("SELECT v FROM t WHERE id = 1"), IsOk());
  EXPECT_EQ(object.ran_on_executor(), 1);
  const Connection* connection = object.connection();
  object.set_tier(ReadTier::kMemory);
  object.store().set_cold(true);
  EXPECT_TRUE(IsNeedsWorker(object.Do("SELECT v FROM t WHERE id = 200")));
  EXPECT_EQ(object.connection(), connection);
  object.set_tier(ReadTier::kDisk);
  EXPECT_EQ(object.Rows("SELECT length(v) FROM t WHERE id = 200"), (std::vector<Row>{{int64_t{1000}}}));
  EXPECT_EQ(object.connection(), connection);
  EXPECT_EQ(object.ran_on_executor(), 2);

  object.set_tier(ReadTier::kMemory);
  EXPECT_TRUE(
      IsNeedsWorker(object.Turn({{"UPDATE t SET v = 1 WHERE id = 200"}, {"SELECT v FROM t WHERE id = 100"}}).status()));
  EXPECT_EQ(object.connection(), nullptr);
  object.set_tier(ReadTier::kDisk);
  EXPECT_EQ(object.Rows("SELECT length(v) FROM t WHERE id = 200"), (std::vector<Row>{{int64_t{1000}}}));
}

TEST_F(SqlShort, ErrorsAreWhatTheyAre) {
  EXPECT_EQ(FailureOf(OnExecutor("SELECT nonsense")).kind, FailureKind::kSqlError);
  EXPECT_EQ(FailureOf(OnExecutor("INSERT INTO t (id) VALUES (1)")).kind, FailureKind::kConstraint);
  EXPECT_EQ(FailureOf(OnExecutor("PRAGMA journal_mode")).kind, FailureKind::kSqlError);
}

}  // namespace
}  // namespace holdfast::storage::sql
