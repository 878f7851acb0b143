// ExportSql and ImportSql move a database as a file that SQLite opens.

#include <sqlite3.h>

#include <fstream>
#include <iterator>

#include "tests/blackbox/sql_behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr size_t kPageBytes = 4096;

class SqlFiles : public SqlBehaviour {
 protected:
  grpc::Status Refusal(const std::string& file) {
    const grpc::Status status = Import("o", file).status;
    EXPECT_TRUE(Fails(status, grpc::StatusCode::INVALID_ARGUMENT, "SQL_ERROR"));
    EXPECT_THAT(Rows("o", "SELECT v FROM kept"), ElementsAre("1"));
    return status;
  }

  // Runs statements on the file with SQLite's own library, and returns the first column of their results.
  static std::vector<std::string> RunOn(std::string* file, const std::string& sql) {
    testing::TemporaryDirectory directory;
    const std::string path = directory.path() + "/file.db";
    std::ofstream(path, std::ios::binary) << *file;
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    // With defensive mode off, the statements can make files that SQLite itself would not make.
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
    std::vector<std::string> found;
    char* error = nullptr;
    const auto row = [](void* to, int, char** values, char**) {
      static_cast<std::vector<std::string>*>(to)->push_back(values[0] == nullptr ? "" : values[0]);
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), row, &found, &error), SQLITE_OK) << error;
    sqlite3_free(error);
    sqlite3_close(db);
    std::ifstream in(path, std::ios::binary);
    file->assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    return found;
  }
  static std::string NewFile(const std::string& sql) {
    std::string file;
    RunOn(&file, sql);
    return file;
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, SqlFiles, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(SqlFiles, FileGoesOutIsChangedAndComesBack) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE INDEX i ON t(v)",
                                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) "
                                 "INSERT INTO t(v) SELECT hex(randomblob(300)) FROM n"})));
  std::string file = Export("o");
  EXPECT_GT(file.size(), 2u << 20);
  EXPECT_THAT(RunOn(&file,
                    "PRAGMA integrity_check; SELECT count(*) FROM t; DELETE FROM t WHERE id > 10; "
                    "INSERT INTO t VALUES (11, 'from outside')"),
              ElementsAre("ok", "3000"));
  const auto imported = Import("o", file);
  ASSERT_TRUE(IsOk(imported));
  EXPECT_EQ(imported.response.bytes(), static_cast<int64_t>(file.size()));
  EXPECT_THAT(Rows("o", "SELECT count(*), max(v) FROM t"), ElementsAre("11|from outside"));
  EXPECT_TRUE(IsOk(Execute("o", {"INSERT INTO t(v) VALUES ('after')"})));
  Passivate("o");
  EXPECT_THAT(Rows("o", "SELECT v FROM t WHERE id = 12"), ElementsAre("after"));
}

TEST_P(SqlFiles, ObjectWithoutADatabaseGivesAnEmptyFileAndTakesOne) {
  EXPECT_EQ(Export("o"), "");
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(v)"})));
  ASSERT_TRUE(IsOk(Import("o", "")));
  EXPECT_THAT(Rows("o", "SELECT name FROM sqlite_schema"), IsEmpty());
  ASSERT_TRUE(IsOk(Import("new", NewFile("CREATE TABLE t(v); INSERT INTO t VALUES (7)"))));
  EXPECT_THAT(Rows("new", "SELECT v FROM t"), ElementsAre("7"));
}

TEST_P(SqlFiles, DatabaseWithAWriteAheadLogIsTaken) {
  ASSERT_TRUE(IsOk(Import("o", NewFile("PRAGMA journal_mode=WAL; CREATE TABLE t(v); INSERT INTO t VALUES (7)"))));
  EXPECT_THAT(Rows("o", "SELECT v FROM t"), ElementsAre("7"));
  EXPECT_TRUE(IsOk(Execute("o", {"INSERT INTO t VALUES (8)"})));
}

// SQLite 3.40 says "NULL value in t.b" of this table.
TEST_P(SqlFiles, WhatWentOutComesBackWhateverItsPrimaryKey) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(a INT, b TEXT, c REAL, PRIMARY KEY(c, b)) WITHOUT ROWID",
                                 "INSERT INTO t VALUES (1, 'two', 3.5)"})));
  ASSERT_TRUE(IsOk(Import("o", Export("o"))));
  EXPECT_THAT(Rows("o", "SELECT a, b, c FROM t"), ElementsAre("1|two|3.5"));
}

TEST_P(SqlFiles, HostileFilesAreRefusedAndChangeNothing) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE kept(v)", "INSERT INTO kept VALUES (1)"})));
  const std::string good = NewFile(
      "CREATE TABLE t(v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) "
      "INSERT INTO t SELECT hex(randomblob(100)) FROM n; CREATE INDEX i ON t(v)");
  EXPECT_THAT(Refusal("no database at all").error_message(), HasSubstr("no SQLite database"));
  EXPECT_THAT(Refusal(std::string(10'000, 'x')).error_message(), HasSubstr("no SQLite database"));
  EXPECT_THAT(Refusal(good.substr(0, good.size() - 100)).error_message(), HasSubstr("cut off"));
  EXPECT_THAT(Refusal(good.substr(0, good.size() - kPageBytes)).error_message(), HasSubstr("cut off"));
  EXPECT_THAT(Refusal(NewFile("PRAGMA page_size=1024; CREATE TABLE t(v)")).error_message(), HasSubstr("1024 bytes"));
  std::string damaged = good;
  for (size_t i = 2 * kPageBytes; i < 3 * kPageBytes; ++i) damaged[i] = static_cast<char>(i * 7);
  Refusal(damaged);
  // The server's SQLite has no module fts4; other builds have it.
  EXPECT_THAT(Refusal(NewFile("CREATE TABLE t(v); PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES "
                              "('table', 'x', 'x', 0, 'CREATE VIRTUAL TABLE x USING fts4(v)')"))
                  .error_message(),
              HasSubstr("fts4"));
  EXPECT_THAT(Refusal(NewFile("CREATE TABLE _holdfast_x(v)")).error_message(), HasSubstr("reserved"));
  const grpc::Status malformed = Refusal(
      NewFile("CREATE TABLE t(v); PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t('"));
  EXPECT_THAT(malformed.error_message(), HasSubstr("malformed"));
  EXPECT_THAT(malformed.error_details(), Not(HasSubstr("sql-failure")));
}

// An import does not run the CHECK constraints of a file: they may take any time.
TEST_P(SqlFiles, RowsThatNoConstraintAllowsAreTaken) {
  ASSERT_TRUE(IsOk(Import("o", NewFile("CREATE TABLE t(v CHECK (v > 7)); PRAGMA ignore_check_constraints=ON;"
                                       "INSERT INTO t VALUES (1)"))));
  EXPECT_THAT(Rows("o", "SELECT v FROM t"), ElementsAre("1"));
  EXPECT_TRUE(
      Fails(Execute("o", {"UPDATE t SET v = 2"}).status, grpc::StatusCode::FAILED_PRECONDITION, "SQL_CONSTRAINT"));
}

TEST_P(SqlFiles, SchemaOfAFileMayComputeWhatAClientMay) {
  ASSERT_TRUE(IsOk(Import("o", NewFile("CREATE TABLE t(v CHECK (rtreedepth(x'0000') = 0)); CREATE TABLE u(v)"))));
  const grpc::Status status = Execute("o", {"INSERT INTO t VALUES (1)"}).status;
  EXPECT_TRUE(Fails(status, grpc::StatusCode::INVALID_ARGUMENT, "SQL_ERROR"));
  EXPECT_THAT(status.error_message(), HasSubstr("the function rtreedepth is not allowed"));
  EXPECT_TRUE(IsOk(Execute("o", {"DROP TABLE t", "INSERT INTO u VALUES (1)"})));
}

// A reply with a string that is not UTF-8 could not be parsed.
TEST_P(SqlFiles, NamesThatAreNotUtf8AreToldOf) {
  ASSERT_TRUE(IsOk(Import("o", NewFile("CREATE TABLE \"a\xff\"(v); CREATE VIEW w AS SELECT * FROM \"b\xfe\""))));
  const v1::DescribeObjectResponse described = Describe("o", "Object");
  ASSERT_EQ(described.tables_size(), 1);
  EXPECT_EQ(described.tables(0).name(), "a\xef\xbf\xbd");
  EXPECT_EQ(described.tables(0).row_count(), 0);
  const grpc::Status status = Execute("o", {"SELECT * FROM w"}).status;
  EXPECT_TRUE(Fails(status, grpc::StatusCode::INVALID_ARGUMENT, "SQL_ERROR"));
  EXPECT_THAT(status.error_message(), HasSubstr("b\xef\xbf\xbd"));
}

TEST_P(SqlFiles, TriggersOfAFileMayDoWhatAClientMay) {
  ASSERT_TRUE(IsOk(
      Import("o", NewFile("CREATE TABLE t(v); CREATE VIEW w AS SELECT fts3_tokenizer('x', x'0011223344556677') AS v;"
                          "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT load_extension('x'); END"))));
  EXPECT_TRUE(
      Fails(Execute("o", {"INSERT INTO t VALUES (1)"}).status, grpc::StatusCode::INVALID_ARGUMENT, "SQL_ERROR"));
  EXPECT_TRUE(Fails(Execute("o", {"SELECT * FROM w"}).status, grpc::StatusCode::INVALID_ARGUMENT, "SQL_ERROR"));
  EXPECT_TRUE(IsOk(Execute("o", {"DROP TRIGGER g", "INSERT INTO t VALUES (1)"})));
}

TEST_P(SqlFiles, RepeatedImportAnswersTheSame) {
  const std::string file = NewFile("CREATE TABLE t(v)");
  ASSERT_TRUE(IsOk(Import("o", file, "id")));
  ASSERT_TRUE(IsOk(Execute("o", {"INSERT INTO t VALUES (1)"})));
  const auto again = Import("o", file, "id");
  ASSERT_TRUE(IsOk(again));
  EXPECT_EQ(again.response.bytes(), static_cast<int64_t>(file.size()));
  EXPECT_THAT(Rows("o", "SELECT v FROM t"), ElementsAre("1"));
  EXPECT_TRUE(Fails(Import("o", NewFile("CREATE TABLE u(v)"), "id").status, grpc::StatusCode::ALREADY_EXISTS,
                    "REQUEST_ID_REUSED"));
}

TEST_P(SqlFiles, PartsInAnotherOrderAreRefused) {
  ObjectStub stub(channel_);
  grpc::ClientContext context;
  v1::ImportSqlResponse response;
  auto writer = stub.ImportSql(&context, &response);
  v1::ImportSqlRequest part;
  part.set_chunk("x");
  writer->Write(part);
  writer->WritesDone();
  EXPECT_TRUE(IsInvalid(writer->Finish(), "part"));
}

}  // namespace
}  // namespace holdfast::blackbox
