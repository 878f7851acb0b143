#include "tests/property/sql_generator.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"

namespace holdfast::property {
namespace {

// A larger database is made smaller.
constexpr size_t kLargeBytes = 500'000;

v1::SqlStatement Plain(const std::string& sql) {
  v1::SqlStatement statement;
  statement.set_sql(sql);
  return statement;
}

}  // namespace

void SqlGenerator::Look(const SqlFilePtr& file) {
  tables_ = TablesOf(file);
  file_ = file;
  large_ = file != nullptr && file->bytes().size() > kLargeBytes;
}

std::string SqlGenerator::Pick(const std::vector<std::string>& of) { return of[dice_->Below(of.size())]; }

std::string SqlGenerator::NewTable() { return absl::StrCat("t", dice_->Below(6)); }

std::string SqlGenerator::Table() {
  if (tables_.empty() || dice_->OneIn(50)) {
    columns_ = {"id", "a", "b", "c"};
    return NewTable();
  }
  const SqlTable& table = tables_[dice_->Below(tables_.size())];
  columns_ = table.columns;
  return table.name;
}

std::string SqlGenerator::Column() {
  if (columns_.empty() || dice_->OneIn(40)) return Pick({"id", "a", "b", "c", "d", "rowid"});
  return Pick(columns_);
}

std::string SqlGenerator::Name(const std::string& prefix, const std::string& type) {
  const auto names = NamesOf(file_, type);
  if (names.empty() || dice_->OneIn(6)) return absl::StrCat(prefix, dice_->Below(5));
  return Pick(names);
}

std::string SqlGenerator::Expression() {
  switch (dice_->Below(10)) {
    case 0:
      return absl::StrCat("coalesce(", Column(), ", 0) + ", dice_->Below(5));
    case 1:
      return absl::StrCat("length(", Column(), ")");
    case 2:
      return absl::StrCat("substr(", Column(), " || 'x', 1, ", dice_->Below(300), ")");
    case 3:
      return absl::StrCat("CASE WHEN ", Column(), " IS NULL THEN 'none' ELSE typeof(", Column(), ") END");
    case 4:
      return absl::StrCat("(SELECT count(*) FROM ", Table(), ")");
    case 5:
      return absl::StrCat("zeroblob(", dice_->Below(dice_->OneIn(6) ? 9000 : 200), ")");
    case 6:
      return absl::StrCat("json_array(", dice_->Below(9), ", hex(substr(", Column(), ", 1, 4)))");
    case 7:
      return "NULL";
    default:
      return absl::StrCat(dice_->Below(60));
  }
}

std::string SqlGenerator::Where() {
  switch (dice_->Below(9)) {
    case 0:
      return "";
    case 1:
      return absl::StrCat(" WHERE ", Column(), " IS NULL");
    case 2:
      return absl::StrCat(" WHERE length(", Column(), ") > ", dice_->Below(400));
    case 3:
      return absl::StrCat(" WHERE ", Column(), " IN (SELECT ", Column(), " FROM ", Table(), " LIMIT 5)");
    case 4:
      return absl::StrCat(" WHERE ", Column(), " % 3 = ", dice_->Below(3));
    case 5:
      return absl::StrCat(" WHERE ", Column(), " LIKE '", Pick({"a", "b", "1", "x"}), "%'");
    default: {
      const uint64_t first = dice_->Below(60);
      return absl::StrCat(" WHERE ", Column(), " BETWEEN ", first, " AND ", first + dice_->Below(20));
    }
  }
}

void SqlGenerator::AddNumber(v1::SqlStatement* statement) {
  statement->add_params()->set_integer(static_cast<int64_t>(dice_->Below(60)));
}

void SqlGenerator::AddValue(v1::SqlStatement* statement) {
  v1::SqlValue* const value = statement->add_params();
  const auto text = [&] {
    std::string letters;
    for (uint64_t i = dice_->Below(8); i > 0; --i) letters.push_back(static_cast<char>('a' + dice_->Below(3)));
    return letters;
  };
  switch (dice_->Below(8)) {
    case 0:
      return;  // NULL
    case 1:
      return value->set_integer(static_cast<int64_t>(dice_->Below(UINT64_MAX)));
    case 2:
      return value->set_real(static_cast<double>(dice_->Below(1000)) / 8);
    case 3:
    case 4:
      return value->set_text(text());
    case 5: {
      const size_t size = dice_->Below(!large_ && dice_->OneIn(3) ? 14'000 : 300);
      std::string bytes(size, static_cast<char>(dice_->Below(256)));
      for (size_t i = 0; i < size; i += 40) bytes[i] = static_cast<char>(dice_->Below(256));
      return value->set_blob(bytes);
    }
    default:
      return value->set_integer(static_cast<int64_t>(dice_->Below(60)));
  }
}

v1::SqlStatement SqlGenerator::CreateTable() {
  const std::string other = Table();
  const std::string exists = dice_->OneIn(3) ? "IF NOT EXISTS " : "";
  const std::string columns =
      Pick({"(id INTEGER PRIMARY KEY, a TEXT, b, c BLOB)",
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE, b REAL DEFAULT 1.5, c CHECK (length(c) < 9000))",
            "(id, a, b, c, PRIMARY KEY (id, a)) WITHOUT ROWID", "(id, a, b, c)",
            "(id INTEGER PRIMARY KEY, a REFERENCES $0 ON DELETE CASCADE ON UPDATE CASCADE, b NOT NULL, c)",
            "(id INTEGER PRIMARY KEY, a REFERENCES $0(id) ON DELETE SET NULL, b COLLATE NOCASE, c)",
            "(id INTEGER PRIMARY KEY, a REFERENCES $0(id) DEFERRABLE INITIALLY DEFERRED, b DEFAULT 'b', c)",
            "(id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c BLOB) STRICT",
            "(id INTEGER PRIMARY KEY, a, b, c, g AS (coalesce(a, 0) || '-' || length(c)) STORED)",
            "(id TEXT PRIMARY KEY, a, b, c, v AS (length(c)) VIRTUAL, UNIQUE (a, b) ON CONFLICT REPLACE)",
            " AS SELECT * FROM $0 LIMIT 10"});
  const std::string name = NewTable();
  // Later statements of the same call may use the new table.
  tables_.push_back({name, {"id", "a", "b", "c"}});
  return Plain(absl::StrCat("CREATE TABLE ", exists, name, absl::Substitute(columns, other)));
}

v1::SqlStatement SqlGenerator::Alter() {
  const std::string table = Table();
  switch (dice_->Below(5)) {
    case 0:
      return Plain(absl::StrCat("ALTER TABLE ", table, " RENAME TO ", NewTable()));
    case 1:
      return Plain(absl::StrCat("ALTER TABLE ", table, " RENAME ", Column(), " TO ", Pick({"a", "b", "c", "d", "e"})));
    case 2:
      return Plain(absl::StrCat("ALTER TABLE ", table, " DROP COLUMN ", Column()));
    default:
      return Plain(absl::StrCat("ALTER TABLE ", table, " ADD COLUMN ",
                                Pick({"d", "e DEFAULT 'e'", "f INTEGER NOT NULL DEFAULT 7", "d CHECK (d IS NOT 3)",
                                      "e AS (typeof(a))", "f REFERENCES t0"})));
  }
}

v1::SqlStatement SqlGenerator::CreateOther() {
  const std::string table = Table();
  const std::string number = absl::StrCat(dice_->Below(5));
  const std::string column = Column();
  const std::string second = Column();
  switch (dice_->Below(11)) {
    case 0:
    case 1:
      return Plain(absl::StrCat("CREATE INDEX i", number, " ON ", table, "(", column, ", ", second, " DESC)"));
    case 2:
      return Plain(absl::StrCat("CREATE UNIQUE INDEX i", number, " ON ", table, "(", column, ")"));
    case 3:
      return Plain(absl::StrCat("CREATE INDEX i", number, " ON ", table, "(", column, ") WHERE ", second, " > 10"));
    case 4:
      return Plain(absl::StrCat("CREATE INDEX i", number, " ON ", table, "(length(", column, "), ", second, ")"));
    case 5:
      return Plain(absl::StrCat("CREATE VIEW v", number, " AS SELECT ", column, " AS a, count(*) AS b, max(", second,
                                ") AS c FROM ", table, " GROUP BY 1"));
    case 6:
      return Plain(absl::StrCat("CREATE VIEW v", number, "(id, a, b) AS SELECT x.", column, ", x.", second,
                                ", length(x.", second, ") FROM ", table, " AS x"));
    default:
      break;
  }
  const std::string event = Pick({"INSERT", "UPDATE", "DELETE"});
  const std::string row = event == "DELETE" ? "old." : "new.";
  const std::string of_view = table[0] == 'v' ? "INSTEAD OF " : Pick({"AFTER ", "AFTER ", "BEFORE "});
  const std::string other = Table();
  const std::string body =
      Pick({absl::StrCat("INSERT INTO ", other, "(", Column(), ") VALUES (", row, column, ")"),
            absl::StrCat("UPDATE ", other, " SET ", Column(), " = ", row, column, Where()),
            absl::StrCat("INSERT OR IGNORE INTO ", other, "(id, a) SELECT ", row, column, ", ", row, second),
            absl::StrCat("DELETE FROM ", other, " WHERE ", Column(), " = ", row, column),
            absl::StrCat("SELECT RAISE(", Pick({"ABORT", "FAIL", "ROLLBACK", "ABORT"}), ", 'no') WHERE ", row, column,
                         " % 11 = 0"),
            absl::StrCat("SELECT RAISE(IGNORE) WHERE ", row, column, " % 7 = 0")});
  return Plain(absl::StrCat("CREATE TRIGGER g", number, " ", of_view, event, " ON ", table,
                            dice_->OneIn(2) ? " FOR EACH ROW" : "", " BEGIN ", body, "; END"));
}

v1::SqlStatement SqlGenerator::Drop() {
  const std::string exists = dice_->OneIn(3) ? "IF EXISTS " : "";
  switch (dice_->Below(6)) {
    case 0:
      return Plain(absl::StrCat("DROP VIEW ", exists, Name("v", "view")));
    case 1:
      return Plain(absl::StrCat("DROP INDEX ", exists, Name("i", "index")));
    case 2:
    case 3:
      return Plain(absl::StrCat("DROP TRIGGER ", exists, Name("g", "trigger")));
    default:
      return Plain(absl::StrCat("DROP TABLE ", exists, Table()));
  }
}

v1::SqlStatement SqlGenerator::Insert() {
  v1::SqlStatement statement;
  const std::string table = Table();
  std::string columns = "id, a, b, c";
  size_t count = 4;
  if (dice_->OneIn(4)) {
    columns = Column();
    for (count = 1; count < 3 && dice_->OneIn(2); ++count) absl::StrAppend(&columns, ", ", Column());
  }
  std::string rows;
  for (uint64_t i = dice_->OneIn(3) ? 1 + dice_->Below(5) : 1; i > 0; --i) {
    absl::StrAppend(&rows, rows.empty() ? "(" : ", (");
    for (size_t k = 0; k < count; ++k) {
      absl::StrAppend(&rows, k == 0 ? "?" : ", ?");
      k == 0 && !dice_->OneIn(4) ? AddNumber(&statement) : AddValue(&statement);
    }
    rows.push_back(')');
  }
  const std::string conflict =
      Pick({"", "", "", "", "OR REPLACE ", "OR REPLACE ", "OR IGNORE ", "OR FAIL ", "OR ROLLBACK ", "OR ABORT "});
  std::string sql = absl::StrCat("INSERT ", conflict, "INTO ", table, "(", columns, ") VALUES ", rows);
  if (dice_->OneIn(5)) {
    absl::StrAppend(&sql, " ON CONFLICT", dice_->OneIn(3) ? "(id)" : "",
                    Pick({" DO NOTHING", " DO UPDATE SET b = excluded.b, a = a || '+'",
                          " DO UPDATE SET c = excluded.c WHERE b IS NOT excluded.b"}));
  }
  if (dice_->OneIn(6)) absl::StrAppend(&sql, " RETURNING *, ", Column());
  statement.set_sql(sql);
  return statement;
}

v1::SqlStatement SqlGenerator::InsertMany() {
  const std::string table = Table();
  const std::string conflict = Pick({"", "OR IGNORE ", "OR IGNORE ", "OR REPLACE ", "OR FAIL "});
  v1::SqlStatement statement;
  if (dice_->OneIn(2)) {
    const std::string column = Column();
    statement.set_sql(absl::StrCat("INSERT ", conflict, "INTO ", table, "(id, ", column, ") SELECT ", Expression(),
                                   ", ", Column(), " FROM ", Table(), Where(), " LIMIT ", 1 + dice_->Below(15)));
    return statement;
  }
  statement.set_sql(absl::StrCat("WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n LIMIT ",
                                 1 + dice_->Below(large_ ? 5 : 40), ") INSERT ", conflict, "INTO ", table,
                                 "(id, a, b, c) SELECT i, 'many' || i, i % 5, ",
                                 dice_->OneIn(3) ? "zeroblob(i * 150)" : "hex(i)", " FROM n"));
  AddNumber(&statement);
  return statement;
}

v1::SqlStatement SqlGenerator::Update() {
  v1::SqlStatement statement;
  const std::string conflict = Pick({"", "", "", "OR IGNORE ", "OR REPLACE ", "OR FAIL ", "OR ROLLBACK "});
  std::string sql = absl::StrCat("UPDATE ", conflict, Table(), " SET ", Column(), " = ");
  if (dice_->OneIn(2)) {
    sql.push_back('?');
    AddValue(&statement);
  } else {
    absl::StrAppend(&sql, Expression());
  }
  if (dice_->OneIn(3)) absl::StrAppend(&sql, ", ", Column(), " = ", Expression());
  absl::StrAppend(&sql, Where());
  if (dice_->OneIn(6)) absl::StrAppend(&sql, " RETURNING ", Column(), ", typeof(", Column(), ")");
  statement.set_sql(sql);
  return statement;
}

v1::SqlStatement SqlGenerator::Delete() {
  std::string sql = absl::StrCat("DELETE FROM ", Table());
  if (!dice_->OneIn(large_ ? 2 : 10)) absl::StrAppend(&sql, Where());
  if (dice_->OneIn(6)) absl::StrAppend(&sql, " RETURNING *");
  return Plain(sql);
}

v1::SqlStatement SqlGenerator::Pragma() {
  switch (dice_->Below(8)) {
    case 0:
      return Plain(absl::StrCat("PRAGMA user_version = ", dice_->Below(100)));
    case 1:
      return Plain("PRAGMA user_version");
    case 2:
      return Plain(absl::StrCat("PRAGMA table_xinfo(", Table(), ")"));
    case 3:
      return Plain(absl::StrCat("PRAGMA index_list(", Table(), ")"));
    case 4:
      return Plain(absl::StrCat("PRAGMA foreign_key_list(", Table(), ")"));
    case 5:
      return Plain("PRAGMA foreign_key_check");
    case 6:
      return Plain("PRAGMA defer_foreign_keys = ON");
    default:
      return Plain("PRAGMA quick_check");
  }
}

v1::SqlStatement SqlGenerator::Wrong() {
  switch (dice_->Below(5)) {
    case 0:
      return Plain(Pick(RefusedStatements()));
    case 1: {
      v1::SqlStatement statement = Plain(absl::StrCat("SELECT ? FROM ", Table()));
      AddValue(&statement);
      AddValue(&statement);
      return statement;
    }
    case 2:
      return Plain(absl::StrCat("INSERT INTO ", Table(), " VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)"));
    case 3:
      return Plain(absl::StrCat("SELECT ", Column(), ", nothing FROM ", Table()));
    default:
      return Plain(Pick({"SELEKT 1", "SELECT (1", "INSERT INTO", "SELECT 'open", "-- nothing"}));
  }
}

v1::SqlStatement SqlGenerator::Query() {
  const std::string table = Table();
  const std::string a = Column();
  const std::string b = Column();
  switch (dice_->Below(12)) {
    case 0:
      return Plain(absl::StrCat("SELECT * FROM ", table, Where(), " ORDER BY ", a, ", ", b));
    case 1:
      return Plain(absl::StrCat("SELECT ", a, ", count(*), sum(length(", b, ")), min(", b, "), total(", a, ") FROM ",
                                table, " GROUP BY ", a, " HAVING count(*) > ", dice_->Below(3), " ORDER BY 1"));
    case 2: {
      const std::string other = Table();
      return Plain(absl::StrCat("SELECT x.", a, ", y.", Column(), " FROM ", table, " x ", Pick({"", "LEFT ", "CROSS "}),
                                "JOIN ", other, " y ON x.", b, " = y.", Column(), " LIMIT 100"));
    }
    case 3:
      return Plain(absl::StrCat("SELECT ", a, ", row_number() OVER w, sum(length(", b, ")) OVER w, lag(", a,
                                ") OVER w FROM ", table, " WINDOW w AS (PARTITION BY typeof(", b, ") ORDER BY ", a,
                                ", ", b, ")"));
    case 4:
      return Plain(absl::StrCat(
          "WITH RECURSIVE n(i, s) AS (SELECT 1, 'x' UNION ALL SELECT i + 1, s || i FROM n WHERE i < ", dice_->Below(30),
          ") SELECT n.i, n.s, (SELECT count(*) FROM ", table, " WHERE ", a, " = n.i) FROM n"));
    case 5:
      return Plain(absl::StrCat("SELECT ", a, " FROM ", table,
                                Pick({" UNION ", " EXCEPT ", " INTERSECT ", " UNION ALL "}), "SELECT ", Column(),
                                " FROM ", Table(), " ORDER BY 1 LIMIT 50"));
    case 6:
      return Plain(absl::StrCat("SELECT DISTINCT ", a, ", ", Expression(), " FROM ", table,
                                " WHERE EXISTS (SELECT 1 FROM ", table, " AS y WHERE y.", b, " > 5) ORDER BY 1, 2"));
    case 7:
      return Plain(absl::StrCat("SELECT json_group_array(", a, ") FILTER (WHERE typeof(", a,
                                ") <> 'blob'), group_concat(length(", b, ")), avg(", a, ") FROM ", table));
    case 8:
      return Plain("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name");
    case 9: {
      v1::SqlStatement statement = Plain(absl::StrCat("SELECT * FROM ", table, " WHERE ", a, " = ?"));
      AddNumber(&statement);
      return statement;
    }
    default: {
      v1::SqlStatement statement = Plain(absl::StrCat("SELECT * FROM ", table, " WHERE id = ?"));
      AddNumber(&statement);
      return statement;
    }
  }
}

v1::SqlStatement SqlGenerator::Statement() {
  if (tables_.empty() && !dice_->OneIn(20)) return CreateTable();
  if (large_ && dice_->OneIn(3)) return dice_->OneIn(3) ? Plain(absl::StrCat("DROP TABLE ", Table())) : Delete();
  const uint64_t kind = dice_->Below(100);
  if (kind < 3 || (kind < 10 && tables_.size() < 3)) return CreateTable();
  if (kind < 9) return Alter();
  if (kind < 15) return CreateOther();
  if (kind < 18) return Drop();
  if (kind < 46) return Insert();
  if (kind < 52) return InsertMany();
  if (kind < 64) return Update();
  if (kind < 72) return Delete();
  if (kind < 76) return Pragma();
  if (kind < 78) return Wrong();
  if (kind < 80) {
    // One text has several statements.
    return Plain(absl::StrCat(CreateTable().sql(), "; ", Alter().sql(), ";", Delete().sql(), " -- end"));
  }
  return Query();
}

void SqlGenerator::FillMigration(v1::Migration* migration) {
  migration->clear_statements();
  migration->set_foreign_keys_off(dice_->OneIn(4));
  for (uint64_t k = 1 + dice_->Below(2); k > 0; --k) {
    const bool breaks = migration->foreign_keys_off() && dice_->OneIn(2);
    *migration->add_statements() = breaks            ? dice_->OneIn(2) ? Delete() : Drop()
                                              : dice_->OneIn(3) ? Alter()
                                   : dice_->OneIn(2) ? CreateTable()
                                                     : Insert();
  }
}

// Makes mostly the list of the last time with more at its end; sometimes one migration is changed, put in or left out.
v1::MigrateSchemaRequest SqlGenerator::Migration() {
  v1::MigrateSchemaRequest request;
  if (!dice_->OneIn(4)) *request.mutable_migrations() = migrations_;
  if (request.migrations_size() > 6) request.mutable_migrations()->DeleteSubrange(0, 5);
  const int there = request.migrations_size();
  int64_t version = there > 0 ? request.migrations(there - 1).version() : static_cast<int64_t>(dice_->Below(3));
  for (uint64_t i = (there > 0 ? 0 : 1) + dice_->Below(4); i > 0; --i) {
    v1::Migration* const migration = request.add_migrations();
    migration->set_version(version += 1 + static_cast<int64_t>(dice_->Below(2)));
    FillMigration(migration);
  }
  const auto any = [&] { return static_cast<int>(dice_->Below(static_cast<uint64_t>(request.migrations_size()))); };
  if (there > 0 && dice_->OneIn(5)) FillMigration(request.mutable_migrations(any()));
  if (there > 0 && dice_->OneIn(5)) {
    // Inserts a version that was skipped, if there is one.
    const int at = any();
    const int64_t below = at == 0 ? 0 : request.migrations(at - 1).version();
    if (request.migrations(at).version() > below + 1) {
      v1::Migration* const late = request.add_migrations();
      late->set_version(below + 1);
      FillMigration(late);
      for (int i = request.migrations_size() - 1; i > at; --i) request.mutable_migrations()->SwapElements(i, i - 1);
    }
  }
  if (request.migrations_size() > 1 && dice_->OneIn(5)) request.mutable_migrations()->DeleteSubrange(any(), 1);
  request.set_accept_changed_migrations(dice_->OneIn(4));
  migrations_ = request.migrations();
  return request;
}

}  // namespace holdfast::property
