#include "actors/runtime/sql_description.h"

#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "actors/wire/sql_wire.h"
#include "storage/sql/failure.h"

namespace holdfast::actors {
namespace {

namespace sql = storage::sql;

constexpr char kTables[] =
    "SELECT name, (SELECT group_concat(sql, ';' || char(10)) FROM"
    " (SELECT sql FROM sqlite_schema AS s WHERE s.tbl_name = l.name AND sql IS NOT NULL ORDER BY type = 'table' DESC,"
    " name))"
    " FROM pragma_table_list AS l WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite_%'"
    " ORDER BY name LIMIT 1000";

std::string TextIn(const sql::Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr ? "" : *text;
}

std::string CountOf(absl::string_view table) {
  return absl::StrCat("SELECT count(*) FROM \"", absl::StrReplaceAll(table, {{"\"", "\"\""}}), "\"");
}

}  // namespace

absl::Status DescribeTables(sql::Connection& connection, std::vector<SqlTable>* tables) {
  const auto schema = RunSql(connection, {"tables", kTables, {}});
  if (!schema.ok()) return schema.status();
  for (const sql::Row& row : schema->rows) tables->push_back({TextIn(row[0]), -1, TextIn(row[1])});
  for (SqlTable& table : *tables) {
    const auto count = connection.Execute(CountOf(table.name), {});
    if (!count.ok() && sql::FailureOf(count.status()).kind == sql::FailureKind::kTimeLimit) break;
    if (!count.ok()) return SqlFailed(count.status(), "tables");
    table.row_count = std::get<int64_t>(count->rows[0][0]);
  }
  return absl::OkStatus();
}

}  // namespace holdfast::actors
