// ExecuteSql and MigrateSchema: SQL as turns of an object, in one commit with its keys and its alarm.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/integration/requests.h"
#include "tests/unit/actors/objects/plain_sql_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PlainSqlTest : public PlainSqlFixture {
 protected:
  static v1::MigrateSchemaRequest Users(int versions) {
    std::vector<testing::MigrationStep> steps = {{1, {"CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)"}},
                                                 {2, {"ALTER TABLE users ADD COLUMN email TEXT"}},
                                                 {3, {"CREATE UNIQUE INDEX users_email ON users(email)"}}};
    steps.resize(versions);
    v1::MigrateSchemaRequest request;
    testing::AddMigrations(steps, &request);
    return request;
  }
};

TEST_F(PlainSqlTest, RowsOutliveTheInstanceAndTheNode) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(k PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'one'), (2, NULL)"}).ok());
  EXPECT_THAT(Rows("a", "SELECT * FROM t ORDER BY k"), ElementsAre("1|one", "2|NULL"));
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(Find(PlainObject::Class(), "a"), nullptr);
  EXPECT_THAT(Rows("a", "SELECT * FROM t ORDER BY k"), ElementsAre("1|one", "2|NULL"));
  Start();
  EXPECT_THAT(Rows("a", "SELECT * FROM t ORDER BY k"), ElementsAre("1|one", "2|NULL"));
}

TEST_F(PlainSqlTest, EachObjectHasADatabaseOfItsOwn) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)"}).ok());
  EXPECT_THAT(Do("b", {"SELECT * FROM t"}), Fails(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_SQL_ERROR));
}

TEST_F(PlainSqlTest, ValuesComeBackAsTheyWent) {
  Start();
  v1::ExecuteSqlRequest request = Request({"SELECT ?1, ?2, ?3, ?4, ?5, CAST(x'ff' AS TEXT)"});
  v1::SqlStatement* const statement = request.mutable_statements(0);
  statement->add_params()->set_integer(INT64_MIN);
  statement->add_params()->set_real(0.5);
  statement->add_params()->set_text(std::string("a\0b", 3));
  statement->add_params()->set_blob("\xff");
  statement->add_params();
  const auto asked = Ask("a", &PlainObject::ExecuteSql, request);
  ASSERT_TRUE(asked->ok()) << *asked->status;
  const auto& values = asked->response.results(0).rows(0).values();
  ASSERT_EQ(values.size(), 6);
  EXPECT_EQ(values[0].integer(), INT64_MIN);
  EXPECT_EQ(values[1].real(), 0.5);
  EXPECT_EQ(values[2].text(), std::string("a\0b", 3));
  EXPECT_EQ(values[3].blob(), "\xff");
  EXPECT_EQ(values[4].kind_case(), v1::SqlValue::KIND_NOT_SET);
  EXPECT_EQ(values[5].blob(), "\xff");
}

TEST_F(PlainSqlTest, ResultTellsItsColumnsAndWhatItDid) {
  Start();
  const auto asked = Ask("a", &PlainObject::ExecuteSql,
                         Request({"CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)",
                                  "INSERT INTO t(v) VALUES ('a'), ('b')", "SELECT id, upper(v) AS u FROM t"}));
  ASSERT_TRUE(asked->ok());
  ASSERT_EQ(asked->response.results_size(), 3);
  EXPECT_EQ(asked->response.results(1).rows_written(), 2);
  EXPECT_EQ(asked->response.results(1).last_insert_rowid(), 2);
  const v1::SqlResult& select = asked->response.results(2);
  EXPECT_EQ(select.columns(0).declared_type(), "INTEGER");
  EXPECT_EQ(select.columns(1).name(), "u");
  EXPECT_GT(select.vm_steps(), 0);
}

TEST_F(PlainSqlTest, FailedStatementIsNamedAndNothingOfItsCallIsDone) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v UNIQUE)", "INSERT INTO t VALUES (1)"}).ok());
  const int commits = recording.commits;
  const absl::Status status = Do("a", {"INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (1)"});
  EXPECT_THAT(status, Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SQL_CONSTRAINT));
  EXPECT_THAT(std::string(status.message()), HasSubstr("statements[1]: UNIQUE constraint failed: t.v"));
  EXPECT_EQ(recording.commits, commits);
  EXPECT_THAT(Rows("a", "SELECT v FROM t"), ElementsAre("1"));
  EXPECT_TRUE(Do("a", {"INSERT INTO t VALUES (2)"}).ok());
}

TEST_F(PlainSqlTest, DeferredForeignKeyIsCheckedAtTheEndOfTheCall) {
  Start();
  ASSERT_TRUE(
      Do("a", {"CREATE TABLE p(id PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)"})
          .ok());
  EXPECT_TRUE(Do("a", {"INSERT INTO c VALUES (1)", "INSERT INTO p VALUES (1)"}).ok());
  EXPECT_THAT(Do("a", {"INSERT INTO c VALUES (2)"}),
              Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SQL_CONSTRAINT));
  EXPECT_THAT(Rows("a", "SELECT p FROM c"), ElementsAre("1"));
}

// The executor meets the pragma first, and then a worker runs it.
TEST_F(PlainSqlTest, PragmaDefersTheForeignKeysOfItsCallAlone) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p(id))"}).ok());
  const absl::Status deferred =
      Do("a", {"PRAGMA defer_foreign_keys = ON", "INSERT INTO c VALUES (1)", "INSERT INTO p VALUES (1)"});
  EXPECT_TRUE(deferred.ok()) << deferred;
  EXPECT_THAT(Do("a", {"INSERT INTO c VALUES (2)", "INSERT INTO p VALUES (2)"}),
              Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SQL_CONSTRAINT));
}

TEST_F(PlainSqlTest, ReadingCreatesNothing) {
  Start();
  EXPECT_THAT(Rows("a", "SELECT 1"), ElementsAre("1"));
  EXPECT_THAT(KeysOf(PlainObject::Class(), "a"), IsEmpty());
}

TEST_F(PlainSqlTest, ResultsOfACallAreBoundedTogether) {
  Start();
  const std::string half = "SELECT hex(zeroblob(950000))";
  EXPECT_TRUE(Do("o", {half}).ok());
  const absl::Status status = Do("o", {"CREATE TABLE t(v)", half, half});
  EXPECT_EQ(ReasonOf(status), v1::ERROR_REASON_RESPONSE_TOO_LARGE) << status;
  EXPECT_THAT(Rows("o", "SELECT name FROM sqlite_schema"), IsEmpty());
  v1::MigrateSchemaRequest migrations;
  migrations.add_migrations()->set_version(1);
  for (int i = 0; i < 3; ++i) migrations.mutable_migrations(0)->add_statements()->set_sql(half);
  EXPECT_TRUE(Ask("o", &PlainObject::MigrateSchema, migrations)->ok()) << "its results are answered to nobody";
}

TEST_F(PlainSqlTest, BadRequestsNameTheField) {
  Start();
  const auto names = [&](const v1::ExecuteSqlRequest& request, const std::string& field) {
    EXPECT_THAT(std::string(Ask("a", &PlainObject::ExecuteSql, request)->status->message()), HasSubstr(field));
  };
  names(Request({}), "statements");
  names(Request(std::vector<std::string>(129, "SELECT 1")), "statements");
  EXPECT_TRUE(Do("a", std::vector<std::string>(128, "SELECT 1")).ok());
  names(Request({"SELECT 1", ""}), "statements[1].sql");
}

TEST_F(PlainSqlTest, OtherObjectsGoOnWhileALongQueryRuns) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)", "INSERT INTO t VALUES (1)"}).ok());
  auto query = Send("a", &PlainObject::ExecuteSql,
                    Request({"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
                             "SELECT count(*) FROM n"}));
  auto behind = SendPut("a", "k", "v");
  node->executor().RunUntilIdle();
  ASSERT_EQ(node->sql().waiting(), 1u);
  EXPECT_FALSE(behind->begun);
  auto other = Send("b", &PlainObject::ExecuteSql, Request({"SELECT 1"}));
  node->executor().RunUntilIdle();
  EXPECT_EQ(node->sql().waiting(), 1u);
  node->Settle();
  EXPECT_TRUE(query->ok() && behind->ok() && other->ok());
  EXPECT_EQ(query->response.results(0).rows(0).values(0).integer(), 100'000);
}

TEST_F(PlainSqlTest, ColdPagesAreReadAwayFromTheExecutor) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(k INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'x')"}).ok());
  Start();
  store.set_cold(true);
  EXPECT_THAT(Rows("a", "SELECT v FROM t WHERE k = 1"), ElementsAre("x"));
  EXPECT_TRUE(Do("a", {"UPDATE t SET v = 'y' WHERE k = 1"}).ok());
  store.set_cold(false);
  EXPECT_THAT(Rows("a", "SELECT v FROM t WHERE k = 1"), ElementsAre("y"));
}

TEST_F(PlainSqlTest, ObjectThatIsResetLeavesItsQueryBehind) {
  options.turn_timeout = absl::Seconds(1);
  Start();
  auto query = Send("a", &PlainObject::ExecuteSql, Request({"CREATE TABLE t(v)"}));
  node->executor().RunUntilIdle();
  ASSERT_EQ(node->sql().waiting(), 1u);
  clock.Advance(absl::Seconds(2));
  node->executor().RunUntilIdle();
  EXPECT_THAT(*query->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OBJECT_RESET));
  node->Settle();
  EXPECT_TRUE(Do("a", {"CREATE TABLE t(v)"}).ok());
}

TEST_F(PlainSqlTest, RepeatedRequestAnswersTheSame) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)"}).ok());
  v1::ExecuteSqlRequest request = Request({"INSERT INTO t VALUES (1) RETURNING v"});
  request.set_request_id("id");
  const auto first = Ask("a", &PlainObject::ExecuteSql, request);
  Start();
  const auto second = Ask("a", &PlainObject::ExecuteSql, request);
  ASSERT_TRUE(first->ok() && second->ok());
  EXPECT_EQ(first->response.SerializeAsString(), second->response.SerializeAsString());
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM t"), ElementsAre("1"));
}

TEST_F(PlainSqlTest, AlarmEndsInTheCommitOfItsSql) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)"}).ok());
  SetAlarm("a", clock.Now());
  Deliveries deliveries;
  Watch(&deliveries);
  ASSERT_EQ(deliveries.size(), 1u);
  v1::ExecuteSqlRequest request = Request({"INSERT INTO t VALUES (1)"});
  request.set_alarm_delivery_token("another");
  EXPECT_THAT(*Ask("a", &PlainObject::ExecuteSql, request)->status, IsStale());
  request.set_alarm_delivery_token(deliveries[0].token);
  EXPECT_TRUE(Ask("a", &PlainObject::ExecuteSql, request)->ok());
  EXPECT_THAT(*Ask("a", &PlainObject::ExecuteSql, request)->status, IsStale());
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM t"), ElementsAre("1"));
  ExpectNoAlarm("a");
}

TEST_F(PlainSqlTest, DeleteAllLeavesNoDatabase) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)", "INSERT INTO t VALUES (1)"}).ok());
  EXPECT_TRUE(DeleteAll("a").ok());
  EXPECT_THAT(KeysOf(PlainObject::Class(), "a"), IsEmpty());
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM sqlite_schema"), ElementsAre("0"));
  EXPECT_TRUE(Do("a", {"CREATE TABLE t(v)"}).ok());
}

TEST_F(PlainSqlTest, TurnThatIsRefusedAfterItsSqlLeavesNothing) {
  options.object_bytes_max = 5 * 4200;
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)"}).ok());
  EXPECT_THAT(Do("a", {"INSERT INTO t VALUES (zeroblob(20000))"}),
              Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM t"), ElementsAre("0"));
  EXPECT_TRUE(Do("a", {"INSERT INTO t VALUES (1)"}).ok());
}

// --- ApplyBatch

TEST_F(PlainSqlTest, BatchIsOneCommitOfKeysAndSql) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v UNIQUE)"}).ok());
  v1::ApplyBatchRequest batch;
  batch.add_preconditions()->mutable_query_returns_row()->set_sql("SELECT 1 WHERE NOT EXISTS (SELECT * FROM t)");
  batch.add_preconditions()->set_key_absent("k");
  batch.add_preconditions()->set_schema_version_equals(0);
  v1::Entry* const entry = batch.add_steps()->mutable_put();
  entry->set_key("k");
  entry->set_value("v");
  batch.add_steps()->mutable_sql()->set_sql("INSERT INTO t VALUES (1) RETURNING v");
  const int commits = recording.commits;
  const auto applied = Ask("a", &PlainObject::ApplyBatch, batch);
  ASSERT_TRUE(applied->ok()) << *applied->status;
  EXPECT_EQ(recording.commits, commits + 1);
  ASSERT_EQ(applied->response.sql_results_size(), 1);
  EXPECT_EQ(applied->response.sql_results(0).rows(0).values(0).integer(), 1);
  EXPECT_EQ(ValueOf("a", "k"), "v");

  batch.mutable_preconditions()->DeleteSubrange(1, 2);
  absl::Status status = *Ask("a", &PlainObject::ApplyBatch, batch)->status;
  EXPECT_THAT(status, Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED));
  EXPECT_THAT(std::string(status.message()), HasSubstr("preconditions[0]"));
  batch.clear_preconditions();
  batch.mutable_steps(0)->mutable_put()->set_value("w");
  status = *Ask("a", &PlainObject::ApplyBatch, batch)->status;
  EXPECT_THAT(status, Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SQL_CONSTRAINT));
  EXPECT_THAT(std::string(status.message()), HasSubstr("steps[1].sql"));
  EXPECT_EQ(ValueOf("a", "k"), "v");
}

TEST_F(PlainSqlTest, ConditionThatWritesIsRefused) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)"}).ok());
  v1::ApplyBatchRequest batch;
  batch.add_preconditions()->mutable_query_returns_row()->set_sql("INSERT INTO t VALUES (1) RETURNING v");
  batch.add_steps()->set_delete_key("k");
  const absl::Status status = *Ask("a", &PlainObject::ApplyBatch, batch)->status;
  EXPECT_THAT(status, Fails(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_SQL_ERROR));
  EXPECT_THAT(std::string(status.message()), HasSubstr("preconditions[0].query_returns_row"));
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM t"), ElementsAre("0"));
}

// --- MigrateSchema

TEST_F(PlainSqlTest, MigrationsKeepTheRows) {
  Start();
  const auto first = Ask("a", &PlainObject::MigrateSchema, Users(1));
  ASSERT_TRUE(first->ok()) << *first->status;
  EXPECT_EQ(first->response.version_before(), 0);
  EXPECT_EQ(first->response.version_after(), 1);
  ASSERT_TRUE(Do("a", {"INSERT INTO users(name) VALUES ('ada')"}).ok());
  const auto second = Ask("a", &PlainObject::MigrateSchema, Users(2));
  ASSERT_TRUE(second->ok()) << *second->status;
  EXPECT_EQ(second->response.version_before(), 1);
  EXPECT_EQ(second->response.version_after(), 2);
  EXPECT_THAT(Rows("a", "SELECT id, name, email FROM users"), ElementsAre("1|ada|NULL"));
  EXPECT_THAT(Rows("a", "SELECT value FROM _meta WHERE key = 'schema_version'"), ElementsAre("2"));
  const auto again = Ask("a", &PlainObject::MigrateSchema, Users(2));
  EXPECT_TRUE(again->ok());
  EXPECT_EQ(again->response.version_before(), 2);
}

TEST_F(PlainSqlTest, ObjectNewerThanTheListIsRefused) {
  Start();
  ASSERT_TRUE(Ask("a", &PlainObject::MigrateSchema, Users(3))->ok());
  EXPECT_THAT(*Ask("a", &PlainObject::MigrateSchema, Users(2))->status,
              Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_NEWER));
  EXPECT_THAT(Rows("a", "SELECT value FROM _meta"), ElementsAre("3"));
}

TEST_F(PlainSqlTest, FailedMigrationLeavesTheOldSchema) {
  Start();
  ASSERT_TRUE(Ask("a", &PlainObject::MigrateSchema, Users(1))->ok());
  v1::MigrateSchemaRequest request = Users(3);
  request.mutable_migrations(2)->mutable_statements(0)->set_sql("CREATE INDEX i ON missing(x)");
  const absl::Status status = *Ask("a", &PlainObject::MigrateSchema, request)->status;
  EXPECT_THAT(status, Fails(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_SQL_ERROR));
  EXPECT_THAT(std::string(status.message()), HasSubstr("migrations[2].statements[0]"));
  EXPECT_THAT(Rows("a", "SELECT value FROM _meta"), ElementsAre("1"));
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM pragma_table_info('users')"), ElementsAre("2"));
}

TEST_F(PlainSqlTest, VersionsMustAscendFromOne) {
  Start();
  v1::MigrateSchemaRequest request = Users(2);
  request.mutable_migrations(0)->set_version(2);
  EXPECT_THAT(std::string(Ask("a", &PlainObject::MigrateSchema, request)->status->message()),
              HasSubstr("migrations[1].version"));
  request.mutable_migrations(0)->set_version(0);
  EXPECT_THAT(std::string(Ask("a", &PlainObject::MigrateSchema, request)->status->message()),
              HasSubstr("migrations[0].version"));
  EXPECT_FALSE(Ask("a", &PlainObject::MigrateSchema, v1::MigrateSchemaRequest())->ok());
}

TEST_F(PlainSqlTest, SqlMayReadAndWriteTheVersion) {
  Start();
  ASSERT_TRUE(Ask("a", &PlainObject::MigrateSchema, Users(1))->ok());
  ASSERT_TRUE(Do("a", {"UPDATE _meta SET value = 'two'"}).ok());
  EXPECT_THAT(*Ask("a", &PlainObject::MigrateSchema, Users(2))->status,
              Fails(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_SQL_ERROR));
  ASSERT_TRUE(Do("a", {"DROP TABLE users", "DELETE FROM _meta"}).ok());
  EXPECT_TRUE(Ask("a", &PlainObject::MigrateSchema, Users(1))->ok());
}

}  // namespace
}  // namespace holdfast::actors
