#include "actors/objects/schema_version.h"

#include <string>
#include <variant>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"

namespace holdfast::actors {
namespace {

namespace sql = storage::sql;

constexpr char kFind[] = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_meta'";
constexpr char kRead[] = "SELECT value FROM _meta WHERE key = 'schema_version'";
constexpr char kCreate[] = "CREATE TABLE IF NOT EXISTS _meta(key TEXT PRIMARY KEY, value TEXT)";
constexpr char kWrite[] = "INSERT OR REPLACE INTO _meta(key, value) VALUES ('schema_version', ?)";

absl::StatusOr<sql::Result> Run(sql::Connection& connection, const char* text, std::vector<sql::Value> params = {}) {
  return RunSql(connection, {"schema_version", text, std::move(params)});
}

absl::Status RunMigration(sql::Connection& connection, const SqlMigration& migration) {
  if (migration.foreign_keys_off) {
    if (absl::Status status = connection.SetForeignKeys(false); !status.ok()) {
      return SqlFailed(status, absl::StrCat("before ", migration.field));
    }
  }
  for (const SqlText& statement : migration.statements) {
    if (auto result = RunSql(connection, statement); !result.ok()) return result.status();
    connection.ForgetResults();
  }
  if (!migration.foreign_keys_off) return absl::OkStatus();
  return SqlFailed(connection.SetForeignKeys(true),
                   absl::StrCat(migration.field, ": at the end of version ", migration.version));
}

}  // namespace

absl::StatusOr<int64_t> ReadSchemaVersion(sql::Connection& connection) {
  auto found = Run(connection, kFind);
  if (!found.ok()) return found.status();
  if (found->rows.empty()) return 0;
  auto read = Run(connection, kRead);
  if (!read.ok()) return read.status();
  if (read->rows.empty()) return 0;
  const sql::Value& value = read->rows.front().front();
  int64_t version = -1;
  if (const auto* number = std::get_if<int64_t>(&value)) version = *number;
  if (const auto* text = std::get_if<std::string>(&value); text != nullptr && !absl::SimpleAtoi(*text, &version)) {
    version = -1;
  }
  if (version >= 0) return version;
  return Error(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_SQL_ERROR,
               "the row schema_version of the table _meta is no version; nothing was done");
}

absl::StatusOr<SchemaVersions> MigrateSql(sql::Connection& connection, const std::vector<SqlMigration>& migrations,
                                          bool accept_changed) {
  const auto before = ReadSchemaVersion(connection);
  if (!before.ok()) return before.status();
  const int64_t last = migrations.back().version;
  if (*before > last) {
    return Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_NEWER,
                 absl::StrCat("the object has schema version ", *before, "; the last of the migrations is ", last,
                              "; nothing was done"));
  }
  auto to_store = CompareMigrations(connection, migrations, *before, accept_changed);
  if (!to_store.ok()) return to_store.status();
  for (const SqlMigration& migration : migrations) {
    if (migration.version <= *before) continue;
    if (absl::Status status = RunMigration(connection, migration); !status.ok()) return status;
    to_store->push_back(&migration);
  }
  if (*before < last) {
    if (auto result = Run(connection, kCreate); !result.ok()) return result.status();
    if (auto result = Run(connection, kWrite, {absl::StrCat(last)}); !result.ok()) return result.status();
  }
  if (!to_store->empty()) {
    if (absl::Status status = StoreMigrationHashes(connection, *to_store, *before); !status.ok()) return status;
  }
  return SchemaVersions{*before, last};
}

}  // namespace holdfast::actors
