// The SQL of class "Object".

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/plain_object.h"
#include "actors/objects/schema_version.h"
#include "actors/wire/errors.h"
#include "actors/wire/sql_wire.h"
#include "storage/sql/database.h"

namespace holdfast::actors {
namespace {

namespace sql = storage::sql;

constexpr int kStatementsMax = 128;
constexpr int kMigrationsMax = 1000;

absl::StatusOr<std::vector<SqlText>> TextsOf(const google::protobuf::RepeatedPtrField<v1::SqlStatement>& statements,
                                             const std::string& field) {
  if (statements.empty() || statements.size() > kStatementsMax) {
    return InvalidField(field, absl::StrCat("has ", statements.size(), " items; must be 1 to ", kStatementsMax));
  }
  std::vector<SqlText> texts;
  for (int i = 0; i < statements.size(); ++i) {
    auto text = SqlTextOf(statements[i], absl::StrCat(field, "[", i, "]"));
    if (!text.ok()) return text.status();
    texts.push_back(*std::move(text));
  }
  return texts;
}

absl::StatusOr<std::vector<SqlMigration>> MigrationsOf(const v1::MigrateSchemaRequest& request) {
  const int count = request.migrations_size();
  if (count == 0 || count > kMigrationsMax) {
    return InvalidField("migrations", absl::StrCat("has ", count, " items; must be 1 to ", kMigrationsMax));
  }
  std::vector<SqlMigration> migrations;
  int64_t last = 0;
  for (int i = 0; i < count; ++i) {
    const v1::Migration& migration = request.migrations(i);
    const std::string field = absl::StrCat("migrations[", i, "]");
    if (migration.version() <= last) {
      return InvalidField(field + ".version", last == 0 ? "must be at least 1" : "must be above the one before");
    }
    last = migration.version();
    auto texts = TextsOf(migration.statements(), field + ".statements");
    if (!texts.ok()) return texts.status();
    migrations.push_back({field, migration.version(), *std::move(texts), migration.foreign_keys_off()});
  }
  return migrations;
}

absl::Status ImportError(const absl::Status& status) {
  if (!absl::IsAborted(status)) return status;
  return Error(status.code(), v1::ERROR_REASON_PRECONDITION_FAILED,
               absl::StrCat(status.message(), "; nothing was done"));
}

}  // namespace

storage::StorageOp<std::vector<sql::Result>> PlainObject::RunAll(std::vector<SqlText> texts, bool read_only) {
  using Results = std::vector<sql::Result>;
  return storage::sql::DatabaseOf(storage()).Run<Results>(
      [texts = std::move(texts), read_only](sql::Connection& connection) -> absl::StatusOr<Results> {
        if (read_only) connection.SetReadOnly();
        Results results;
        for (const SqlText& text : texts) {
          auto result = RunSql(connection, text);
          if (!result.ok()) return result.status();
          results.push_back(*std::move(result));
        }
        return results;
      });
}

Task<absl::Status> PlainObject::ExecuteSql(const v1::ExecuteSqlRequest& request, v1::ExecuteSqlResponse* response) {
  auto texts = TextsOf(request.statements(), "statements");
  if (!texts.ok()) co_return texts.status();
  const std::string& token = request.alarm_delivery_token();
  if (request.read_only()) {
    // Both would be written.
    if (!token.empty()) co_return InvalidField("alarm_delivery_token", "must be empty with read_only");
    if (!request.request_id().empty()) co_return InvalidField("request_id", "must be empty with read_only");
  }
  if (!token.empty() && !alarm_.Holds(token, Now())) co_return StaleDelivery();
  const auto results = co_await RunAll(*std::move(texts), request.read_only());
  if (!results.ok()) co_return SqlFailed(results.status(), "");
  for (const sql::Result& result : *results) FillSqlResult(result, response->add_results());
  if (!token.empty()) {
    Ended(alarm_.Acknowledge(), AlarmWatchers::End::kAcknowledged);
    StoreAlarm();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::MigrateSchema(const v1::MigrateSchemaRequest& request,
                                              v1::MigrateSchemaResponse* response) {
  auto migrations = MigrationsOf(request);
  if (!migrations.ok()) co_return migrations.status();
  const auto versions = co_await storage::sql::DatabaseOf(storage()).Run<SchemaVersions>(
      [migrations = *std::move(migrations), accept = request.accept_changed_migrations()](sql::Connection& connection) {
        return MigrateSql(connection, migrations, accept);
      });
  if (!versions.ok()) co_return SqlFailed(versions.status(), "");
  response->set_version_before(versions->before);
  response->set_version_after(versions->after);
  co_return absl::OkStatus();
}

// --- Exports and imports.

Task<absl::Status> PlainObject::TakeSnapshot(std::shared_ptr<sql::Snapshot>* snapshot) {
  auto taken = co_await sql::Snapshot::Take(&storage());
  if (!taken.ok()) co_return taken.status();
  *snapshot = *std::move(taken);
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::BeginImport(sql::ImportId* id) {
  const auto begun = co_await sql::BeginImport(&storage(), random().Bits());
  if (!begun.ok()) co_return begun.status();
  *id = *begun;
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::ImportPages(sql::ImportId id, uint32_t first, std::string pages) {
  co_return ImportError((co_await sql::AddPages(&storage(), id, first, std::move(pages))).status());
}

Task<absl::Status> PlainObject::EndImport(sql::ImportId id, uint32_t page_count) {
  co_return ImportError((co_await sql::EndImport(&storage(), id, page_count)).status());
}

Task<absl::Status> PlainObject::AbortImport(sql::ImportId id) {
  co_return (co_await sql::AbortImport(&storage(), id)).status();
}

// --- For ApplyBatch.

storage::StorageOp<std::vector<bool>> PlainObject::AskSql(const v1::ApplyBatchRequest& request) {
  struct Question {
    std::optional<SqlText> query;
    int64_t version = 0;
  };
  using Answers = std::vector<bool>;
  std::vector<Question> questions;
  for (int i = 0; i < request.preconditions_size(); ++i) {
    const v1::Precondition& precondition = request.preconditions(i);
    if (precondition.has_query_returns_row()) {
      auto text = SqlTextOf(precondition.query_returns_row(), absl::StrCat("preconditions[", i, "].query_returns_row"));
      if (!text.ok()) return storage::StorageOp<Answers>(text.status());
      questions.push_back({*std::move(text)});
    } else if (precondition.has_schema_version_equals()) {
      questions.push_back({std::nullopt, precondition.schema_version_equals()});
    }
  }
  return storage::sql::DatabaseOf(storage()).Run<Answers>(
      [questions = std::move(questions)](sql::Connection& connection) -> absl::StatusOr<Answers> {
        Answers answers;
        for (const Question& question : questions) {
          if (question.query) {
            const auto found = connection.Query(question.query->sql, question.query->params);
            if (!found.ok()) return SqlFailed(found.status(), question.query->field);
            answers.push_back(*found);
          } else {
            const auto version = ReadSchemaVersion(connection);
            if (!version.ok()) return version.status();
            answers.push_back(*version == question.version);
          }
        }
        return answers;
      });
}

}  // namespace holdfast::actors
