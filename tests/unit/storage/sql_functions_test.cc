// The functions that replace SQLite's own give equal results, in bounded time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sql/functions.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/sql_harness.h"
#include "tests/unit/storage/sql_plain_database.h"

namespace holdfast::storage::sql {
namespace {

Value RandomValue(Random& random) {
  // The alphabet is small, so that searches find much; some bytes begin a character, some continue one, and one is NUL.
  const std::string text = random.Text(random.OneIn(3) ? 2 : 12, random.OneIn(2) ? "ab \xc3\xa9" : "a\xa9\xc3\xe2\x82");
  switch (random.Below(8)) {
    case 0:
      return Null{};
    case 1:
      return static_cast<int64_t>(random.Below(200));
    case 2:
      return static_cast<double>(random.Below(30)) / 4;
    case 3:
    case 4:
      return Blob{text};
    case 5:
      return absl::StrCat(text, std::string(1, '\0'), text);
    default:
      return text;
  }
}

TEST(SqlFunctions, AreAsSqlitesOwn) {
  ForEachSeed(4, [](Random& random) {
    SqlObject object;
    PlainDatabase plain;
    for (int i = 0; i < 3000; ++i) {
      const std::vector<Value> params = {RandomValue(random), RandomValue(random), RandomValue(random)};
      const std::string sql =
          "SELECT instr(?1, ?2), replace(?1, ?2, ?3), typeof(replace(?1, ?2, ?3)), trim(?1), ltrim(?1), rtrim(?1), "
          "trim(?1, ?2), ltrim(?1, ?3), rtrim(?1, ?2), hex(trim(?2, ?1)), typeof(trim(?1, ?2)), typeof(?1), typeof(?2)";
      const auto expected = plain.Execute(sql, params);
      ASSERT_THAT(expected, IsOk());
      ASSERT_EQ(object.Rows(sql, params), *expected) << i;
    }
  });
}

TEST(SqlFunctions, PatchesAreSqlitesOwn) {
  SqlObject object;
  PlainDatabase plain;
  for (const std::string patch : {R"({"a":null,"b":{"c":2}})", "[1]", "7", R"({"a":{"x":[1,{"y":null}]}})"}) {
    const std::string sql =
        R"(SELECT json_patch('{"a":1,"b":{"c":1,"d":null}}', ?1), json_array(json_patch('{}', ?1)), json_patch(NULL, ?1),
                                      hex(jsonb_patch('{"a":1}', ?1)), json(jsonb_patch(jsonb('{"a":1}'), jsonb(?1))))";
    const auto expected = plain.Execute(sql, {patch});
    ASSERT_THAT(expected, IsOk());
    EXPECT_EQ(object.Rows(sql, {patch}), *expected) << patch;
  }
  EXPECT_THAT(object.Do("SELECT json_patch('{', '{}')"),
              IsStatus(absl::StatusCode::kInvalidArgument, "malformed JSON"));
}

// The functions work in indexes, constraints and generated columns, like SQLite's own.
TEST(SqlFunctions, WorkInASchema) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (v CHECK (instr(v, '@') > 0), w AS (replace(v, '@', ' at ')) STORED)"), IsOk());
  ASSERT_THAT(object.Do("CREATE INDEX t_v ON t (trim(v))"), IsOk());
  ASSERT_THAT(object.Do("INSERT INTO t VALUES (' a@b ')"), IsOk());
  EXPECT_EQ(FailureOf(object.Do("INSERT INTO t VALUES ('ab')")).kind, FailureKind::kConstraint);
  EXPECT_EQ(object.Rows("SELECT w FROM t WHERE trim(v) = 'a@b'"), std::vector<Row>{{Value(std::string(" a at b "))}});
}

// SQLite's own functions take from 16 s to hours for each of these.
TEST(SqlFunctions, BombsEndSoon) {
  SqlObject object;
  const std::clock_t begin = std::clock();
  EXPECT_EQ(object.Rows("SELECT instr(hex(zeroblob(1000000)), hex(zeroblob(400000)) || '1')"),
            std::vector<Row>{{Value(int64_t{0})}});
  EXPECT_EQ(object.Rows("SELECT length(replace(hex(zeroblob(1000000)), hex(zeroblob(400000)) || '1', 'x'))"),
            std::vector<Row>{{Value(int64_t{2000000})}});
  EXPECT_THAT(object.Do("SELECT replace(hex(zeroblob(1000000)), '0', '0000')"),
              IsStatus(absl::StatusCode::kInvalidArgument, "too big"));
  const std::string keys =
      "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) "
      "SELECT json_group_object('a' || i, i) FROM n)";
  EXPECT_THAT(object.Do(absl::StrCat("SELECT json_patch(j, j) FROM (SELECT ", keys, " AS j)")),
              IsStatus(absl::StatusCode::kInvalidArgument, "take too long"));
  // This function checks the time.
  object.set_stop(true);
  EXPECT_EQ(FailureOf(object.Do("SELECT trim(?1, replace(?1, '0', 'x') || '0')", {std::string(2'000'000, '0')})).kind,
            FailureKind::kTimeLimit);
  // A statement may make many calls before its next jump: each call checks the time.
  for (const std::string sql : {"SELECT instr(?1, 'b')", "SELECT length(replace(?1, '0', 'x'))",
                                "SELECT length(rtrim(?1))", "SELECT json_patch(?1, '{}')"}) {
    EXPECT_EQ(FailureOf(object.Do(sql, {std::string(2'000'000, '0')})).kind, FailureKind::kTimeLimit) << sql;
  }
  // Processor time: other work on the machine does not count.
  EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 10);
}

}  // namespace
}  // namespace holdfast::storage::sql
