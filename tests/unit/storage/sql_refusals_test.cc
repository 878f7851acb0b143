// The parts of SQLite's language that a client may not use, and the errors that the client gets.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "storage/sql/connection.h"
#include "tests/unit/storage/sql_harness.h"

namespace holdfast::storage::sql {
namespace {

using absl::StatusCode;

class SqlRefusals : public testing::Test {
 protected:
  SqlRefusals() { EXPECT_THAT(object_.Do("CREATE TABLE t (v)"), IsOk()); }
  ~SqlRefusals() override {
    EXPECT_EQ(object_.Rows("SELECT name FROM sqlite_schema"), (std::vector<Row>{{Value(std::string("t"))}}));
  }

  void ExpectRefused(const std::string& sql, const std::string& why) {
    const absl::Status status = object_.Do(sql);
    EXPECT_THAT(status, IsStatus(StatusCode::kInvalidArgument, why)) << sql;
    EXPECT_EQ(FailureOf(status).kind, FailureKind::kSqlError) << sql;
  }

  SqlObject object_;
};

TEST_F(SqlRefusals, Transactions) {
  for (const std::string verb : {"BEGIN", "COMMIT", "ROLLBACK"}) {
    ExpectRefused(verb, verb + " is not allowed: the call is the transaction");
  }
  ExpectRefused("END", "COMMIT is not allowed");
  ExpectRefused("SAVEPOINT s", "savepoints are not allowed");
  ExpectRefused("RELEASE s", "savepoints are not allowed");
  ExpectRefused("ROLLBACK TO s", "savepoints are not allowed");
}

TEST_F(SqlRefusals, OtherDatabases) {
  ExpectRefused("ATTACH 'x' AS y", "an object has one database");
  ExpectRefused("DETACH y", "an object has one database");
  ExpectRefused("VACUUM", "VACUUM");
  ExpectRefused("VACUUM INTO '/tmp/x'", "VACUUM");
}

TEST_F(SqlRefusals, TemporaryObjects) {
  for (const std::string sql : {"CREATE TEMP TABLE x (v)", "CREATE TABLE temp.x (v)", "CREATE TEMP VIEW x AS SELECT 1",
                                "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
                                "CREATE VIRTUAL TABLE temp.x USING fts5(v)", "CREATE TEMP TABLE x AS SELECT 1"}) {
    ExpectRefused(sql, "temporary tables, views, indexes and triggers are not allowed");
  }
}

TEST_F(SqlRefusals, Pragmas) {
  for (const std::string pragma :
       {"auto_vacuum",         "cache_size",         "encoding",        "foreign_keys",
        "freelist_count",      "incremental_vacuum", "integrity_check", "Journal_Mode",
        "locking_mode",        "max_page_count",     "mmap_size",       "page_count",
        "schema_version",      "secure_delete",      "synchronous",     "temp_store",
        "trusted_schema",      "wal_checkpoint",     "writable_schema", "case_sensitive_like",
        "function_list",       "module_list",        "hard_heap_limit", "threads",
        "database_list",       "collation_list",     "compile_options", "journal_size_limit",
        "recursive_triggers",  "query_only",         "application_id",  "data_store_directory",
        "temp_store_directory"}) {
    ExpectRefused("PRAGMA " + pragma, "PRAGMA " + pragma + " is not allowed");
    ExpectRefused("PRAGMA " + pragma + " = 1", "PRAGMA " + pragma + " is not allowed");
  }
  ExpectRefused("PRAGMA page_size = 512", "PRAGMA page_size with a value is not allowed");
  ExpectRefused("PRAGMA data_version = 1", "PRAGMA data_version with a value is not allowed");
  ExpectRefused("PRAGMA temp.user_version = 1", "temporary tables are not allowed");
  ExpectRefused("SELECT * FROM pragma_journal_mode", "PRAGMA journal_mode is not allowed");
}

TEST_F(SqlRefusals, TheSchemaItself) {
  ExpectRefused("UPDATE sqlite_schema SET sql = 'x'", "may not be modified");
  ExpectRefused("DELETE FROM sqlite_schema", "may not be modified");
}

TEST_F(SqlRefusals, Functions) {
  for (const std::string function : {"sqlite_log(1, 'x')", "rtreenode(2, x'00')", "rtreecheck('t')", "fts5(1)",
                                     "subtype(1)", "json_pretty('[1]')", "unhex('00', '-')"}) {
    ExpectRefused("SELECT " + function, " is not allowed");
    ExpectRefused("CREATE VIEW x AS SELECT 1; CREATE TRIGGER y AFTER INSERT ON t BEGIN SELECT " + function +
                      "; END; INSERT INTO t VALUES (1)",
                  " is not allowed");
  }
  // SQLite is built without these functions.
  for (const std::string function :
       {"load_extension('x')", "fts3_tokenizer('simple')", "FTS3_Tokenizer('x', zeroblob(8))"}) {
    ExpectRefused("SELECT " + function, "no such function");
  }
  ExpectRefused("SELECT sqlite_rename_table(1, 2, 3, 4, 5, 6, 7)", "no such function");
}

TEST_F(SqlRefusals, Modules) {
  for (const std::string module : {"fts3(v)", "FTS4(v)", "fts4aux(t)", "fts3tokenize(simple)", "dbstat", "csv(x)"}) {
    ExpectRefused("CREATE VIRTUAL TABLE x USING " + module, " are not allowed");
  }
  for (const std::string table : {"dbstat", "sqlite_stmt", "fts3tokenize", "sqlite_dbpage"}) {
    ExpectRefused("SELECT * FROM " + table, "no such table");
  }
}

TEST_F(SqlRefusals, OurNames) {
  for (const std::string sql :
       {"CREATE TABLE _holdfast (v)", "CREATE TABLE _HoldFast_x AS SELECT 1", "CREATE INDEX _holdfast_i ON t (v)",
        "CREATE VIEW _holdfast_v AS SELECT 1", "CREATE VIRTUAL TABLE _holdfast_f USING fts5(v)",
        "CREATE TRIGGER _holdfast_t AFTER INSERT ON t BEGIN SELECT 1; END", "ALTER TABLE t RENAME TO _holdfast_t",
        "ALTER TABLE t RENAME TO _HOLDFAST"}) {
    ExpectRefused(sql, "begin with _holdfast are reserved");
  }
  // The table of migrations belongs to the client.
  EXPECT_THAT(object_.Do("CREATE TABLE _meta (key TEXT PRIMARY KEY, value TEXT)"), IsOk());
  EXPECT_THAT(object_.Do("ALTER TABLE _meta RENAME TO _hold"), IsOk());
  EXPECT_THAT(object_.Do("DROP TABLE _hold"), IsOk());
}

TEST(SqlAllowed, TriggersKeepASearchTable) {
  SqlObject object;
  ASSERT_THAT(
      object.Do(
          "CREATE TABLE texts (id INTEGER PRIMARY KEY, body TEXT);"
          "CREATE VIRTUAL TABLE search USING fts5(body, content=texts, content_rowid=id);"
          "CREATE TRIGGER added AFTER INSERT ON texts BEGIN "
          "  INSERT INTO search (rowid, body) VALUES (new.id, new.body); END;"
          "CREATE TRIGGER removed AFTER DELETE ON texts BEGIN "
          "  INSERT INTO search (search, rowid, body) VALUES ('delete', old.id, old.body); END;"
          "CREATE TRIGGER changed AFTER UPDATE ON texts BEGIN "
          "  INSERT INTO search (search, rowid, body) VALUES ('delete', old.id, old.body);"
          "  INSERT INTO search (rowid, body) VALUES (new.id, new.body); END;"
          "CREATE VIEW found AS SELECT rowid AS id, highlight(search, 0, '<', '>') AS shown, bm25(search) AS score,"
          "  snippet(search, 0, '<', '>', '', 3) AS part FROM search WHERE search MATCH 'two'"),
      IsOk());
  ASSERT_THAT(object.Do("INSERT INTO texts (body) VALUES ('one two'), ('two three'), ('two four')"), IsOk());
  ASSERT_THAT(object.Do("UPDATE texts SET body = 'five' WHERE id = 1; DELETE FROM texts WHERE id = 3"), IsOk());
  object.Reopen();
  EXPECT_EQ(object.Rows("SELECT id, shown, part FROM found"),
            (std::vector<Row>{{int64_t{2}, std::string("<two> three"), std::string("<two> three")}}));
  ASSERT_THAT(object.Do("INSERT INTO search (search) VALUES ('integrity-check'); "
                        "INSERT INTO search (search) VALUES ('optimize')"),
              IsOk());
}

TEST(SqlAllowed, Pragmas) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE p (id INTEGER PRIMARY KEY); "
                        "CREATE TABLE t (id INTEGER PRIMARY KEY, p REFERENCES p); CREATE INDEX t_p ON t (p)"),
              IsOk());
  for (const std::string pragma :
       {"table_info(t)", "table_xinfo(t)", "table_list", "index_list(t)", "index_info(t_p)", "index_xinfo(t_p)",
        "foreign_key_list(t)", "foreign_key_check", "foreign_key_check(t)", "defer_foreign_keys",
        "defer_foreign_keys = ON", "quick_check", "quick_check(3)", "optimize", "optimize(0xfffe)", "user_version",
        "user_version = 7", "data_version"}) {
    EXPECT_THAT(object.Do("PRAGMA " + pragma), IsOk()) << pragma;
  }
  EXPECT_THAT(
      object.Turn({{"PRAGMA defer_foreign_keys = ON"}, {"INSERT INTO t VALUES (1, 5)"}, {"INSERT INTO p VALUES (5)"}}),
      IsOk());
}

}  // namespace
}  // namespace holdfast::storage::sql
