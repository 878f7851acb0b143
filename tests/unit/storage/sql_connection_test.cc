#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sql/connection.h"
#include "tests/unit/storage/sql_harness.h"

namespace holdfast::storage::sql {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

Row Of(Value value) { return {std::move(value)}; }
Row Text(std::string text) { return {Value(std::move(text))}; }

TEST(SqlConnection, ValuesComeBackAsTheyWere) {
  SqlObject object;
  const std::vector<Value> values = {Null{},
                                     std::numeric_limits<int64_t>::min(),
                                     int64_t{0},
                                     -0.125,
                                     std::string(),
                                     std::string("a\0b", 3),
                                     std::string("\xff"),
                                     Blob{},
                                     Blob{std::string("\0\xff", 2)},
                                     Blob{std::string(300'000, 'x')}};
  ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"), IsOk());
  for (const Value& value : values) ASSERT_THAT(object.Do("INSERT INTO t (v) VALUES (?)", {value}), IsOk());
  object.Settle();
  object.Reopen();
  const auto rows = object.Rows("SELECT v FROM t ORDER BY id");
  ASSERT_EQ(rows.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(rows[i], Of(values[i])) << i;
}

TEST(SqlConnection, AResultSaysWhatItIs) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(9))"), IsOk());
  const auto results = object.Turn({{"INSERT INTO t VALUES (7, 'a'), (9, 'b')"},
                                    {"SELECT id, name, id + 1 AS next FROM t"},
                                    {"UPDATE t SET name = 'c' RETURNING id"}});
  ASSERT_THAT(results, IsOk());
  EXPECT_EQ((*results)[0].rows_written, 2);
  EXPECT_EQ((*results)[0].last_insert_rowid, 9);
  EXPECT_GT((*results)[0].vm_steps, 5);
  ASSERT_EQ((*results)[1].columns.size(), 3u);
  EXPECT_EQ((*results)[1].columns[1].name, "name");
  EXPECT_EQ((*results)[1].columns[1].declared_type, "VARCHAR(9)");
  EXPECT_EQ((*results)[1].columns[2].name, "next");
  EXPECT_EQ((*results)[1].columns[2].declared_type, "");
  EXPECT_EQ((*results)[1].rows_written, 0);
  EXPECT_EQ((*results)[2].rows.size(), 2u);
  EXPECT_EQ((*results)[2].rows_written, 2);
}

TEST(SqlConnection, WhatOnlyReadsStoresNothing) {
  SqlObject object;
  EXPECT_EQ(object.Rows("SELECT count(*) FROM sqlite_schema"), std::vector<Row>{Of(int64_t{0})});
  EXPECT_THAT(object.Do("SELECT * FROM missing"), IsStatus(StatusCode::kInvalidArgument, "no such table: missing"));
  EXPECT_THAT(object.object().All(), IsEmpty());
  EXPECT_NE(object.connection(), nullptr) << "a turn that failed before it wrote costs no connection";
}

TEST(SqlConnection, GivesPagesBack) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (v)"), IsOk());
  ASSERT_THAT(object.Do("INSERT INTO t VALUES (zeroblob(1000000))"), IsOk());
  EXPECT_GT(object.PageCount(), 200u);
  ASSERT_THAT(object.Do("DELETE FROM t"), IsOk());
  EXPECT_LT(object.PageCount(), 5u) << "auto-vacuum is incremental from the start";
}

// A change of one row writes one page: a turn writes neither the change counter on page 1 nor anything else.
TEST(SqlConnection, ASmallChangeWritesOnePage) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"), IsOk());
  ASSERT_THAT(object.Do("INSERT INTO t VALUES (1, 1)"), IsOk());
  object.faults().FailWrite(0);
  ASSERT_THAT(object.Do("UPDATE t SET v = 2"), IsOk());
  EXPECT_EQ(object.faults().writes(), 1);
}

TEST(SqlConnection, AFailedTurnIsGoneAndTheNextSeesWhatWasBefore) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY)"), IsOk());
  const Entries before = object.object().All();
  EXPECT_THAT(object.Turn({{"INSERT INTO t VALUES (1)"}, {"CREATE TABLE u (v)"}, {"SELECT nonsense"}}),
              IsStatus(StatusCode::kInvalidArgument, "nonsense"));
  EXPECT_EQ(object.connection(), nullptr);
  EXPECT_EQ(object.object().All(), before);
  EXPECT_THAT(object.Rows("SELECT * FROM t"), IsEmpty());
  EXPECT_EQ(object.Rows("SELECT name FROM sqlite_schema"), std::vector<Row>{Text("t")});
}

TEST(SqlConnection, ACrashInATurnLeavesTheTurnsBefore) {
  SqlObject object;
  ASSERT_THAT(object.Turn({{"CREATE TABLE t (v)"}, {"INSERT INTO t VALUES ('kept')"}}), IsOk());
  ASSERT_THAT(object.connection()->Begin(Where::kWorker), IsOk());
  ASSERT_THAT(object.connection()->Execute("UPDATE t SET v = 'lost'", {}), IsOk());
  ASSERT_THAT(object.connection()->Commit(), IsOk());
  EXPECT_TRUE(object.pages().wrote());
  object.Reopen();
  EXPECT_EQ(object.Rows("SELECT v FROM t"), std::vector<Row>{Text("kept")});
}

TEST(SqlConnection, AConstraintThatFailsLeavesTheTransaction) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY)"), IsOk());
  Connection* connection = object.connection();
  object.BeginTurn();
  ASSERT_THAT(connection->Begin(Where::kWorker), IsOk());
  ASSERT_THAT(connection->Execute("INSERT INTO t VALUES (1)", {}), IsOk());
  EXPECT_THAT(connection->Execute("INSERT INTO t VALUES (2), (1)", {}),
              IsStatus(StatusCode::kFailedPrecondition, "UNIQUE"));
  EXPECT_TRUE(connection->usable());
  ASSERT_THAT(connection->Commit(), IsOk());
  object.EndTurn();
  EXPECT_EQ(object.Rows("SELECT * FROM t"), std::vector<Row>{Of(int64_t{1})});
}

// Without that, SQLite would commit the following statements one by one.
TEST(SqlConnection, AStatementThatEndsTheTransactionEndsTheConnection) {
  for (const std::string conflict :
       {"INSERT OR ROLLBACK INTO t VALUES (1)", "UPDATE OR ROLLBACK t SET id = 1", "DELETE FROM t WHERE id = 2"}) {
    SqlObject object;
    ASSERT_THAT(object.Turn({{"CREATE TABLE t (id INTEGER PRIMARY KEY)"},
                             {"INSERT INTO t VALUES (1), (2)"},
                             {"CREATE TRIGGER never BEFORE DELETE ON t BEGIN SELECT raise(ROLLBACK, 'never'); END"}}),
                IsOk());
    const Entries before = object.object().All();
    Connection* connection = object.connection();
    ASSERT_THAT(connection->Begin(Where::kWorker), IsOk());
    ASSERT_THAT(connection->Execute("INSERT INTO t VALUES (3)", {}), IsOk());
    EXPECT_THAT(connection->Execute(conflict, {}), IsStatus(StatusCode::kFailedPrecondition, ""));
    EXPECT_FALSE(connection->usable()) << conflict;
    EXPECT_THAT(connection->Execute("INSERT INTO t VALUES (4)", {}), IsStatus(StatusCode::kFailedPrecondition, ""));
    EXPECT_THAT(connection->Commit(), IsStatus(StatusCode::kFailedPrecondition, ""));
    EXPECT_THAT(connection->Begin(Where::kWorker), Not(IsOk()));
    object.DropTurn();
    EXPECT_EQ(object.object().All(), before);
    EXPECT_EQ(object.Rows("SELECT count(*) FROM t"), std::vector<Row>{Of(int64_t{2})});
  }
}

TEST(SqlConnection, ADeferredConstraintFailsTheCommit) {
  SqlObject object;
  ASSERT_THAT(object.Turn({{"CREATE TABLE p (id INTEGER PRIMARY KEY)"},
                           {"CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)"}}),
              IsOk());
  EXPECT_THAT(object.Turn({{"INSERT INTO c VALUES (1)"}, {"INSERT INTO p VALUES (1)"}}), IsOk());
  EXPECT_THAT(object.Do("INSERT INTO c VALUES (2)"), IsStatus(StatusCode::kFailedPrecondition, "FOREIGN KEY"));
  EXPECT_EQ(object.Rows("SELECT p FROM c"), std::vector<Row>{Of(int64_t{1})});
}

TEST(SqlConnection, OneStatementWithItsParameters) {
  SqlObject object;
  const auto invalid = [](const std::string& text) { return IsStatus(StatusCode::kInvalidArgument, text); };
  EXPECT_THAT(object.Do(""), invalid("no statement"));
  EXPECT_THAT(object.Do(" ; -- nothing\n"), invalid("no statement"));
  EXPECT_THAT(object.Do("SELECT 1; ; /* so far */ SELECT ?", {Null{}}), invalid("more than one"));
  EXPECT_THAT(object.Do("SELECT ?; nonsense", {Null{}}), invalid("more than one"));
  EXPECT_THAT(object.Do(" ; SELECT 1; -- the end"), IsOk());
  EXPECT_THAT(object.Do(std::string("SELECT 1\0 nonsense", 18)), invalid("NUL"));
  EXPECT_THAT(object.Do("SELECT ?1, ?2", {Null{}}), invalid("2 parameters; 1"));
  EXPECT_THAT(object.Do("SELECT ?1, ?1", {Null{}, Null{}}), invalid("1 parameters; 2"));
  EXPECT_NE(object.connection(), nullptr);
}

TEST(SqlConnection, SeveralStatementsInOneText) {
  SqlObject object;
  auto results =
      object.Turn({{"CREATE TABLE t (v); INSERT INTO t VALUES (1), (2); -- so far\n UPDATE t SET v = v + 1; "
                    "SELECT v FROM t; /* the end */ ;"}});
  ASSERT_THAT(results, IsOk());
  EXPECT_EQ((*results)[0].rows, (std::vector<Row>{{int64_t{2}}, {int64_t{3}}}));
  EXPECT_EQ((*results)[0].columns.size(), 1u);
  EXPECT_EQ((*results)[0].rows_written, 4);
  EXPECT_GT((*results)[0].vm_steps, 40);
  results = object.Turn({{"SELECT v FROM t; INSERT INTO t VALUES (9)"}});
  ASSERT_THAT(results, IsOk());
  EXPECT_THAT((*results)[0].rows, IsEmpty());
  EXPECT_THAT((*results)[0].columns, IsEmpty());
  EXPECT_THAT(object.Do("DELETE FROM t; SELECT nonsense"), IsStatus(StatusCode::kInvalidArgument, "nonsense"));
  EXPECT_EQ(object.Rows("SELECT count(*) FROM t"), std::vector<Row>{Of(int64_t{3})});
  EXPECT_THAT(object.Do("DELETE FROM t; DELETE FROM t WHERE v = ?"),
              IsStatus(StatusCode::kInvalidArgument, "parameters"));
  EXPECT_EQ(object.Rows("SELECT count(*) FROM t"), std::vector<Row>{Of(int64_t{3})});
}

TEST(SqlConnection, AQueryTellsWhetherThereIsARow) {
  SqlObject object;
  ASSERT_THAT(object.Turn({{"CREATE TABLE t (v)"}, {"INSERT INTO t VALUES (1), (2)"}}), IsOk());
  Connection* connection = object.connection();
  for (const Where where : {Where::kExecutor, Where::kWorker}) {
    object.BeginTurn();
    ASSERT_THAT(connection->Begin(where), IsOk());
    EXPECT_THAT(connection->Query("SELECT v FROM t WHERE v > ?", {int64_t{1}}), IsOkAnd(true));
    EXPECT_THAT(connection->Query("SELECT v FROM t WHERE v > ?", {int64_t{2}}), IsOkAnd(false));
    EXPECT_THAT(connection->Query("SELECT NULL; -- a row of nothing", {}), IsOkAnd(true));
    connection->Rollback();
  }
  ASSERT_THAT(connection->Begin(Where::kWorker), IsOk());
  const auto invalid = [](const std::string& text) { return IsStatus(StatusCode::kInvalidArgument, text); };
  EXPECT_THAT(connection->Query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n", {}),
              IsOkAnd(true))
      << "no further than the first";
  EXPECT_THAT(connection->Query("DELETE FROM t RETURNING v", {}).status(), invalid("writes"));
  EXPECT_THAT(connection->Query("PRAGMA user_version = 5", {}).status(), invalid("writes"));
  EXPECT_THAT(connection->Query("SELECT 1; SELECT 2", {}).status(), invalid("more than one"));
  EXPECT_THAT(connection->Query("", {}).status(), invalid("no statement"));
  EXPECT_THAT(connection->Query("SELECT nonsense", {}).status(), invalid("nonsense"));
  EXPECT_THAT(connection->Execute("SELECT count(*) FROM t", {}), IsOk());
  connection->Rollback();
  EXPECT_TRUE(connection->usable());
}

// A caller decides by these what a client is told.
TEST(SqlConnection, AFailureSaysItsKindAndSqlitesCode) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY, v NOT NULL)"), IsOk());
  const auto failure = [&](const std::string& sql) { return FailureOf(object.Do(sql)); };
  EXPECT_EQ(failure("SELECT nonsense"), (Failure{FailureKind::kSqlError, SQLITE_ERROR}));
  EXPECT_EQ(failure("SELECT abs(-9223372036854775808)"), (Failure{FailureKind::kSqlError, SQLITE_ERROR}));
  EXPECT_EQ(failure("INSERT INTO t VALUES (1, NULL)"), (Failure{FailureKind::kConstraint, SQLITE_CONSTRAINT_NOTNULL}));
  EXPECT_EQ(failure("INSERT INTO t VALUES (1, 1), (1, 1)"),
            (Failure{FailureKind::kConstraint, SQLITE_CONSTRAINT_PRIMARYKEY}));
  EXPECT_EQ(failure("INSERT INTO t VALUES ('x', 1)"), (Failure{FailureKind::kSqlError, SQLITE_MISMATCH}));
  EXPECT_EQ(failure("ATTACH 'x' AS y"), (Failure{FailureKind::kSqlError, SQLITE_AUTH}));
  EXPECT_EQ(FailureOf(absl::OkStatus()), Failure{});
  EXPECT_EQ(FailureOf(absl::InternalError("another's")), Failure{});
}

TEST(SqlConnection, WhatClientsUseIsAllowed) {
  SqlObject object;
  for (const std::string sql : {"CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)",
                                "INSERT INTO t (body) VALUES ('one two'), ('two three')",
                                "ALTER TABLE t ADD COLUMN extra NOT NULL DEFAULT 5 CHECK (extra > 1)",
                                "ALTER TABLE t RENAME COLUMN extra TO more",
                                "ALTER TABLE t RENAME TO texts",
                                "CREATE VIEW shown AS SELECT body FROM texts",
                                "SELECT * FROM shown",
                                "CREATE VIRTUAL TABLE search USING fts5(body, content=texts, content_rowid=id)",
                                "INSERT INTO search (search) VALUES ('rebuild')",
                                "INSERT INTO texts (body) VALUES ('three four')",
                                "INSERT INTO search (rowid, body) SELECT id, body FROM texts WHERE id = 3",
                                "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)",
                                "INSERT INTO boxes VALUES (1, 0, 1)",
                                "ANALYZE",
                                "REINDEX",
                                "PRAGMA table_info(texts)",
                                "PRAGMA user_version = 4",
                                "SELECT name FROM pragma_table_info('texts')",
                                "SELECT json_extract('{\"a\": 1}', '$.a'), sqrt(2)",
                                "EXPLAIN QUERY PLAN SELECT * FROM texts",
                                "ALTER TABLE texts DROP COLUMN more"}) {
    EXPECT_THAT(object.Do(sql), IsOk()) << sql;
  }
  object.Reopen();
  EXPECT_EQ(object.Rows("SELECT rowid FROM search WHERE search MATCH 'three' ORDER BY rowid"),
            (std::vector<Row>{Of(int64_t{2}), Of(int64_t{3})}));
  EXPECT_EQ(object.Rows("PRAGMA user_version"), std::vector<Row>{Of(int64_t{4})});
}

TEST(SqlConnection, EverythingIsBounded) {
  const auto exhausted = [](const std::string& text) { return IsStatus(StatusCode::kResourceExhausted, text); };
  const std::string fill =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT "
      "randomblob(1000) FROM n";
  const std::string sort = "SELECT count(*) FROM (SELECT v FROM t ORDER BY v LIMIT -1 OFFSET 1)";
  const auto filled = [&](Limits limits, size_t turn_bytes_max, absl::Status* status) {
    auto object = std::make_unique<SqlObject>(limits, turn_bytes_max);
    EXPECT_THAT(object->Do("CREATE TABLE t (v)"), IsOk());
    *status = object->Do(fill);
    return object;
  };
  absl::Status status;
  // The bounds on the turn and on the database.
  auto object = filled({.cache_bytes = 64 << 10}, 1 << 20, &status);
  EXPECT_THAT(status, exhausted("1048576 bytes"));
  EXPECT_EQ(object->Rows("SELECT count(*) FROM t"), std::vector<Row>{Of(int64_t{0})});
  object = filled({.pages_max = 100}, 64 << 20, &status);
  EXPECT_THAT(status, exhausted("full"));
  // The bound on the rows that are sorted.
  object = filled({.cache_bytes = 64 << 10, .temp_bytes_max = 1 << 20}, 64 << 20, &status);
  ASSERT_THAT(status, IsOk());
  EXPECT_THAT(object->Do(sort), exhausted("sorted"));
  object = filled({.cache_bytes = 64 << 10, .temp_bytes_max = 32 << 20}, 64 << 20, &status);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(object->Rows(sort), std::vector<Row>{Of(int64_t{2999})}) << "and given back";
  // The bounds on the result and on the time.
  object = filled({.result_bytes_max = 1 << 20}, 64 << 20, &status);
  EXPECT_THAT(object->Do("SELECT v FROM t"), exhausted("the result"));
  EXPECT_THAT(object->Do("SELECT v FROM t LIMIT 1000"), IsOk());
  object->set_stop(true);
  EXPECT_THAT(object->Do("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"),
              exhausted("interrupted"));
  EXPECT_NE(object->connection(), nullptr);
  EXPECT_THAT(object->Do("UPDATE t SET v = zeroblob(1001)"), exhausted("interrupted"));
  EXPECT_EQ(object->connection(), nullptr) << "SQLite has ended the transaction";
  object->set_stop(false);
  EXPECT_EQ(object->Rows("SELECT count(*) FROM t WHERE length(v) = 1000"), std::vector<Row>{Of(int64_t{3000})});
}

TEST(SqlConnection, StatementsAreKeptAndFollowTheSchema) {
  SqlObject object;
  ASSERT_THAT(object.Turn({{"CREATE TABLE t (a)"}, {"INSERT INTO t VALUES (1)"}}), IsOk());
  EXPECT_EQ(object.Rows("SELECT * FROM t"), std::vector<Row>{Of(int64_t{1})});
  ASSERT_THAT(object.Do("ALTER TABLE t ADD COLUMN b DEFAULT 2"), IsOk());
  auto results = object.Turn({{"SELECT * FROM t"}});
  ASSERT_THAT(results, IsOk());
  EXPECT_EQ((*results)[0].rows, (std::vector<Row>{{int64_t{1}, int64_t{2}}}));
  EXPECT_EQ((*results)[0].columns.size(), 2u);
  EXPECT_EQ(object.connection()->cached_statements(), 4u);
  ASSERT_THAT(object.Do(absl::StrCat("SELECT 1 -- ", std::string(StatementCache::kTextBytesMax, 'x'))), IsOk());
  EXPECT_EQ(object.connection()->cached_statements(), 4u);
  for (int i = 0; i < 200; ++i) ASSERT_THAT(object.Do(absl::StrCat("SELECT ", i % 50)), IsOk());
  EXPECT_EQ(object.connection()->cached_statements(), StatementCache::kStatementsMax);
}

TEST(SqlConnection, TheTimeIsTheObjects) {
  SqlObject object;
  object.set_now(absl::FromUnixMillis(1'700'000'000'123));
  EXPECT_EQ(object.Rows("SELECT strftime('%s %f', 'now')"), std::vector<Row>{Text("1700000000 20.123")});
}

TEST(SqlConnection, TellsThatTheDiskIsNeededAndRunsWhereItMay) {
  SqlObject object;
  ASSERT_THAT(object.Turn({{"CREATE TABLE t (v)"}, {"INSERT INTO t VALUES (zeroblob(100000))"}}), IsOk());
  object.Settle();
  object.Reopen();
  object.set_tier(ReadTier::kMemory);
  object.store().set_cold(true);
  const std::vector<Statement> turn = {{"INSERT INTO t VALUES (1)"}, {"SELECT length(v) FROM t"}};
  const auto failed = object.Turn(turn);
  ASSERT_FALSE(failed.ok());
  EXPECT_TRUE(IsNeedsWorker(failed.status())) << failed.status();
  EXPECT_EQ(object.connection(), nullptr);
  object.set_tier(ReadTier::kDisk);
  const auto results = object.Turn(turn);
  ASSERT_THAT(results, IsOk());
  EXPECT_EQ((*results)[1].rows, (std::vector<Row>{Of(int64_t{100000}), Of(int64_t{1})}));
}

// The statements run like those of a worker while the executor holds the object's input gate.
TEST(SqlConnection, RunsOnAnotherThreadOverACopyOfWhatIsPending) {
  SqlObject object;
  ASSERT_THAT(object.Turn({{"CREATE TABLE t (v)"}, {"INSERT INTO t VALUES ('in the store')"}}), IsOk());
  object.Settle();
  ASSERT_THAT(object.Do("INSERT INTO t VALUES ('on its way')"), IsOk());
  object.Reopen();
  object.store().set_cold(true);
  std::unique_ptr<Connection> connection;
  object.object().storage().ReadFromDisk(
      DatabaseRange(),
      [&](View& view) {
        std::thread worker([&] {
          object.pages().set_view(&view);
          auto opened = Connection::Open(&object.pages(), {.limits = {}, .now = absl::Now, .stop = nullptr});
          ASSERT_THAT(opened, IsOk());
          connection = *std::move(opened);
          EXPECT_THAT(connection->Begin(Where::kWorker), IsOk());
          EXPECT_THAT(connection->Execute("INSERT INTO t VALUES ('by the worker')", {}), IsOk());
          EXPECT_THAT(connection->Commit(), IsOk());
        });
        worker.join();
      },
      [] {});
  object.object().reads().RunAll();
  connection = nullptr;
  object.EndTurn();
  EXPECT_EQ(object.Rows("SELECT v FROM t ORDER BY rowid"),
            (std::vector<Row>{Text("in the store"), Text("on its way"), Text("by the worker")}));
}

TEST(SqlConnection, DamageIsDataLoss) {
  SqlObject object;
  ASSERT_THAT(object.Turn({{"CREATE TABLE t (v)"}, {"INSERT INTO t VALUES (zeroblob(100000))"}}), IsOk());
  const auto read_with = [&](uint32_t page, std::optional<std::string> contents) {
    object.Reopen();
    WriteSet& writes = object.object().storage().writes();
    if (contents) {
      writes.Put(PageKey(0, page), *contents);
    } else {
      writes.Delete(PageKey(0, page));
    }
    const absl::Status status = object.Do("SELECT * FROM t");
    object.Reopen();
    return status;
  };
  const auto data_loss = [](const std::string& text) { return IsStatus(StatusCode::kDataLoss, text); };
  EXPECT_THAT(read_with(9, std::nullopt), data_loss("page 9 "));
  EXPECT_THAT(read_with(1, std::nullopt), data_loss("page 1 "));
  EXPECT_THAT(read_with(3, std::string(kPageBytes + 1, '\xee')), data_loss("malformed"));
  EXPECT_THAT(read_with(1, std::string(kPageBytes + 1, '\xee')), data_loss("not a database"));
  EXPECT_EQ(object.Rows("SELECT length(v) FROM t"), std::vector<Row>{Of(int64_t{100000})});
}

// Two objects run on one thread: each has its own temporary files and times.
TEST(SqlConnection, ConnectionsAreApart) {
  SqlObject a;
  SqlObject b;
  a.set_now(absl::FromUnixSeconds(1));
  b.set_now(absl::FromUnixSeconds(2));
  ASSERT_THAT(a.Do("CREATE TABLE t (v)"), IsOk());
  ASSERT_THAT(b.Do("CREATE TABLE u (v)"), IsOk());
  ASSERT_THAT(a.connection()->Begin(Where::kWorker), IsOk());
  ASSERT_THAT(b.connection()->Begin(Where::kWorker), IsOk());
  ASSERT_THAT(a.connection()->Execute("INSERT INTO t VALUES (unixepoch())", {}), IsOk());
  ASSERT_THAT(b.connection()->Execute("INSERT INTO u VALUES (unixepoch())", {}), IsOk());
  EXPECT_THAT(b.connection()->Execute("SELECT * FROM t", {}), Not(IsOk()));
  ASSERT_THAT(a.connection()->Commit(), IsOk());
  b.connection()->Rollback();
  a.EndTurn();
  b.DropTurn();
  EXPECT_EQ(a.Rows("SELECT v FROM t"), std::vector<Row>{Of(int64_t{1})});
  EXPECT_THAT(b.Rows("SELECT v FROM u"), ElementsAre());
}

}  // namespace
}  // namespace holdfast::storage::sql
