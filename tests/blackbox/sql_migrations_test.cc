// MigrateSchema over the wire.

#include "tests/blackbox/sql_behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Step = testing::MigrationStep;

class SqlMigrations : public SqlBehaviour {
 protected:
  Reply<v1::MigrateSchemaResponse> Migrate(const std::string& name, const std::vector<Step>& steps,
                                           bool accept = false) {
    auto request = For<v1::MigrateSchemaRequest>(name);
    testing::AddMigrations(steps, &request);
    request.set_accept_changed_migrations(accept);
    return Call(&ObjectStub::MigrateSchema, request);
  }
  void ExpectOrphansRefused(const std::string& name) {
    EXPECT_TRUE(Fails(Execute(name, {"INSERT INTO posts VALUES (99)"}).status, grpc::StatusCode::FAILED_PRECONDITION,
                      "SQL_CONSTRAINT"));
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, SqlMigrations, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(SqlMigrations, ForeignKeyThatDoesNotHoldAtItsEndIsNamed) {
  ASSERT_TRUE(IsOk(
      Execute("o", {"CREATE TABLE users(id INTEGER PRIMARY KEY)", "CREATE TABLE posts(u INTEGER REFERENCES users(id))",
                    "INSERT INTO users VALUES (1)", "INSERT INTO posts VALUES (1)"})));
  const auto broken = Migrate("o", {{1, {"SELECT 1"}}, {2, {"DELETE FROM users"}, true}});
  EXPECT_TRUE(Fails(broken.status, grpc::StatusCode::FAILED_PRECONDITION, "SQL_CONSTRAINT"));
  EXPECT_THAT(broken.status.error_message(),
              HasSubstr("migrations[1]: at the end of version 2: the row with rowid 1 of the table posts refers to no "
                        "row of users"));
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(broken.status).metadata().at("sqlite_code"), "787");
  EXPECT_THAT(Rows("o", "SELECT id FROM users"), ElementsAre("1"));
}

TEST_P(SqlMigrations, DumpIsAMigrationAndACall) {
  const std::string dump =
      "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE posts(u INTEGER REFERENCES users(id));\n"
      "INSERT INTO posts VALUES(1);\nCREATE TABLE users(id INTEGER PRIMARY KEY);\nINSERT INTO users "
      "VALUES(1);\nCOMMIT;\n";
  ASSERT_TRUE(IsOk(Migrate("migrated", {{1, {dump}}})));
  ASSERT_TRUE(IsOk(Execute("called", {dump})));
  for (const std::string object : {"migrated", "called"}) {
    EXPECT_THAT(Rows(object, "SELECT u FROM posts"), ElementsAre("1"));
    ExpectOrphansRefused(object);
  }
  const std::string orphan = "PRAGMA foreign_keys=OFF; BEGIN; INSERT INTO posts VALUES (7); COMMIT";
  const auto refused = Execute("called", {"INSERT INTO users VALUES (2)", orphan, "INSERT INTO users VALUES (7)"});
  EXPECT_TRUE(Fails(refused.status, grpc::StatusCode::FAILED_PRECONDITION, "SQL_CONSTRAINT"));
  EXPECT_THAT(refused.status.error_message(),
              HasSubstr("statements[1]: the row with rowid 2 of the table posts refers to no row of users"));
  EXPECT_THAT(Rows("called", "SELECT id FROM users"), ElementsAre("1"));
}

TEST_P(SqlMigrations, PragmaThatWouldSwitchForeignKeysIsRefused) {
  const auto reply = Migrate("o", {{1, {"PRAGMA foreign_keys = OFF"}, true}});
  EXPECT_TRUE(Fails(reply.status, grpc::StatusCode::INVALID_ARGUMENT, "SQL_ERROR"));
}

TEST_P(SqlMigrations, MigrationThatIsNotTheOneThatRanIsNamed) {
  ASSERT_TRUE(IsOk(Migrate("o", {{1, {"CREATE TABLE t(v)"}}})));
  const std::vector<Step> edited = {{1, {"CREATE TABLE t(v, w)"}}, {2, {"CREATE TABLE u(v)"}}};
  const auto refused = Migrate("o", edited);
  EXPECT_TRUE(Fails(refused.status, grpc::StatusCode::FAILED_PRECONDITION, "SCHEMA_CHANGED"));
  EXPECT_THAT(refused.status.error_message(), HasSubstr("migrations[0]: version 1 has changed since it ran"));
  const auto accepted = Migrate("o", edited, true);
  ASSERT_TRUE(IsOk(accepted));
  EXPECT_EQ(accepted.response.version_before(), 1);
  EXPECT_EQ(accepted.response.version_after(), 2);
}

// The exported file has the version and the hashes.
TEST_P(SqlMigrations, ImportBringsItsOwnVersionAndHashes) {
  const Step first = {1, {"CREATE TABLE users(id INTEGER PRIMARY KEY)", "CREATE TABLE posts(u REFERENCES users(id))"}};
  ASSERT_TRUE(IsOk(Migrate("from", {first})));
  ASSERT_TRUE(IsOk(Migrate("to", {{1, {"CREATE TABLE another(v)"}}, {2, {"SELECT 2"}}})));
  ASSERT_TRUE(IsOk(Import("to", Export("from"))));
  ExpectOrphansRefused("to");
  EXPECT_TRUE(Fails(Migrate("to", {{1, {"CREATE TABLE another(v)"}}, {2, {"SELECT 2"}}}).status,
                    grpc::StatusCode::FAILED_PRECONDITION, "SCHEMA_CHANGED"));
  const auto reply = Migrate("to", {first, {2, {"SELECT 2"}}});
  ASSERT_TRUE(IsOk(reply));
  EXPECT_EQ(reply.response.version_before(), 1);

  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, For<v1::DeleteAllRequest>("to"))));
  EXPECT_TRUE(IsOk(Migrate("to", {{1, {"CREATE TABLE another(v)"}}})));
  // A file that never had migrations replaces a database that had some.
  ASSERT_TRUE(IsOk(Import("to", "")));
  EXPECT_EQ(Migrate("to", {first}).response.version_before(), 0);
  ExpectOrphansRefused("to");
}

}  // namespace
}  // namespace holdfast::blackbox
