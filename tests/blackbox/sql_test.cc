// The SQL database of an object over the wire.

#include "tests/blackbox/sql_behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Sql = SqlBehaviour;

INSTANTIATE_TEST_SUITE_P(Stores, Sql, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Sql, LanguageIsSqlites) {
  ASSERT_TRUE(IsOk(
      Execute("o", {"CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INT CHECK (born > 0)) STRICT",
                    "CREATE TABLE c(p REFERENCES p(id) ON DELETE CASCADE, v)",
                    "CREATE INDEX by_lower ON p(lower(name))", "CREATE INDEX young ON p(born) WHERE born > 1900",
                    "CREATE TRIGGER t AFTER INSERT ON p BEGIN INSERT INTO c VALUES (new.id, 'made by a trigger'); END",
                    "INSERT INTO p VALUES (1, 'Ada', 1815), (2, 'Grace', 1906)",
                    "INSERT INTO p VALUES (2, 'Grace Hopper', 1906) ON CONFLICT(id) DO UPDATE SET name = excluded.name",
                    "CREATE VIRTUAL TABLE f USING fts5(text)", "INSERT INTO f VALUES ('the quick brown fox')"})));
  EXPECT_THAT(Rows("o", "SELECT name FROM p ORDER BY born"), ElementsAre("Ada", "Grace Hopper"));
  EXPECT_THAT(Rows("o", "SELECT count(*) FROM c"), ElementsAre("2"));
  EXPECT_THAT(Rows("o", "DELETE FROM p WHERE id = 1 RETURNING name"), ElementsAre("Ada"));
  EXPECT_THAT(Rows("o", "SELECT count(*) FROM c"), ElementsAre("1"));
  EXPECT_THAT(Rows("o", "SELECT highlight(f, 0, '[', ']') FROM f('quick')"), ElementsAre("the [quick] brown fox"));
  EXPECT_THAT(Rows("o", "WITH n(i) AS (VALUES (1), (2), (3)) SELECT sum(i) OVER (ORDER BY i) FROM n"),
              ElementsAre("1", "3", "6"));
  EXPECT_THAT(Rows("o", "SELECT json_extract('{\"a\": [1, 2]}', '$.a[1]')"), ElementsAre("2"));
}

TEST_P(Sql, AConstraintThatDoesNotHoldRollsBack) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(v UNIQUE)", "INSERT INTO t VALUES (1)"})));
  const auto reply = Execute("o", {"INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (1)"});
  EXPECT_TRUE(Fails(reply.status, grpc::StatusCode::FAILED_PRECONDITION, "SQL_CONSTRAINT"));
  EXPECT_THAT(reply.status.error_message(), HasSubstr("statements[1]: UNIQUE constraint failed: t.v"));
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(reply.status).metadata().at("sqlite_code"), "2067");
  EXPECT_THAT(Rows("o", "SELECT v FROM t"), ElementsAre("1"));
  EXPECT_TRUE(Fails(Execute("o", {"INSERT OR ROLLBACK INTO t VALUES (1)", "INSERT INTO t VALUES (3)"}).status,
                    grpc::StatusCode::FAILED_PRECONDITION, "SQL_CONSTRAINT"));
  EXPECT_THAT(Rows("o", "SELECT v FROM t"), ElementsAre("1"));
}

TEST_P(Sql, ReservedNamesAndWhatIsNotTheObjectsAreRefused) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(v)"})));
  for (const char* sql : {"BEGIN", "CREATE TABLE _holdfast_x(v)", "CREATE TABLE sqlite_x(v)",
                          "SELECT readfile('/etc/passwd')", "SELECT"}) {
    const auto reply = Execute("o", {"INSERT INTO t VALUES (1)", sql});
    EXPECT_TRUE(Fails(reply.status, grpc::StatusCode::INVALID_ARGUMENT, "SQL_ERROR")) << sql;
    EXPECT_THAT(reply.status.error_message(), HasSubstr("statements[1]")) << sql;
  }
  EXPECT_THAT(Rows("o", "SELECT * FROM t"), IsEmpty());
}

TEST_P(Sql, QueryWithoutEndIsStoppedAndHoldsUpNobody) {
  auto endless =
      Send(&ObjectStub::ExecuteSql, Statements("o", {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                                     "SELECT count(*) FROM n"}));
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(Rows("other", "SELECT 1"), ElementsAre("1"));
    EXPECT_NE(endless.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  }
  EXPECT_TRUE(Fails(endless.get().status, grpc::StatusCode::RESOURCE_EXHAUSTED, "SQL_TIME_LIMIT"));
  EXPECT_THAT(Rows("o", "SELECT 1"), ElementsAre("1"));
}

TEST_P(Sql, BombsEndInAnError) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(v)", "INSERT INTO t VALUES ('kept')"})));
  for (const char* sql :
       {"SELECT randomblob(100000000)", "SELECT zeroblob(4000000)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT group_concat(randomblob(1000)) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000) "
        "SELECT randomblob(1000) AS r FROM n ORDER BY r LIMIT 1 OFFSET 1999999",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO t SELECT randomblob(100000) FROM "
        "n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"}) {
    const auto reply = Execute("o", {sql});
    EXPECT_FALSE(reply.status.ok()) << sql;
    EXPECT_THAT(reply.status.error_message(), HasSubstr("statements[0]")) << sql;
    EXPECT_THAT(Rows("o", "SELECT v FROM t"), ElementsAre("kept")) << sql;
  }
}

TEST_P(Sql, ResultOverTheBoundIsRefusedBeforeTheCommit) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(v)"})));
  const auto reply = Execute("o", {"INSERT INTO t VALUES (1)", "SELECT zeroblob(2000000)", "SELECT zeroblob(1900000)"});
  EXPECT_TRUE(Fails(reply.status, grpc::StatusCode::RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE"));
  EXPECT_THAT(Rows("o", "SELECT * FROM t"), IsEmpty());
  EXPECT_TRUE(IsOk(Execute("o", {"SELECT zeroblob(2000000)", "SELECT zeroblob(1600000)"})));
}

TEST_P(Sql, DescribeTellsTablesIndexesRowsAndSize) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(v)", "CREATE INDEX i ON t(v)", "INSERT INTO t VALUES (1), (2)",
                                 "CREATE TABLE \"quoted \"\" name\"(v)"})));
  const v1::DescribeObjectResponse described = Describe("o");
  ASSERT_EQ(described.tables_size(), 2);
  EXPECT_EQ(described.tables(0).name(), "quoted \" name");
  EXPECT_EQ(described.tables(1).name(), "t");
  EXPECT_EQ(described.tables(1).row_count(), 2);
  EXPECT_THAT(described.tables(1).sql(), HasSubstr("CREATE TABLE t(v);\nCREATE INDEX i ON t(v)"));
  EXPECT_GE(described.summary().size_bytes(), 4 * 4096);
}

TEST_P(Sql, BuiltInClassesHaveNoDatabaseForClients) {
  auto request = Statements("o", {"SELECT 1"});
  request.mutable_object()->set_object_class("Counter");
  EXPECT_TRUE(
      Fails(Call(&ObjectStub::ExecuteSql, request).status, grpc::StatusCode::FAILED_PRECONDITION, "CLASS_READ_ONLY"));
}

}  // namespace
}  // namespace holdfast::blackbox
