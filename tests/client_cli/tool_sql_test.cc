// `holdfast sql` runs against a server that executes the statements on an SQLite database in memory.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/sql_shell.h"
#include "tests/client_cli/fake_server.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using grpc::Status;
using grpc::StatusCode;
using Words = std::vector<std::string>;

constexpr char kExecute[] = "/holdfast.v1.ObjectService/ExecuteSql";
constexpr char kMigrate[] = "/holdfast.v1.ObjectService/MigrateSchema";

class SqlToolTest : public ToolTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
    db_.reset(db);
    server_.On<v1::ExecuteSqlRequest, v1::ExecuteSqlResponse>(
        kExecute, [this](const auto& request, auto* response) { return Execute(request, response); });
  }

  // Appends the statements of a call to calls_, joined with a bar, and runs them.
  Status Execute(const v1::ExecuteSqlRequest& request, v1::ExecuteSqlResponse* response) {
    ids_.push_back(request.request_id());
    object_ = request.object().ShortDebugString();
    std::string& call = calls_.emplace_back();
    for (const v1::SqlStatement& statement : request.statements()) {
      absl::StrAppend(&call, call.empty() ? "" : "|", statement.sql());
    }
    sqlite3_exec(db_.get(), "SAVEPOINT call", nullptr, nullptr, nullptr);
    Status status;
    for (int i = 0; i < request.statements_size() && status.ok(); ++i) {
      if (!Run(request.statements(i), response->add_results())) {
        status =
            Error(StatusCode::INVALID_ARGUMENT,
                  absl::StrCat("statements[", i, "]: ", sqlite3_errmsg(db_.get()), "; nothing was done"), "SQL_ERROR");
        sqlite3_exec(db_.get(), "ROLLBACK TO call", nullptr, nullptr, nullptr);
      }
    }
    sqlite3_exec(db_.get(), "RELEASE call", nullptr, nullptr, nullptr);
    return status;
  }

  bool Run(const v1::SqlStatement& statement, v1::SqlResult* result) {
    // A call is already a transaction here; the test checks the transaction of a text in calls_.
    if (absl::StrContains(statement.sql(), "BEGIN;")) return true;
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(db_.get(), statement.sql().c_str(), -1, &prepared, nullptr) != SQLITE_OK) return false;
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owner(prepared, sqlite3_finalize);
    for (int i = 0; i < statement.params_size(); ++i) {
      const v1::SqlValue& param = statement.params(i);
      if (param.has_integer()) sqlite3_bind_int64(prepared, i + 1, param.integer());
      if (param.has_real()) sqlite3_bind_double(prepared, i + 1, param.real());
      if (param.has_text()) sqlite3_bind_text(prepared, i + 1, param.text().c_str(), -1, SQLITE_TRANSIENT);
      if (param.has_blob()) {
        sqlite3_bind_blob64(prepared, i + 1, param.blob().data(), param.blob().size(), SQLITE_TRANSIENT);
      }
    }
    const int columns = sqlite3_column_count(prepared);
    for (int i = 0; i < columns; ++i) result->add_columns()->set_name(sqlite3_column_name(prepared, i));
    int step;
    while ((step = sqlite3_step(prepared)) == SQLITE_ROW) {
      v1::SqlRow* const row = result->add_rows();
      for (int i = 0; i < columns; ++i) {
        v1::SqlValue* const value = row->add_values();
        const int type = sqlite3_column_type(prepared, i);
        if (type == SQLITE_INTEGER) value->set_integer(sqlite3_column_int64(prepared, i));
        if (type == SQLITE_FLOAT) value->set_real(sqlite3_column_double(prepared, i));
        if (type == SQLITE_TEXT) value->set_text(reinterpret_cast<const char*>(sqlite3_column_text(prepared, i)));
        if (type == SQLITE_BLOB) {
          value->set_blob(sqlite3_column_blob(prepared, i), sqlite3_column_bytes(prepared, i));
        }
      }
    }
    return step == SQLITE_DONE;
  }

  // Returns the rows of a query as CSV, without the header.
  std::string Rows(const std::string& query) {
    const std::string csv = Tool({"sql", "o", query, "--csv"}).out;
    return csv.substr(csv.find('\n') + 1);
  }

  std::unique_ptr<sqlite3, int (*)(sqlite3*)> db_{nullptr, sqlite3_close};
  std::vector<std::string> calls_;
  std::string object_;
};

TEST_F(SqlToolTest, EachStatementIsACallOfItsOwn) {
  const Result result = Tool({"sql", "o", "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); -- done",
                              "INSERT INTO t VALUES (1, 'a;b'), (2, NULL)", "SELECT * FROM t", "--namespace", "n"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "id  name\n--  ----\n1   a;b\n2\n");
  EXPECT_EQ(calls_, (Words{"CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);",
                           "INSERT INTO t VALUES (1, 'a;b'), (2, NULL)", "SELECT * FROM t"}));
  EXPECT_EQ(object_, "namespace: \"n\" name: \"o\"");
}

TEST_F(SqlToolTest, StatementsFromTheStandardInput) {
  const Result result =
      Tool({"sql", "o"},
           "CREATE TABLE t(v);\nCREATE TRIGGER r AFTER INSERT ON t WHEN new.v < 3 BEGIN\n"
           "  INSERT INTO t VALUES (new.v + 10);\nEND;\n\nINSERT INTO t\nVALUES (1);\nSELECT * FROM t");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "v\n--\n1\n11\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(calls_.size(), 4u);
}

TEST_F(SqlToolTest, AMinusIsTheStandardInput) {
  for (const Words& words : std::vector<Words>{{"sql", "o", "-"}, {"sql", "o", "--file", "-"}}) {
    EXPECT_EQ(Tool(words, "SELECT 1 AS one;\nSELECT 2 AS two").out, "one\n---\n1\ntwo\n---\n2\n");
  }
  EXPECT_EQ(Tool({"sql", "o", "SELECT typeof(?1) AS t, ?1 AS v", "--csv", "--param", "-"}, "12\n").out,
            "t,v\r\ntext,12\r\n");
  EXPECT_EQ(Tool({"sql", "o", "SELECT typeof(?1) AS t, hex(?1) AS v", "--csv", "--param", "blob:-"}, "\xff\n").out,
            "t,v\r\nblob,FF0A\r\n");
  Reply<v1::MigrateSchemaRequest, v1::MigrateSchemaResponse>(kMigrate);
  EXPECT_EQ(Tool({"sql", "o", "--migrations", "-"}, "[{\"version\": 1}]").status, 0);
  EXPECT_EQ(request_, "object { name: \"o\" } migrations { version: 1 }");
  ExpectUsage({"sql", "o", "SELECT 1", "-"}, "SQL: - stands alone, for all statements from the standard input");
  ExpectUsage({"sql", "o", "-", "--param", "1"}, "--param is for one statement");
}

TEST_F(SqlToolTest, StatementsFromAFile) {
  const std::string path = testing::TempDir() + "/holdfast_sql";
  std::ofstream(path) << "SELECT 1 AS one;\r\nSELECT 2 AS two;\r\n";
  EXPECT_EQ(Tool({"sql", "o", "--file", path}).out, "one\n---\n1\ntwo\n---\n2\n");
  std::remove(path.c_str());
  ExpectUsage({"sql", "o", "--file", path}, absl::StrCat("--file: '", path, "' can't be read"));
  ExpectUsage({"sql", "o", "--file", "/"}, "--file: '/' can't be read");
}

TEST_F(SqlToolTest, AScriptEndsWithTheFirstError) {
  Result result = Tool({"sql", "o"}, "CREATE TABLE t(v);\n\n-- wrong:\nSELEC\n1; INSERT INTO t VALUES (1);\n");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err,
            "holdfast: INVALID_ARGUMENT: line 4: near \"SELEC\": syntax error; line 1 took effect (SQL_ERROR)\n");
  EXPECT_EQ(Rows("SELECT count(*) FROM t"), "0\r\n");
  result = Tool({"sql", "o", "SELECT 1;", "\nSELECT x;", "--json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, "{\"1\":1}\n");
  EXPECT_EQ(
      result.err,
      "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\"argument 2, line 2: no such column: x; nothing was "
      "done\",\"reason\":\"SQL_ERROR\"}}\n");
}

TEST_F(SqlToolTest, AnErrorSaysWhichLinesTookEffect) {
  const auto error = [](const Words& statements, const std::string& script = "") {
    Words words = {"sql", "o"};
    words.insert(words.end(), statements.begin(), statements.end());
    const Result result = Tool(words, script);
    EXPECT_EQ(result.status, 1);
    return result.err;
  };
  const std::string wrong = "no such column: x";
  EXPECT_EQ(
      error({}, "CREATE TABLE t(v);\nINSERT INTO t\nVALUES\n(1);\n\nBEGIN;\nDELETE FROM t;\nCOMMIT;\n\nSELECT x;"),
      "holdfast: INVALID_ARGUMENT: line 10: " + wrong + "; lines 1 to 8 took effect (SQL_ERROR)\n");
  // No statement wrote before.
  EXPECT_EQ(error({}, "SELECT 1;\nSELECT x;"),
            "holdfast: INVALID_ARGUMENT: line 2: " + wrong + "; nothing was done (SQL_ERROR)\n");
  EXPECT_EQ(error({}, "DELETE FROM t;\nDELETE FROM t; SELECT x; DELETE FROM t;"),
            "holdfast: INVALID_ARGUMENT: line 2: " + wrong +
                "; lines 1 to 2, before this statement, took effect (SQL_ERROR)\n");
  EXPECT_EQ(error({}, "DELETE FROM t;\nBEGIN;\nDELETE FROM t;\n"),
            "holdfast: INVALID_ARGUMENT: line 2: BEGIN has no COMMIT; nothing of the transaction was done; line 1 took "
            "effect\n");
  EXPECT_EQ(error({}, "DELETE FROM t;\n.tables\n.bogus\n"),
            "holdfast: INVALID_ARGUMENT: line 3: no command .bogus; .help lists them; lines 1 to 2 took effect\n");
  EXPECT_EQ(error({"DELETE FROM t", "DELETE FROM t;\nSELECT 1", "SELECT x"}),
            "holdfast: INVALID_ARGUMENT: argument 3, line 1: " + wrong +
                "; everything up to argument 2, line 2 took effect (SQL_ERROR)\n");
  EXPECT_EQ(error({"--atomic"}, "DELETE FROM t;\nSELECT x;"),
            "holdfast: INVALID_ARGUMENT: line 2: " + wrong + "; nothing was done (SQL_ERROR)\n");
}

TEST_F(SqlToolTest, AtomicIsOneCall) {
  Result result = Tool({"sql", "o", "--atomic"}, "CREATE TABLE t(v);\nINSERT INTO t VALUES (1);\nSELECT v FROM t;");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "v\n-\n1\n");
  EXPECT_EQ(calls_, Words{"CREATE TABLE t(v);|INSERT INTO t VALUES (1);|SELECT v FROM t;"});
  result = Tool({"sql", "o", "DELETE FROM t;", "SELECT\n1;\n\nSELECT x;", "--atomic"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err,
            "holdfast: INVALID_ARGUMENT: argument 2, line 4: no such column: x; nothing was done (SQL_ERROR)\n");
  EXPECT_EQ(Rows("SELECT v FROM t"), "1\r\n");
  calls_.clear();
  EXPECT_EQ(Tool({"sql", "o", "--atomic"}, " -- nothing\n").status, 0);
  EXPECT_EQ(Tool({"sql", "o", "--atomic"}, "SELECT 1;\n.tables\n").status, 1);
  EXPECT_EQ(calls_, Words{});
}

TEST_F(SqlToolTest, ATransactionIsOneText) {
  const Result result =
      Tool({"sql", "o"}, "SELECT 1;\nBEGIN; CREATE TABLE t(v);\nINSERT INTO t\nVALUES (1);\nCOMMIT;\nSELECT 2;");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(calls_,
            (Words{"SELECT 1;", "BEGIN;\nCREATE TABLE t(v);\nINSERT INTO t\nVALUES (1);\nCOMMIT;\n", "SELECT 2;"}));
  calls_.clear();
  EXPECT_EQ(Tool({"sql", "o", "BEGIN", "SELECT 1", "End Transaction"}).status, 0);
  EXPECT_EQ(calls_, Words{"BEGIN;\nSELECT 1;\nEnd Transaction;\n"});
  calls_.clear();
  EXPECT_EQ(Tool({"sql", "o"}, "BEGIN;\nSELECT 1;\nROLLBACK;\nSELECT 2;").status, 0);
  EXPECT_EQ(calls_, Words{"SELECT 2;"});
}

TEST_F(SqlToolTest, ADumpIsOneTextWithForeignKeysOff) {
  const std::string dump = "PRAGMA foreign_keys=OFF;\nBEGIN;\nCREATE TABLE t(v);\nCOMMIT;\n";
  EXPECT_EQ(Tool({"sql", "o"}, dump + "PRAGMA foreign_keys = on;\nSELECT 1;\nBEGIN;\nSELECT 2;\nCOMMIT;").status, 0);
  EXPECT_EQ(calls_, (Words{dump, "SELECT 1;", "BEGIN;\nSELECT 2;\nCOMMIT;\n"}));
  calls_.clear();
  const Result result = Tool({"sql", "o"}, "PRAGMA foreign_keys=OFF;\nDELETE FROM t;\n");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err, "holdfast: INVALID_ARGUMENT: line 2: foreign keys can be off from BEGIN to COMMIT only\n");
  EXPECT_EQ(calls_, Words{});
}

TEST_F(SqlToolTest, ATransactionEndsAndHasABound) {
  Result result = Tool({"sql", "o"}, "SELECT 1;\nBEGIN;\nSELECT 2;\n");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err,
            "holdfast: INVALID_ARGUMENT: line 2: BEGIN has no COMMIT; nothing of the transaction was done\n");
  EXPECT_EQ(calls_, Words{"SELECT 1;"});
  std::string script = "BEGIN;\n";
  for (int i = 0; i < 50; ++i) script += "SELECT '" + std::string(90'000, 'x') + "';\n";
  result = Tool({"sql", "o"}, script + "COMMIT;");
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(absl::StartsWith(result.err, "holdfast: INVALID_ARGUMENT: line 47: the transaction is over 4 MiB"))
      << result.err;
  EXPECT_EQ(calls_.size(), 1u);
}

TEST_F(SqlToolTest, AtomicIsForSoManyStatements) {
  std::string script;
  for (size_t i = 0; i < kStatementsMax; ++i) script += "SELECT 1;\n";
  EXPECT_EQ(Tool({"sql", "o", "--atomic"}, script).status, 0);
  const Result result = Tool({"sql", "o", "--atomic"}, script + "SELECT 1;");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err, "holdfast: INVALID_ARGUMENT: line 129: --atomic is for at most 128 statements\n");
  EXPECT_EQ(calls_.size(), 1u);
}

TEST_F(SqlToolTest, Formats) {
  const Words words = {"sql", "o", "SELECT 1 AS id, 'a,b' AS name, NULL AS none, x'ff' AS bytes"};
  const auto with = [&words](const std::string& flag) {
    Words all = words;
    all.push_back(flag);
    return Tool(all).out;
  };
  EXPECT_EQ(Tool(words).out, "id  name  none  bytes\n--  ----  ----  -----\n1   a,b         X'FF'\n");
  EXPECT_EQ(with("--json"), "{\"id\":1,\"name\":\"a,b\",\"none\":null,\"bytes\":\"/w==\"}\n");
  EXPECT_EQ(with("--csv"), "id,name,none,bytes\r\n1,\"a,b\",,/w==\r\n");
}

TEST_F(SqlToolTest, Parameters) {
  Words words = {"sql", "o",
                 "VALUES (typeof(?1), ?1), (typeof(?2), ?2), (typeof(?3), ?3), (typeof(?4), ?4), "
                 "(typeof(?5), ?5), (typeof(?6), ?6), (typeof(?7), ?7), (typeof(?8), hex(?8)), "
                 "(typeof(?9), ?9), (typeof(?10), ?10)",
                 "--csv"};
  for (const char* param :
       {"-12", "1.5e3", "NULL", "12a", "text:12", "9223372036854775808", "2024-05-01", "blob:00ff", "inf", "text:"}) {
    words.push_back("--param");
    words.push_back(param);
  }
  const Result result = Tool(words);
  EXPECT_EQ(result.out,
            "column1,column2\r\ninteger,-12\r\nreal,1500.0\r\nnull,\r\ntext,12a\r\ntext,12\r\n"
            "real,9223372036854775808.0\r\ntext,2024-05-01\r\nblob,00FF\r\ntext,inf\r\ntext,\"\"\r\n")
      << result.err;
  ExpectUsage({"sql", "o", "SELECT ?1", "--param", "blob:0"}, "--param: '0' is not pairs of hexadecimal digits");
  ExpectUsage({"sql", "o", "SELECT ?1", "--param", "blob:+1"}, "--param: '+1' is not pairs of hexadecimal digits");
}

TEST_F(SqlToolTest, ParametersAreForOneStatement) {
  for (const Words& words : std::vector<Words>{{"sql", "o", "--param", "1"},
                                               {"sql", "o", "SELECT ?1; SELECT ?1", "--param", "1"},
                                               {"sql", "o", "SELECT ?1", "SELECT ?1", "--param", "1"},
                                               {"sql", "o", "", "--param", "1"}}) {
    ExpectUsage(words, "--param is for one statement");
  }
  EXPECT_EQ(calls_, Words{});
}

TEST_F(SqlToolTest, OnlyWhatMayWriteHasARequestId) {
  EXPECT_EQ(Tool({"sql", "o", "CREATE TABLE t(v); select 1; WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
                  "EXPLAIN DELETE FROM t", "VALUES(1)", "--request-id", "once"})
                .status,
            0);
  EXPECT_EQ(ids_, (Words{"once-0", "", "once-2", "", ""}));
  ids_.clear();
  EXPECT_EQ(Tool({"sql", "o", "SELECT 1; DELETE FROM t", "--atomic", "--request-id", "once"}).status, 0);
  EXPECT_EQ(ids_, Words{"once"});
  ids_.clear();
  EXPECT_EQ(Tool({"sql", "o", "DELETE FROM t"}).status, 0);
  ASSERT_EQ(ids_.size(), 1u);
  EXPECT_EQ(ids_[0].size(), 34u);
}

TEST_F(SqlToolTest, AChangeIsRetriedWithItsId) {
  server_.On<v1::ExecuteSqlRequest, v1::ExecuteSqlResponse>(kExecute, [this](const auto& request, auto*) {
    ids_.push_back(request.request_id());
    return ids_.size() < 3 ? Status(StatusCode::UNAVAILABLE, "connection lost") : Status::OK;
  });
  EXPECT_EQ(Tool({"sql", "o", "DELETE FROM t"}).status, 0);
  EXPECT_EQ(ids_, Words(3, ids_[0]));
}

TEST_F(SqlToolTest, AnUnknownOutcomeTellsTheIdOfTheRun) {
  int calls = 0;
  server_.On<v1::ExecuteSqlRequest, v1::ExecuteSqlResponse>(kExecute, [&calls](const auto&, auto*) {
    return ++calls == 2 ? Error(StatusCode::UNAVAILABLE, "sync failed", "OUTCOME_UNKNOWN") : Status::OK;
  });
  EXPECT_EQ(Tool({"sql", "o", "--retries", "0", "--request-id", "once"}, "DELETE FROM t;\nDELETE FROM u;").err,
            "holdfast: UNAVAILABLE: line 2: sync failed; line 1 took effect (OUTCOME_UNKNOWN)\n  it may or may not "
            "have happened\n"
            "  the same again with this has it happen once: --request-id once\n");
}

TEST_F(SqlToolTest, Tables) {
  const std::string script = "CREATE TABLE b(id INTEGER PRIMARY KEY AUTOINCREMENT);\nCREATE VIEW a AS SELECT 1;\n";
  EXPECT_EQ(Tool({"sql", "o"}, script + ".tables\n").out, "a\nb\n");
  EXPECT_EQ(Tool({"sql", "o", ".tables", "--json"}).out, "{\"name\":\"a\"}\n{\"name\":\"b\"}\n");
  EXPECT_EQ(ids_.back(), "");
}

TEST_F(SqlToolTest, Schema) {
  EXPECT_EQ(Tool({"sql", "o", "CREATE TABLE \"my t\"(\n\tv\n);", "CREATE INDEX i ON \"my t\"(v);", "CREATE TABLE u(v)"})
                .status,
            0);
  EXPECT_EQ(Tool({"sql", "o", ".schema"}).out,
            "CREATE TABLE \"my t\"(\n    v\n);\nCREATE INDEX i ON \"my t\"(v);\nCREATE TABLE u(v);\n");
  EXPECT_EQ(Tool({"sql", "o", ".schema U"}).out, "CREATE TABLE u(v);\n");
  EXPECT_EQ(Tool({"sql", "o", ".schema 'my t'", "--csv"}).out,
            "sql\r\n\"CREATE TABLE \"\"my t\"\"(\n\tv\n);\"\r\n\"CREATE INDEX i ON \"\"my t\"\"(v);\"\r\n");
}

TEST_F(SqlToolTest, DotCommands) {
  EXPECT_NE(Tool({"sql", "o", ".help"})
                .out.find(".quit            End\n"
                          ".schema [TABLE]  Print the CREATE statements, of one table with its "
                          "indexes and\n                 triggers, or of all\n"),
            std::string::npos);
  EXPECT_EQ(Tool({"sql", "o", ".quit", "SELECT 1"}).out, "");
  EXPECT_EQ(Tool({"sql", "o"}, "SELECT 1 AS a;\n.exit  \nSELECT 2;").out, "a\n-\n1\n");
  Result result = Tool({"sql", "o"}, "-- of nothing\n.bogus x\nSELECT 1;");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err, "holdfast: INVALID_ARGUMENT: line 2: no command .bogus; .help lists them\n");
  EXPECT_EQ(Tool({"sql", "o", ".tabels"}).err,
            "holdfast: INVALID_ARGUMENT: line 1: no command .tabels; did you mean .tables?\n");
  EXPECT_EQ(Tool({"sql", "o", ".tables x"}).err, "holdfast: INVALID_ARGUMENT: line 1: .tables takes no argument\n");
  // Within a statement, a line that begins with a dot is a part of the statement.
  EXPECT_EQ(Tool({"sql", "o"}, "SELECT 1\n.5 AS a").out, "");
  EXPECT_EQ(calls_.back(), "SELECT 1\n.5 AS a");
}

TEST_F(SqlToolTest, ATerminalIsPromptedAndGoesOnAfterErrors) {
  const Result result =
      Tool({"sql", "o"}, "SELECT x; SELECT 2;\n\nSELECT\n3 AS a;\n.bogus\nSELECT 4 AS b; SELECT", true);
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "holdfast> holdfast> holdfast>      ...> a\n-\n3\nholdfast> holdfast> b\n-\n4\n     ...> \n");
  EXPECT_EQ(result.err,
            "holdfast: a statement ends with a semicolon; .help lists the other commands\n"
            "holdfast: INVALID_ARGUMENT: no such column: x; nothing was done (SQL_ERROR)\n"
            "holdfast: INVALID_ARGUMENT: no command .bogus; .help lists them\n");
  EXPECT_EQ(calls_, (Words{"SELECT x;", "SELECT\n3 AS a;", "SELECT 4 AS b;"}));
  EXPECT_EQ(Tool({"sql", "o"}, ".quit\nSELECT 1;\n", true).out, "holdfast> ");
  EXPECT_EQ(Tool({"sql", "o", "--atomic"}, "", true).status, 2);
  EXPECT_EQ(Tool({"sql", "o", "--request-id", "once"}, "", true).status, 2);
}

TEST_F(SqlToolTest, WhatIsNotSentAtAll) {
  const auto error = [](const std::string& script) {
    const Result result = Tool({"sql", "o"}, script);
    EXPECT_EQ(result.status, 1);
    return result.err;
  };
  EXPECT_EQ(error("\nSELECT '\xff';"), "holdfast: INVALID_ARGUMENT: line 2: the line is not UTF-8 without NUL\n");
  EXPECT_EQ(error(std::string("SELECT \0;", 9)),
            "holdfast: INVALID_ARGUMENT: line 1: the line is not UTF-8 without NUL\n");
  EXPECT_EQ(error("\nSELECT 1,\n" + std::string(kStatementBytesMax, 'x')),
            "holdfast: INVALID_ARGUMENT: line 2: the statement is over 100,000 bytes\n");
  EXPECT_EQ(error(std::string(kLineBytesMax + 1, ' ')), "holdfast: INVALID_ARGUMENT: line 1: a line is over 4 MiB\n");
  EXPECT_EQ(calls_, Words{});
}

TEST_F(SqlToolTest, Migrations) {
  const std::string path = testing::TempDir() + "/holdfast_migrations";
  const auto write = [&path](const std::string& json) { std::ofstream(path) << json; };
  v1::MigrateSchemaResponse reply;
  reply.set_version_after(2);
  Reply<v1::MigrateSchemaRequest>(kMigrate, reply);
  const std::string list =
      "[{\"version\": 1, \"statements\": [{\"sql\": \"CREATE TABLE t(v)\"}]},\n"
      " {\"version\": \"2\", \"statements\": [{\"sql\": \"INSERT INTO t VALUES (?1)\", \"params\": [{\"real\": 5}]}]}]";
  for (const std::string& json : {" \n" + list, "{\"migrations\": " + list + "}"}) {
    write(json);
    const Result result = Tool({"sql", "o", "--migrations", path, "--namespace", "n", "--request-id", "once"});
    EXPECT_EQ(result.out, "version before  0\nversion after   2\n") << result.err;
    EXPECT_EQ(request_,
              "object { namespace: \"n\" name: \"o\" } "
              "migrations { version: 1 statements { sql: \"CREATE TABLE t(v)\" } } "
              "migrations { version: 2 statements { sql: \"INSERT INTO t VALUES (?1)\" params { real: 5 } } }");
    EXPECT_EQ(ids_, Words{"once"});
  }
  EXPECT_EQ(Tool({"sql", "o", "--migrations", path, "--json"}).out,
            "{\"version_before\":\"0\",\"version_after\":\"2\"}\n");
  write("{\"object\": {\"name\": \"p\"}}");
  ExpectUsage({"sql", "o", "--migrations", path},
              absl::StrCat("--migrations: '", path, "' has more than \"migrations\""));
  write("{\"accept_changed_migrations\": true, \"migrations\": []}");
  ExpectUsage({"sql", "o", "--migrations", path},
              absl::StrCat("--migrations: '", path, "' has more than \"migrations\""));
  write("[{\"version\": 1, \"foreign_keys_off\": true, \"statements\": [{\"sql\": \"SELECT 1\"}]}]");
  EXPECT_EQ(Tool({"sql", "o", "--migrations", path, "--accept-changed"}).status, 0);
  EXPECT_EQ(request_,
            "object { name: \"o\" } "
            "migrations { version: 1 statements { sql: \"SELECT 1\" } foreign_keys_off: true } "
            "accept_changed_migrations: true");
  write("[{\"versions\": 1}]");
  EXPECT_EQ(Tool({"sql", "o", "--migrations", path}).status, 2);
  std::remove(path.c_str());
  ExpectUsage({"sql", "o", "--migrations", path}, absl::StrCat("--migrations: '", path, "' can't be read"));
}

TEST_F(SqlToolTest, BadUsage) {
  ExpectUsage({"sql"}, "NAME is required");
  ExpectUsage({"sql", "o", "SELECT 1", "--csv", "--json"}, "give one of --csv, --json");
  ExpectUsage({"sql", "o", "SELECT 1", "--file", "f"}, "give one of SQL, --file, --migrations");
  ExpectUsage({"sql", "o", "--file="}, "--file: is empty");
  ExpectUsage({"sql", "o", "--migrations", "f", "--csv"}, "--migrations goes without --atomic, --csv and --param");
  ExpectUsage({"sql", "o", "SELECT 1", "--accept-changed"}, "--accept-changed is for --migrations");
}

}  // namespace
}  // namespace holdfast::client
