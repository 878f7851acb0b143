// MigrateSchema: migrations with foreign keys off, and migrations that differ from those that ran.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/migration_hashes.h"
#include "tests/integration/requests.h"
#include "tests/unit/actors/objects/plain_sql_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Step = testing::MigrationStep;

class PlainMigrationsTest : public PlainSqlFixture {
 protected:
  void SetUp() override { Start(); }

  static v1::MigrateSchemaRequest List(const std::vector<Step>& steps, bool accept = false) {
    v1::MigrateSchemaRequest request;
    testing::AddMigrations(steps, &request);
    request.set_accept_changed_migrations(accept);
    return request;
  }
  absl::Status Migrate(const std::string& name, const std::vector<Step>& steps, bool accept = false) {
    return *Ask(name, &PlainObject::MigrateSchema, List(steps, accept))->status;
  }
  std::vector<std::string> Versions(const std::string& name) {
    return Rows(name, "SELECT version FROM _meta_migrations ORDER BY version");
  }
  // Expects SCHEMA_CHANGED with a message that has this text.
  void ExpectChanged(const absl::Status& status, const std::string& text) {
    EXPECT_THAT(status, Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_CHANGED));
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
  // Expects SQL_CONSTRAINT with a message that has this text.
  void ExpectConstraint(const absl::Status& status, const std::string& text) {
    EXPECT_THAT(status, Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SQL_CONSTRAINT));
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
  // Makes a table and two that refer to it: rows of posts are deleted with their user, rows of notes forbid that.
  void MakeFamily(const std::string& name) {
    ASSERT_TRUE(Do(name, {"CREATE TABLE users(id INTEGER PRIMARY KEY, n TEXT)",
                          "CREATE TABLE posts(u INTEGER REFERENCES users(id) ON DELETE CASCADE)",
                          "CREATE TABLE notes(u INTEGER REFERENCES users(id))", "INSERT INTO users VALUES (1, 'a')",
                          "INSERT INTO posts VALUES (1)", "INSERT INTO notes VALUES (1)"})
                    .ok());
  }
  static Step Rebuild(int64_t version) {
    return {version,
            {"CREATE TABLE n(id INTEGER PRIMARY KEY, n TEXT DEFAULT 'x')", "INSERT INTO n SELECT * FROM users",
             "DROP TABLE users", "ALTER TABLE n RENAME TO users"},
            true};
  }
  void ExpectFamilyEnforced(const std::string& name) {
    EXPECT_THAT(Rows(name, "SELECT u FROM posts"), ElementsAre("1"));
    EXPECT_THAT(Rows(name, "SELECT u FROM notes"), ElementsAre("1"));
    ExpectConstraint(Do(name, {"INSERT INTO posts VALUES (99)"}), "FOREIGN KEY constraint failed");
    ExpectConstraint(Do(name, {"DELETE FROM users"}), "FOREIGN KEY constraint failed");
  }
};

// --- Foreign keys off

TEST_F(PlainMigrationsTest, RebuildOfAParentKeepsItsChildren) {
  MakeFamily("a");
  const absl::Status status = Migrate("a", {Rebuild(1)});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(Rows("a", "SELECT dflt_value FROM pragma_table_info('users') WHERE name = 'n'"), ElementsAre("'x'"));
  ExpectFamilyEnforced("a");
  node->Advance(absl::Minutes(1));
  ASSERT_EQ(Find(PlainObject::Class(), "a"), nullptr);
  ExpectFamilyEnforced("a");
  Start();
  ExpectFamilyEnforced("a");
}

// With foreign keys on, dropping a table deletes its rows first, which a constraint refuses here. The flag avoids that.
TEST_F(PlainMigrationsTest, RebuildWithForeignKeysOnIsRefused) {
  MakeFamily("a");
  Step step = Rebuild(1);
  step.foreign_keys_off = false;
  ExpectConstraint(Migrate("a", {step}), "FOREIGN KEY constraint failed");
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM sqlite_schema"), ElementsAre("3"));
}

TEST_F(PlainMigrationsTest, OtherMigrationsOfTheListHaveForeignKeysOn) {
  MakeFamily("a");
  const Step cascade = {
      3, {"INSERT INTO users(id) VALUES (5)", "INSERT INTO posts VALUES (5)", "DELETE FROM users WHERE id = 5"}};
  ASSERT_TRUE(Migrate("a", {{1, {"INSERT INTO users(id) VALUES (2)"}}, Rebuild(2), cascade}).ok());
  EXPECT_THAT(Rows("a", "SELECT u FROM posts"), ElementsAre("1"));
  ExpectConstraint(Migrate("a", {Rebuild(4), {5, {"INSERT INTO posts VALUES (9)"}}}),
                   "migrations[1].statements[0]: FOREIGN KEY constraint failed");
  ExpectConstraint(Migrate("a", {{5, {"INSERT INTO posts VALUES (9)"}}, Rebuild(6)}),
                   "migrations[0].statements[0]: FOREIGN KEY constraint failed");
  EXPECT_THAT(Rows("a", "SELECT value FROM _meta"), ElementsAre("3"));
  ExpectFamilyEnforced("a");
}

TEST_F(PlainMigrationsTest, ForeignKeyThatDoesNotHoldAtItsEndIsNamed) {
  MakeFamily("a");
  const absl::Status status = Migrate("a", {{7, {"CREATE TABLE x(v)"}}, {8, {"UPDATE posts SET u = 9"}, true}});
  ExpectConstraint(
      status,
      "migrations[1]: at the end of version 8: the row with rowid 1 of the table posts refers to no row of "
      "users; nothing was done");
  EXPECT_THAT(std::string(status.message()), HasSubstr("nothing was done"));
  EXPECT_THAT(Rows("a", "SELECT name FROM sqlite_schema ORDER BY name"), ElementsAre("notes", "posts", "users"));
  ExpectFamilyEnforced("a");
  // ALTER TABLE writes the new name of the parent into the references of the children.
  ExpectConstraint(Migrate("a", {{1,
                                  {"ALTER TABLE users RENAME TO old", "CREATE TABLE users(id INTEGER PRIMARY KEY)",
                                   "INSERT INTO users SELECT id FROM old", "DROP TABLE old"},
                                  true}}),
                   "refers to no row of old");
  ExpectFamilyEnforced("a");
  ASSERT_TRUE(Do("a", {"CREATE TABLE w(k PRIMARY KEY, u REFERENCES users(id)) WITHOUT ROWID"}).ok());
  ExpectConstraint(Migrate("a", {{1, {"INSERT INTO w VALUES (1, 9)"}, true}}), "a row of the table w refers to");
}

TEST_F(PlainMigrationsTest, FailedStatementWithForeignKeysOffLeavesThemOn) {
  MakeFamily("a");
  Step step = Rebuild(2);
  step.statements.push_back("SELECT * FROM missing");
  const absl::Status status = Migrate("a", {{1, {"CREATE TABLE x(v)"}}, step});
  EXPECT_THAT(status, Fails(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_SQL_ERROR));
  EXPECT_THAT(std::string(status.message()), HasSubstr("migrations[1].statements[4]"));
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM sqlite_schema"), ElementsAre("3"));
  ExpectFamilyEnforced("a");
}

TEST_F(PlainMigrationsTest, WhatIsDeferredMustHoldBeforeForeignKeysAreOff) {
  MakeFamily("a");
  ExpectConstraint(Migrate("a", {{1, {"PRAGMA defer_foreign_keys = ON", "INSERT INTO posts VALUES (9)"}}, Rebuild(2)}),
                   "before migrations[1]: FOREIGN KEY constraint failed");
  ExpectFamilyEnforced("a");
}

TEST_F(PlainMigrationsTest, ResetInTheMiddleLeavesForeignKeysOn) {
  options.turn_timeout = absl::Seconds(1);
  Start();
  MakeFamily("a");
  auto migrate = Send("a", &PlainObject::MigrateSchema, List({Rebuild(1)}));
  node->executor().RunUntilIdle();
  ASSERT_EQ(node->sql().waiting(), 1u);
  clock.Advance(absl::Seconds(2));
  node->executor().RunUntilIdle();
  EXPECT_THAT(*migrate->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OBJECT_RESET));
  node->Settle();
  ExpectFamilyEnforced("a");
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM sqlite_schema"), ElementsAre("3"));
}

TEST_F(PlainMigrationsTest, TurnThatIsRefusedAfterItLeavesTheOldTables) {
  options.object_bytes_max = 8 * 4200;
  Start();
  MakeFamily("a");
  Step step = Rebuild(1);
  step.statements.push_back("INSERT INTO users VALUES (2, zeroblob(20000))");
  EXPECT_THAT(Migrate("a", {step}), Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
  EXPECT_THAT(Rows("a", "SELECT n FROM users"), ElementsAre("a"));
  ExpectFamilyEnforced("a");
}

// --- Migrations that ran

constexpr char kTable[] = "CREATE TABLE t(v)";

TEST_F(PlainMigrationsTest, EditedMigrationIsRefusedByItsVersion) {
  ASSERT_TRUE(Migrate("a", {{1, {kTable}}, {2, {"ALTER TABLE t ADD COLUMN w"}}}).ok());
  const int commits = recording.commits;
  EXPECT_TRUE(Migrate("a", {{1, {kTable}}, {2, {"ALTER TABLE t ADD COLUMN w"}}}).ok());
  EXPECT_EQ(recording.commits, commits) << "nothing is due, nothing is written";
  for (const Step& edited :
       {Step{2, {"ALTER TABLE t ADD COLUMN w "}}, Step{2, {"ALTER TABLE t ADD COLUMN x"}},
        Step{2, {"ALTER TABLE t ADD COLUMN w"}, true}, Step{2, {"ALTER TABLE t ADD COLUMN w", "SELECT 1"}}}) {
    const absl::Status status = Migrate("a", {{1, {kTable}}, edited, {3, {"CREATE TABLE u(v)"}}});
    ExpectChanged(status, "migrations[1]: version 2 has changed since it ran; nothing was done");
  }
  EXPECT_EQ(recording.commits, commits);
  EXPECT_THAT(Rows("a", "SELECT value FROM _meta"), ElementsAre("2"));
  Start();
  ExpectChanged(Migrate("a", {{1, {"CREATE TABLE t(x)"}}, {2, {"ALTER TABLE t ADD COLUMN w"}}}), "version 1 has");
}

TEST_F(PlainMigrationsTest, ParametersCount) {
  v1::MigrateSchemaRequest request = List({{1, {"SELECT ?1"}}});
  v1::SqlValue* const param = request.mutable_migrations(0)->mutable_statements(0)->add_params();
  param->set_integer(1);
  ASSERT_TRUE(Ask("a", &PlainObject::MigrateSchema, request)->ok());
  ASSERT_TRUE(Ask("a", &PlainObject::MigrateSchema, request)->ok());
  const auto changed = [&] {
    ExpectChanged(*Ask("a", &PlainObject::MigrateSchema, request)->status, "version 1 has changed");
  };
  param->set_integer(2);
  changed();
  param->set_real(1);
  changed();
  param->set_text("1");
  changed();
  param->set_blob("1");
  changed();
  param->clear_kind();
  changed();
}

TEST_F(PlainMigrationsTest, MigrationPutInBelowTheVersionIsRefused) {
  ASSERT_TRUE(Migrate("a", {{10, {kTable}}, {30, {"CREATE TABLE u(v)"}}}).ok());
  ExpectChanged(Migrate("a", {{10, {kTable}}, {20, {"CREATE TABLE w(v)"}}, {30, {"CREATE TABLE u(v)"}}}),
                "migrations[1]: version 20 never ran, and the object is at version 30; nothing was done");
  ExpectChanged(Migrate("a", {{5, {"CREATE TABLE w(v)"}}, {10, {kTable}}, {30, {"CREATE TABLE u(v)"}}}),
                "version 5 never ran");
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM pragma_table_list WHERE name = 'w'"), ElementsAre("0"));
}

TEST_F(PlainMigrationsTest, VersionsThatRanMayBeLeftOut) {
  ASSERT_TRUE(Migrate("a", {{1, {kTable}}, {2, {"CREATE TABLE u(v)"}}, {3, {"CREATE TABLE w(v)"}}}).ok());
  EXPECT_TRUE(Migrate("a", {{3, {"CREATE TABLE w(v)"}}}).ok());
  EXPECT_TRUE(Migrate("a", {{1, {kTable}}, {3, {"CREATE TABLE w(v)"}}, {4, {"CREATE TABLE x(v)"}}}).ok());
  EXPECT_TRUE(Migrate("a", {{5, {"CREATE TABLE y(v)"}}}).ok());
  ExpectChanged(Migrate("a", {{2, {"CREATE TABLE uu(v)"}}, {5, {"CREATE TABLE y(v)"}}}), "version 2 has changed");
  EXPECT_THAT(Versions("a"), ElementsAre("0", "1", "2", "3", "4", "5"));
}

TEST_F(PlainMigrationsTest, AcceptedChangesCountAsRunAndAreNotRun) {
  ASSERT_TRUE(Migrate("a", {{1, {kTable}}, {3, {"CREATE TABLE u(v)"}}}).ok());
  const std::vector<Step> list = {
      {1, {"CREATE TABLE t(edited)"}}, {2, {"CREATE TABLE late(v)"}}, {3, {"CREATE TABLE u(v)"}}, {4, {"SELECT 1"}}};
  ExpectChanged(Migrate("a", list), "version 1 has changed");
  ASSERT_TRUE(Migrate("a", list, /*accept=*/true).ok());
  EXPECT_THAT(Rows("a", "SELECT name FROM pragma_table_info('t')"), ElementsAre("v"));
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM pragma_table_list WHERE name = 'late'"), ElementsAre("0"));
  EXPECT_THAT(Rows("a", "SELECT value FROM _meta"), ElementsAre("4"));
  EXPECT_TRUE(Migrate("a", list).ok());
  ExpectChanged(Migrate("a", {{1, {kTable}}, {4, {"SELECT 1"}}}), "version 1 has changed");
  EXPECT_THAT(Migrate("a", {{1, {kTable}}}, /*accept=*/true),
              Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_NEWER));
}

// The objects have the state that a server without hashes left.
TEST_F(PlainMigrationsTest, ObjectFromBeforeThereWereHashesTakesTheList) {
  const auto make = [&](const std::string& name) {
    ASSERT_TRUE(Do(name, {kTable, "CREATE TABLE _meta(key TEXT PRIMARY KEY, value TEXT)",
                          "INSERT INTO _meta VALUES ('schema_version', '3')"})
                    .ok());
  };
  const std::vector<Step> list = {{1, {kTable}}, {2, {"SELECT 2"}}, {3, {"SELECT 3"}}};
  make("a");
  ASSERT_TRUE(Migrate("a", list).ok());
  EXPECT_THAT(Versions("a"), ElementsAre("1", "2", "3"));
  ExpectChanged(Migrate("a", {{1, {kTable}}, {2, {"SELECT 20"}}, {3, {"SELECT 3"}}}), "version 2 has changed");

  // The first list begins at a later version; the versions before it are accepted when a list names them.
  make("b");
  ASSERT_TRUE(Migrate("b", {{3, {"SELECT 3"}}, {4, {"SELECT 4"}}}).ok());
  EXPECT_THAT(Versions("b"), ElementsAre("3", "4"));
  ASSERT_TRUE(Migrate("b", {{1, {kTable}}, {4, {"SELECT 4"}}}).ok());
  EXPECT_THAT(Versions("b"), ElementsAre("1", "3", "4"));
  ExpectChanged(Migrate("b", {{1, {kTable}}, {2, {"SELECT 2"}}, {4, {"SELECT 4"}}}), "version 2 never ran");

  // The first list has no version that ran, so nothing is known of those.
  make("c");
  ASSERT_TRUE(Migrate("c", {{4, {"SELECT 4"}}}).ok());
  ASSERT_TRUE(Migrate("c", {{1, {kTable}}, {2, {"SELECT 2"}}, {4, {"SELECT 4"}}}).ok());
  EXPECT_THAT(Versions("c"), ElementsAre("1", "2", "4"));
}

TEST_F(PlainMigrationsTest, VersionSetBackForgetsWhatIsAboveIt) {
  ASSERT_TRUE(Migrate("a", {{1, {kTable}}, {2, {"CREATE TABLE u(v)"}}, {3, {"CREATE TABLE w(v)"}}}).ok());
  ASSERT_TRUE(
      Do("a", {"DROP TABLE u", "DROP TABLE w", "UPDATE _meta SET value = '1' WHERE key = 'schema_version'"}).ok());
  ASSERT_TRUE(Migrate("a", {{1, {kTable}}, {3, {"CREATE TABLE x(v)"}}}).ok());
  EXPECT_THAT(Versions("a"), ElementsAre("0", "1", "3"));
  ExpectChanged(Migrate("a", {{1, {kTable}}, {2, {"CREATE TABLE u(v)"}}, {3, {"CREATE TABLE x(v)"}}}),
                "version 2 never ran");
}

TEST_F(PlainMigrationsTest, HashesGoWithTheDatabase) {
  ASSERT_TRUE(Migrate("a", {{1, {kTable}}}).ok());
  ASSERT_TRUE(Do("a", {"DROP TABLE _meta_migrations"}).ok());
  EXPECT_TRUE(Migrate("a", {{1, {"CREATE TABLE t(edited)"}}}).ok()) << "they were forgotten";
  EXPECT_TRUE(DeleteAll("a").ok());
  EXPECT_THAT(KeysOf(PlainObject::Class(), "a"), IsEmpty());
  EXPECT_TRUE(Migrate("a", {{1, {"CREATE TABLE another(v)"}}}).ok());
}

TEST_F(PlainMigrationsTest, TableOfTheClientsThatIsNoneOfHashesIsAnError) {
  ASSERT_TRUE(Migrate("a", {{1, {kTable}}}).ok());
  ASSERT_TRUE(Do("a", {"DROP TABLE _meta_migrations", "CREATE TABLE _meta_migrations(x)"}).ok());
  const absl::Status status = Migrate("a", {{1, {kTable}}, {2, {"SELECT 2"}}});
  EXPECT_THAT(status, Fails(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_SQL_ERROR));
  EXPECT_THAT(std::string(status.message()), HasSubstr("_meta_migrations"));
}

TEST_F(PlainMigrationsTest, ALongListIsCompared) {
  const auto list = [](int first, int count) {
    std::vector<Step> steps;
    for (int i = 0; i < count; ++i) steps.push_back({first + i, {absl::StrCat("SELECT ", first + i)}});
    return steps;
  };
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Migrate("a", list(1 + 1000 * i, 1000)).ok());
  EXPECT_THAT(Rows("a", "SELECT count(*) FROM _meta_migrations"), ElementsAre("10001"));
  EXPECT_TRUE(Migrate("a", list(9001, 1000)).ok());
  std::vector<Step> edited = list(9001, 1000);
  edited[998].statements = {"SELECT 0"};
  ExpectChanged(Migrate("a", edited), "version 9999 has changed");
}

// Objects keep the hashes, so that the computation of a hash must never change.
TEST(MigrationHashTest, StaysWhatItIs) {
  SqlMigration migration{"", 1, {{"", "CREATE TABLE t(v)", {}}}, false};
  EXPECT_EQ(MigrationHash(migration), "90b7eda1db3cc8bb244ea8d8d0eecdf1");
  migration.version = 2;
  EXPECT_EQ(MigrationHash(migration), "90b7eda1db3cc8bb244ea8d8d0eecdf1") << "the version is not hashed";
  migration.statements.push_back(
      {"",
       "INSERT INTO t VALUES (?, ?, ?, ?, ?)",
       {storage::sql::Null{}, int64_t{-1}, 0.5, std::string("a\0b", 3), storage::sql::Blob{std::string("\xff\0", 2)}}});
  migration.foreign_keys_off = true;
  EXPECT_EQ(MigrationHash(migration), "7857cd5172c92bc113be785872931adf");
}

}  // namespace
}  // namespace holdfast::actors
