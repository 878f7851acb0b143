// Random SQL runs on an object's database and on an ordinary one in memory. Both give the same rows and the same
// errors, and failed turns leave nothing behind, whichever write of a page fails.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/sql_harness.h"
#include "tests/unit/storage/sql_plain_database.h"
#include "tests/unit/storage/temp_dir.h"

namespace holdfast::storage::sql {
namespace {

const std::vector<Row> kIntact = {{std::string("ok")}};

// The cache is so small that pages are written in the middle of statements.
Limits SmallCache() { return {.cache_bytes = 32 << 10}; }

const std::vector<Statement>& Schema() {
  static const auto* const schema = new std::vector<Statement>{
      {"CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE, value)"},
      {"CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent ON DELETE CASCADE, "
       "body BLOB CHECK (length(body) < 12000))"},
      {"CREATE INDEX child_parent ON child (parent, id)"},
      {"CREATE TABLE log (at INTEGER, who TEXT, PRIMARY KEY (at, who)) WITHOUT ROWID"},
      {"CREATE TRIGGER noted AFTER DELETE ON parent BEGIN INSERT OR IGNORE INTO log VALUES (old.id, old.name); END"},
  };
  return *schema;
}

Value RandomValue(Random& random) {
  switch (random.Below(5)) {
    case 0:
      return Null{};
    case 1:
      return static_cast<int64_t>(random.Bits());
    case 2:
      return static_cast<double>(random.Below(1000)) / 8;
    case 3:
      return random.Text(10, "abc");
    default:
      return Blob{random.Bytes(random.OneIn(10) ? 15000 : 300)};
  }
}

Statement RandomStatement(Random& random) {
  const auto number = [&](uint64_t n) { return Value(static_cast<int64_t>(random.Below(n))); };
  static const auto* const conflicts =
      new std::vector<std::string>{"", "", "OR REPLACE", "OR IGNORE", "OR ABORT", "OR FAIL", "OR ROLLBACK"};
  const std::string& conflict = random.Pick(*conflicts);
  switch (random.Below(16)) {
    case 0:
    case 1:
      return {absl::StrCat("INSERT ", conflict, " INTO parent VALUES (?, ?, ?)"),
              {number(60), random.Text(3, "abcd"), RandomValue(random)}};
    case 2:
      return {"INSERT INTO parent VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = ?3",
              {number(60), random.Text(3, "abcd"), RandomValue(random)}};
    case 3:
      return {"UPDATE parent SET value = ?, name = name || ? WHERE id BETWEEN ? AND ?",
              {RandomValue(random), random.Text(2, "ab"), number(60), number(60)}};
    case 4:
      return {"DELETE FROM parent WHERE id >= ? LIMIT ?", {number(60), number(10)}};
    case 5:
    case 6:
      return {absl::StrCat("INSERT ", conflict, " INTO child SELECT NULL, id, ? FROM parent WHERE id < ?"),
              {Blob{random.Bytes(random.OneIn(4) ? 13000 : 500)}, number(30)}};
    case 7:
      return {absl::StrCat("INSERT ", conflict, " INTO child VALUES (?, ?, zeroblob(?))"),
              {number(500), number(60), number(11000)}};
    case 8:
      return {"DELETE FROM child WHERE id % ? = 0", {number(5)}};
    case 9:
      return {"INSERT OR REPLACE INTO log SELECT id * ?, hex(body) FROM child ORDER BY hex(body) LIMIT 20",
              {number(9)}};
    case 10:
      return {random.OneIn(2) ? "DELETE FROM log" : "DELETE FROM child"};
    case 11:
      return {random.OneIn(2) ? "CREATE INDEX parent_value ON parent (value)" : "DROP INDEX parent_value"};
    case 12:
      return {random.OneIn(2) ? "CREATE TABLE copy AS SELECT * FROM child" : "DROP TABLE copy"};
    case 13:
      return {"PRAGMA quick_check"};
    case 14:
      return {
          "SELECT p.id, p.name, count(c.id), total(length(c.body)) FROM parent p LEFT JOIN child c ON c.parent = p.id "
          "GROUP BY p.id ORDER BY p.id"};
    default:
      return {"SELECT * FROM log ORDER BY at, who"};
  }
}

// Returns queries for the whole contents of the database.
std::vector<Statement> Queries() {
  return {{"SELECT * FROM parent ORDER BY id"},
          {"SELECT * FROM child ORDER BY id"},
          {"SELECT * FROM log ORDER BY at, who"},
          {"SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"}};
}

std::vector<std::vector<Row>> Contents(SqlObject& object) {
  std::vector<std::vector<Row>> contents;
  for (const Statement& query : Queries()) contents.push_back(object.Rows(query.sql));
  return contents;
}

// Runs a turn in the way of the object's database.
bool PlainTurn(PlainDatabase& plain, const std::vector<Statement>& statements, std::vector<std::vector<Row>>* rows) {
  bool ok = plain.Execute("BEGIN").ok();
  for (size_t i = 0; ok && i < statements.size(); ++i) {
    auto result = plain.Execute(statements[i].sql, statements[i].params);
    ok = result.ok();
    if (ok) rows->push_back(*std::move(result));
  }
  if (ok) ok = plain.Execute("COMMIT").ok();
  if (plain.in_transaction()) EXPECT_THAT(plain.Execute("ROLLBACK"), IsOk());
  return ok;
}

void ExpectFileIsIntact(SqlObject& object, const std::string& path) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << object.File();
  PlainDatabase plain(path);
  EXPECT_THAT(plain.Execute("PRAGMA integrity_check"), IsOkAnd(kIntact));
  EXPECT_THAT(plain.Execute("PRAGMA foreign_key_check"), IsOkAnd(testing::IsEmpty()));
  for (const Statement& query : Queries()) {
    EXPECT_THAT(plain.Execute(query.sql), IsOkAnd(testing::Eq(object.Rows(query.sql))));
  }
}

TEST(SqlRandom, TheSameAsInAnOrdinaryDatabase) {
  TempDir dir;
  ForEachSeed(12, [&dir](Random& random) {
    SqlObject object(random.OneIn(2) ? SmallCache() : Limits{});
    object.set_executor_first(random.OneIn(2));
    PlainDatabase plain;
    std::vector<std::vector<Row>> expected;
    ASSERT_THAT(object.Turn(Schema()), IsOk());
    ASSERT_TRUE(PlainTurn(plain, Schema(), &expected));
    for (int turn = 0; turn < 80; ++turn) {
      SCOPED_TRACE(absl::StrCat("turn ", turn));
      std::vector<Statement> statements;
      for (uint64_t n = 1 + random.Below(5); n > 0; --n) statements.push_back(RandomStatement(random));
      if (random.OneIn(4)) {
        object.faults().FailWrite(1 + static_cast<int>(random.Below(20)));
        const auto failed = object.Turn(statements);
        object.faults().FailWrite(0);
        // The turn failed by itself, or it made too few writes for one to fail.
        if (failed.ok()) {
          expected.clear();
          ASSERT_TRUE(PlainTurn(plain, statements, &expected));
        }
      } else {
        expected.clear();
        const bool ok = PlainTurn(plain, statements, &expected);
        const auto results = object.Turn(statements);
        ASSERT_EQ(results.ok(), ok) << results.status();
        for (size_t i = 0; ok && i < expected.size(); ++i) ASSERT_EQ((*results)[i].rows, expected[i]);
      }
      ASSERT_EQ(object.usage().size_bytes(), int64_t{object.PageCount()} * 4105);
      if (random.OneIn(8)) object.Settle();
      if (random.OneIn(8)) object.Reopen();
      if (!random.OneIn(8)) continue;
      for (const Statement& query : Queries()) {
        ASSERT_THAT(plain.Execute(query.sql), IsOkAnd(testing::Eq(object.Rows(query.sql))));
      }
      ASSERT_EQ(PlainDatabase::CheckIntegrity(object.File()), kIntact);
    }
    ExpectFileIsIntact(object, dir.path() + "/database");
  });
}

TEST(SqlRandom, WhateverWriteFailsNothingIsLeft) {
  TempDir dir;
  ForEachSeed(3, [&dir](Random& random) {
    SqlObject object(SmallCache());
    ASSERT_THAT(object.Turn(Schema()), IsOk());
    for (int turn = 0; turn < 30; ++turn) (void)object.Turn({RandomStatement(random), RandomStatement(random)});
    // The turn spills, makes the database grow, and gives pages back.
    const std::vector<Statement> turn = {
        {"DELETE FROM child WHERE id % 3 = 0"},
        {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) "
         "INSERT OR REPLACE INTO parent SELECT i, 'new' || i, zeroblob(900) FROM n"},
        {"UPDATE parent SET value = zeroblob(2000)"},
        {"DELETE FROM log"}};
    object.Reopen();
    const Entries before = object.object().All();
    const auto contents = Contents(object);
    for (int n = 1;; ++n) {
      SCOPED_TRACE(absl::StrCat("write ", n));
      object.faults().FailWrite(n);
      const auto result = object.Turn(turn);
      object.faults().FailWrite(0);
      if (result.ok()) {
        EXPECT_GT(n, 20) << "or this tests little";
        break;
      }
      ASSERT_THAT(result, IsStatus(absl::StatusCode::kResourceExhausted, "injected"));
      ASSERT_EQ(object.connection(), nullptr);
      ASSERT_EQ(object.object().All(), before);
      ASSERT_EQ(PlainDatabase::CheckIntegrity(object.File()), kIntact);
      ASSERT_EQ(Contents(object), contents);
      object.Reopen();
    }
    EXPECT_NE(Contents(object), contents);
    ExpectFileIsIntact(object, dir.path() + "/database");
  });
}

// SQLite keeps nothing in the page at 1 GiB; in this test that page is at 64 KiB.
TEST(SqlRandom, ThePageOfTheLockByteIsLeftOut) {
  TempDir dir;
  sqlite3_test_control(SQLITE_TESTCTRL_PENDING_BYTE, 64 << 10);
  {
    SqlObject object;
    ASSERT_THAT(object.Turn(Schema()), IsOk());
    for (int64_t i = 0; i < 40; ++i) {
      ASSERT_THAT(object.Do("INSERT INTO parent VALUES (?, ?, zeroblob(9000))", {i, absl::StrCat(i)}), IsOk());
    }
    EXPECT_GT(object.PageCount(), 40u);
    EXPECT_EQ(object.object().All().at(PageKey(0, 17)), "");
    object.Reopen();
    EXPECT_EQ(PlainDatabase::CheckIntegrity(object.File()), kIntact);
    ExpectFileIsIntact(object, dir.path() + "/database");
    ASSERT_THAT(object.Do("DELETE FROM parent"), IsOk());
    EXPECT_LT(object.PageCount(), 17u);
    ExpectFileIsIntact(object, dir.path() + "/database");
  }
  sqlite3_test_control(SQLITE_TESTCTRL_PENDING_BYTE, 0x40000000);
}

}  // namespace
}  // namespace holdfast::storage::sql
