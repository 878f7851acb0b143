// Random joins of every kind: the answers are compared with those of a model that visits all rows, and with those of
// another version of SQLite, which the system has for its other programs.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/sql_harness.h"

namespace holdfast::storage::sql {
namespace {

using Cell = std::optional<int64_t>;
using Cells = std::vector<Cell>;
// One of SQL's three truth values; nullopt: unknown.
using Truth = std::optional<bool>;

// With RTLD_DEEPBIND the library's calls of its own functions do not reach the SQLite that is linked in. The sanitizers
// do not allow the flag. They work without it, since the program exports no functions to the library.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HOLDFAST_SANITIZED 1
#endif
#endif
#ifdef HOLDFAST_SANITIZED
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL;
#else
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif

constexpr int kTables = 4;
constexpr int kColumns = 2;

std::string ToText(const Cells& cells) {
  return absl::StrJoin(cells, "|", [](std::string* out, const Cell& cell) {
    absl::StrAppend(out, cell ? absl::StrCat(*cell) : "NULL");
  });
}

// The other SQLite, through the few functions that the test needs.
class OtherSqlite {
 public:
  OtherSqlite() : library_(dlopen("libsqlite3.so.0", kOpenFlags)) {
    if (library_ == nullptr) return;
    Find("sqlite3_open", &open_);
    Find("sqlite3_close", &close_);
    Find("sqlite3_exec", &exec_);
    Find("sqlite3_libversion", &version_);
    open_(":memory:", &db_);
  }
  ~OtherSqlite() {
    if (library_ != nullptr) close_(db_);
  }
  bool there() const { return library_ != nullptr; }
  std::string version() const { return version_(); }
  // Returns the rows as text; an error is one row.
  std::vector<std::string> Rows(const std::string& sql) {
    std::vector<std::string> rows;
    const auto add = [](void* to, int columns, char** values, char**) {
      std::vector<std::string> row;
      for (int i = 0; i < columns; ++i) row.push_back(values[i] == nullptr ? "NULL" : values[i]);
      static_cast<std::vector<std::string>*>(to)->push_back(absl::StrJoin(row, "|"));
      return 0;
    };
    char* error = nullptr;
    if (exec_(db_, sql.c_str(), add, &rows, &error) != 0) return {absl::StrCat("error: ", error)};
    return rows;
  }

 private:
  template <typename Function>
  void Find(const char* name, Function* function) {
    *function = reinterpret_cast<Function>(dlsym(library_, name));
    if (*function == nullptr) std::abort();
  }

  void* const library_;
  void* db_ = nullptr;
  int (*open_)(const char*, void**) = nullptr;
  int (*close_)(void*) = nullptr;
  int (*exec_)(void*, const char*, int (*)(void*, int, char**, char**), void*, char**) = nullptr;
  const char* (*version_)() = nullptr;
};

// A condition over the columns of the tables up to one of them, as text and as a function of a row of those tables.
struct Condition {
  std::string text;
  std::function<Truth(const Cells&)> holds;
};

Truth And(Truth a, Truth b) {
  if (a == false || b == false) return false;
  return a && b ? Truth(true) : std::nullopt;
}

Condition RandomCondition(Random& random, int tables, int depth = 2) {
  const auto column = [&] { return static_cast<size_t>(random.Below(static_cast<size_t>(tables * kColumns))); };
  const auto name = [](size_t at) { return absl::StrCat("t", at / kColumns, ".", at % kColumns == 0 ? "a" : "b"); };
  const size_t x = column();
  const size_t y = column();
  switch (random.Below(8)) {
    case 0:
      return {"0", [](const Cells&) { return Truth(false); }};
    case 1:
      return {"1", [](const Cells&) { return Truth(true); }};
    case 2:
      return {absl::StrCat(name(x), " IS NULL"), [x](const Cells& row) { return Truth(!row[x].has_value()); }};
    case 3:
      return {absl::StrCat(name(x), " < ", name(y)),
              [x, y](const Cells& row) { return row[x] && row[y] ? Truth(*row[x] < *row[y]) : std::nullopt; }};
    case 4:
      if (depth > 0) {
        const Condition a = RandomCondition(random, tables, depth - 1);
        const Condition b = RandomCondition(random, tables, depth - 1);
        return {absl::StrCat("(", a.text, ") AND (", b.text, ")"),
                [a, b](const Cells& row) { return And(a.holds(row), b.holds(row)); }};
      }
      [[fallthrough]];
    default:
      return {absl::StrCat(name(x), " = ", name(y)),
              [x, y](const Cells& row) { return row[x] && row[y] ? Truth(*row[x] == *row[y]) : std::nullopt; }};
  }
}

enum class Kind { kInner, kComma, kLeft, kRight, kFull };
constexpr std::array<std::pair<Kind, const char*>, 6> kKinds = {{{Kind::kInner, " JOIN "},
                                                                 {Kind::kInner, " CROSS JOIN "},
                                                                 {Kind::kComma, ", "},
                                                                 {Kind::kLeft, " LEFT JOIN "},
                                                                 {Kind::kRight, " RIGHT JOIN "},
                                                                 {Kind::kFull, " FULL JOIN "}}};

std::vector<Cells> Join(const std::vector<Cells>& left, const std::vector<Cells>& right, Kind kind, const Condition& on,
                        size_t left_width) {
  std::vector<Cells> joined;
  std::vector<bool> matched(right.size(), false);
  const auto together = [](Cells row, const Cells& more) {
    row.insert(row.end(), more.begin(), more.end());
    return row;
  };
  for (const Cells& row : left) {
    bool any = false;
    for (size_t i = 0; i < right.size(); ++i) {
      Cells both = together(row, right[i]);
      if (on.holds(both) != true) continue;
      any = matched[i] = true;
      joined.push_back(std::move(both));
    }
    if (!any && (kind == Kind::kLeft || kind == Kind::kFull)) joined.push_back(together(row, Cells(kColumns)));
  }
  if (kind == Kind::kRight || kind == Kind::kFull) {
    for (size_t i = 0; i < right.size(); ++i) {
      if (!matched[i]) joined.push_back(together(Cells(left_width), right[i]));
    }
  }
  return joined;
}

struct Query {
  std::string sql;
  std::vector<std::string> expected;  // in any order
  bool has_right_or_full = false;
};

Query RandomQuery(Random& random, const std::vector<std::vector<Cells>>& tables) {
  Query query;
  const int count = 2 + static_cast<int>(random.Below(kTables - 1));
  std::vector<Cells> rows;
  std::string from;
  for (int table = 0; table < count; ++table) {
    // The source is the table, or a subquery that gives some of its rows.
    std::vector<Cells> these = tables[static_cast<size_t>(table)];
    std::string source = absl::StrCat("t", table);
    if (random.OneIn(4)) {
      source = absl::StrCat("(SELECT a, b FROM t", table, " WHERE b IS NOT NULL) AS t", table);
      std::erase_if(these, [](const Cells& row) { return !row[1]; });
    }
    if (table == 0) {
      from = source;
      rows = these;
      continue;
    }
    auto [kind, text] = kKinds[random.Below(kKinds.size())];
    Condition on = RandomCondition(random, table + 1);
    // A join by a comma has no condition of its own.
    if (kind == Kind::kComma) on = {"", [](const Cells&) { return Truth(true); }};
    absl::StrAppend(&from, text, source, on.text.empty() ? "" : " ON ", on.text);
    query.has_right_or_full |= kind == Kind::kRight || kind == Kind::kFull;
    rows = Join(rows, these, kind, on, static_cast<size_t>(table * kColumns));
  }
  std::vector<std::string> columns;
  for (int table = 0; table < count; ++table) columns.push_back(absl::StrCat("t", table, ".a, t", table, ".b"));
  query.sql = absl::StrCat("SELECT ", absl::StrJoin(columns, ", "), " FROM ", from);
  if (random.OneIn(3)) {
    const Condition where = RandomCondition(random, count);
    absl::StrAppend(&query.sql, " WHERE ", where.text);
    std::erase_if(rows, [&where](const Cells& row) { return where.holds(row) != true; });
  }
  for (const Cells& row : rows) query.expected.push_back(ToText(row));
  std::sort(query.expected.begin(), query.expected.end());
  return query;
}

TEST(SqlJoins, AnswersAreThoseOfAModelAndOfAnotherSqlite) {
  const char* const wanted = std::getenv("HOLDFAST_JOIN_STATEMENTS");
  const int statements = wanted == nullptr ? 20'000 : std::atoi(wanted);
  constexpr int kStatementsPerDatabase = 100;
  OtherSqlite other;
  int compared = 0;
  int other_differs = 0;
  ForEachSeed(1, [&](Random& random) {
    while (compared < statements) {
      SqlObject object;
      std::vector<std::string> setup;
      std::vector<std::vector<Cells>> tables(kTables);
      for (int table = 0; table < kTables; ++table) {
        setup.push_back(absl::StrCat("DROP TABLE IF EXISTS t", table));
        setup.push_back(
            absl::StrCat("CREATE TABLE t", table, "(a", random.OneIn(3) ? " INTEGER PRIMARY KEY" : "", ", b)"));
        const bool keyed = setup.back().find("PRIMARY") != std::string::npos;
        for (size_t row = random.Below(5); row > 0; --row) {
          const auto cell = [&] { return random.OneIn(4) ? Cell() : Cell(static_cast<int64_t>(random.Below(4))); };
          Cells cells = {keyed ? Cell(static_cast<int64_t>(row)) : cell(), cell()};
          setup.push_back(absl::StrCat("INSERT INTO t", table, " VALUES (", cells[0] ? absl::StrCat(*cells[0]) : "NULL",
                                       ", ", cells[1] ? absl::StrCat(*cells[1]) : "NULL", ")"));
          tables[static_cast<size_t>(table)].push_back(std::move(cells));
        }
        if (random.OneIn(2)) setup.push_back(absl::StrCat("CREATE INDEX t", table, "_b ON t", table, "(b, a)"));
      }
      if (random.OneIn(2)) setup.push_back("ANALYZE");
      std::vector<Statement> turn;
      for (const std::string& sql : setup) {
        turn.push_back({sql, {}});
        if (other.there()) (void)other.Rows(sql);
      }
      ASSERT_TRUE(object.Turn(turn).ok());
      for (int i = 0; i < kStatementsPerDatabase && compared < statements; ++i, ++compared) {
        const Query query = RandomQuery(random, tables);
        std::vector<std::string> rows;
        for (const Row& row : object.Rows(query.sql)) {
          Cells cells;
          for (const Value& value : row) {
            const auto* number = std::get_if<int64_t>(&value);
            cells.push_back(number == nullptr ? Cell() : Cell(*number));
          }
          rows.push_back(ToText(cells));
        }
        std::sort(rows.begin(), rows.end());
        ASSERT_EQ(rows, query.expected) << absl::StrJoin(setup, "; ") << "; " << query.sql;
        if (!other.there()) continue;
        std::vector<std::string> others = other.Rows(query.sql);
        std::sort(others.begin(), others.end());
        if (others == query.expected) continue;
        // RIGHT and FULL JOIN came with SQLite 3.39. For some years SQLite answered some of them wrongly.
        EXPECT_TRUE(query.has_right_or_full) << query.sql;
        ++other_differs;
      }
    }
  });
  std::printf("%d statements as the model says; SQLite %s answers %d of them wrongly\n", compared,
              other.there() ? other.version().c_str() : "(there is no other)", other_differs);
}

}  // namespace
}  // namespace holdfast::storage::sql
