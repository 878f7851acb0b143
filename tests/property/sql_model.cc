#include "tests/property/sql_model.h"

#include <algorithm>
#include <map>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/objects/migration_hashes.h"
#include "actors/wire/errors.h"
#include "actors/wire/sql_wire.h"
#include "storage/sql/settings.h"
#include "tests/unit/storage/sql_plain_database.h"

namespace holdfast::property {
namespace {

namespace sql = storage::sql;

constexpr char kSchema[] = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";

// An open database, with one transaction.
class Model {
 public:
  explicit Model(const SqlFilePtr& file) : before_(file) {
    if (file != nullptr) plain_.Load(file->bytes());
    EXPECT_EQ(sql::Configure(plain_.db(), sql::Limits()), SQLITE_OK);
    EXPECT_TRUE(plain_.Execute("PRAGMA temp_store=MEMORY").ok());
    EXPECT_TRUE(plain_.Execute("BEGIN").ok());
  }

  absl::StatusOr<sql::Result> Run(const std::string& text, const std::vector<sql::Value>& params = {}) {
    if (const absl::Status refused = Refused(text); !refused.ok()) return refused;
    auto result = plain_.Run(text, params);
    if (!result.ok()) return AsClientGets(result.status());
    EXPECT_TRUE(plain_.in_transaction());
    return result;
  }
  absl::StatusOr<sql::Result> Run(const v1::SqlStatement& statement) {
    const auto text = actors::SqlTextOf(statement, "sql");
    if (!text.ok()) return text.status();
    return Run(text->sql, text->params);
  }
  absl::StatusOr<bool> Query(const v1::SqlStatement& statement) {
    const auto text = actors::SqlTextOf(statement, "sql");
    if (!text.ok()) return text.status();
    if (const absl::Status refused = Refused(text->sql); !refused.ok()) return refused;
    auto found = plain_.Query(text->sql, text->params);
    if (!found.ok()) return AsClientGets(found.status());
    return found;
  }
  // Ends the transaction, sets foreign keys, and begins another transaction.
  absl::Status SetForeignKeys(bool on) {
    if (const auto committed = plain_.Execute("COMMIT"); !committed.ok()) return AsClientGets(committed.status());
    EXPECT_TRUE(plain_.Execute(on ? "PRAGMA foreign_keys=ON" : "PRAGMA foreign_keys=OFF").ok());
    EXPECT_TRUE(plain_.Execute("BEGIN").ok());
    return absl::OkStatus();
  }
  absl::Status Commit(SqlFilePtr* file) {
    if (const auto committed = plain_.Execute("COMMIT"); !committed.ok()) return AsClientGets(committed.status());
    std::string bytes = plain_.Save();
    if (bytes.empty()) {
      *file = nullptr;
    } else if (before_ == nullptr || before_->bytes() != bytes) {
      *file = std::make_shared<const SqlFile>(std::move(bytes));
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Refused(const std::string& text) {
    const auto& refused = RefusedStatements();
    if (std::find(refused.begin(), refused.end(), text) == refused.end()) return absl::OkStatus();
    return AsClientGets(absl::InvalidArgumentError("it is refused"));
  }
  static absl::Status AsClientGets(const absl::Status& status) {
    v1::ErrorReason reason = v1::ERROR_REASON_UNSPECIFIED;
    if (absl::IsInvalidArgument(status)) reason = v1::ERROR_REASON_SQL_ERROR;
    if (absl::IsFailedPrecondition(status)) reason = v1::ERROR_REASON_SQL_CONSTRAINT;
    EXPECT_NE(reason, v1::ERROR_REASON_UNSPECIFIED) << "the model fails: " << status;
    return actors::Error(status.code(), reason, status.message());
  }

  const SqlFilePtr before_;
  sql::PlainDatabase plain_;
};

void Fill(const sql::Result& result, v1::SqlResult* wire) {
  actors::FillSqlResult(result, wire);
  CanonicalSql(wire);
}

absl::StatusOr<int64_t> SchemaVersion(Model* model) {
  const auto found = model->Run("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_meta'");
  if (!found.ok()) return found.status();
  if (found->rows.empty()) return 0;
  const auto read = model->Run("SELECT CAST(value AS TEXT) FROM _meta WHERE key = 'schema_version'");
  if (!read.ok()) return read.status();
  int64_t version = 0;
  if (!read->rows.empty()) (void)absl::SimpleAtoi(std::get<std::string>(read->rows[0][0]), &version);
  return version;
}

// Returns the hashes of the migrations by version.
std::map<int64_t, std::string> Hashes(Model* model) {
  std::map<int64_t, std::string> hashes;
  const auto found = model->Run("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_meta_migrations'");
  if (!found.ok() || found->rows.empty()) return hashes;
  const auto read = model->Run("SELECT version, hash FROM _meta_migrations");
  EXPECT_TRUE(read.ok()) << read.status();
  if (!read.ok()) return hashes;
  for (const sql::Row& row : read->rows) hashes[std::get<int64_t>(row[0])] = std::get<std::string>(row[1]);
  return hashes;
}

void StoreHashes(const std::map<int64_t, std::string>& hashes, Model* model) {
  const auto run = [model](const std::string& text, const std::vector<sql::Value>& params = {}) {
    const auto result = model->Run(text, params);
    EXPECT_TRUE(result.ok()) << result.status();
  };
  run("CREATE TABLE IF NOT EXISTS _meta_migrations(version INTEGER PRIMARY KEY, hash TEXT NOT NULL)");
  run("DELETE FROM _meta_migrations");
  for (const auto& [version, hash] : hashes) run("INSERT INTO _meta_migrations VALUES (?, ?)", {version, hash});
}

std::string HashOf(const v1::Migration& wire) {
  actors::SqlMigration migration;
  for (const v1::SqlStatement& statement : wire.statements()) {
    auto text = actors::SqlTextOf(statement, "sql");
    EXPECT_TRUE(text.ok()) << text.status();
    if (text.ok()) migration.statements.push_back(*std::move(text));
  }
  migration.foreign_keys_off = wire.foreign_keys_off();
  return actors::MigrationHash(migration);
}

absl::Status RunMigration(const v1::Migration& migration, Model* model) {
  if (migration.foreign_keys_off()) {
    if (absl::Status status = model->SetForeignKeys(false); !status.ok()) return status;
  }
  for (const v1::SqlStatement& statement : migration.statements()) {
    if (const auto result = model->Run(statement); !result.ok()) return result.status();
  }
  if (!migration.foreign_keys_off()) return absl::OkStatus();
  const auto broken = model->Run("PRAGMA foreign_key_check");
  if (!broken.ok()) return broken.status();
  if (!broken->rows.empty()) {
    return actors::Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SQL_CONSTRAINT, "it does not hold");
  }
  return model->SetForeignKeys(true);
}

std::vector<std::string> Texts(const absl::StatusOr<sql::Result>& result) {
  std::vector<std::string> texts;
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return texts;
  for (const sql::Row& row : result->rows) texts.push_back(std::get<std::string>(row[0]));
  return texts;
}

std::string NamesQuery(absl::string_view type) {
  return absl::StrCat("SELECT name FROM sqlite_schema WHERE type ", type,
                      " AND name NOT LIKE 'sqlite_%' ORDER BY name");
}

}  // namespace

void CanonicalSql(v1::SqlResult* result) {
  result->clear_vm_steps();
  result->clear_last_insert_rowid();
}

const std::vector<std::string>& RefusedStatements() {
  static const auto* const refused = new std::vector<std::string>{"BEGIN",
                                                                  "COMMIT",
                                                                  "ROLLBACK",
                                                                  "SAVEPOINT s",
                                                                  "VACUUM",
                                                                  "ATTACH ':memory:' AS other",
                                                                  "CREATE TEMP TABLE x(a)",
                                                                  "CREATE TABLE temp.x(a)",
                                                                  "CREATE TABLE _holdfast_x(a)",
                                                                  "PRAGMA writable_schema=ON",
                                                                  "PRAGMA journal_mode=DELETE",
                                                                  "PRAGMA foreign_keys=OFF",
                                                                  "SELECT load_extension('x')"};
  return *refused;
}

v1::ExecuteSqlRequest ReadAllSql(const SqlFilePtr& file) {
  v1::ExecuteSqlRequest request;
  request.add_statements()->set_sql(kSchema);
  for (const char* pragma : {"quick_check", "user_version"}) {
    request.add_statements()->set_sql(absl::StrCat("PRAGMA ", pragma));
  }
  if (file == nullptr) return request;
  Model model(file);
  for (const std::string& name :
       Texts(model.Run("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"))) {
    request.add_statements()->set_sql(absl::StrCat("SELECT * FROM \"", name, "\" NOT INDEXED"));
  }
  return request;
}

const std::string& SqlFile::Contents() const {
  if (!contents_) {
    auto file = std::make_shared<const SqlFile>(bytes_);
    v1::ExecuteSqlResponse response;
    const v1::ExecuteSqlRequest request = ReadAllSql(file);
    const absl::Status status = ModelExecute(request, &file, &response);
    EXPECT_TRUE(status.ok()) << status;
    contents_ = response.SerializeAsString();
  }
  return *contents_;
}

bool SameSql(const SqlFilePtr& a, const SqlFilePtr& b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && a->Contents() == b->Contents();
}

std::vector<SqlTable> TablesOf(const SqlFilePtr& file) {
  std::vector<SqlTable> tables;
  if (file == nullptr) return tables;
  Model model(file);
  for (const std::string& name : Texts(model.Run(NamesQuery("IN ('table', 'view')")))) {
    if (name == "_meta" || name == "_meta_migrations") continue;
    // A view may be of a table that no longer exists.
    auto columns = model.Run(absl::StrCat("SELECT name FROM pragma_table_info('", name, "')"));
    tables.push_back({name, columns.ok() ? Texts(columns) : std::vector<std::string>()});
  }
  return tables;
}

std::vector<std::string> NamesOf(const SqlFilePtr& file, const std::string& type) {
  if (file == nullptr) return {};
  return Texts(Model(file).Run(NamesQuery(absl::StrCat("= '", type, "'"))));
}

absl::Status ModelExecute(const v1::ExecuteSqlRequest& request, SqlFilePtr* file, v1::ExecuteSqlResponse* response) {
  Model model(*file);
  for (const v1::SqlStatement& statement : request.statements()) {
    const auto result = model.Run(statement);
    if (!result.ok()) return result.status();
    Fill(*result, response->add_results());
  }
  return model.Commit(file);
}

absl::Status ModelMigrate(const v1::MigrateSchemaRequest& request, SqlFilePtr* file,
                          v1::MigrateSchemaResponse* response) {
  Model model(*file);
  const auto before = SchemaVersion(&model);
  if (!before.ok()) return before.status();
  const int64_t last = request.migrations(request.migrations_size() - 1).version();
  if (*before > last) {
    return actors::Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_NEWER, "it is newer");
  }
  std::map<int64_t, std::string> hashes = Hashes(&model);
  const std::map<int64_t, std::string> hashes_before = hashes;
  for (const v1::Migration& migration : request.migrations()) {
    if (migration.version() > *before) break;
    const auto known = hashes_before.find(migration.version());
    const bool ran = known != hashes_before.end() && known->second == HashOf(migration);
    const bool from_before_hashes = hashes_before.empty() || migration.version() < hashes_before.begin()->first;
    if (!ran && !from_before_hashes && !request.accept_changed_migrations()) {
      return actors::Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_CHANGED, "it has changed");
    }
    hashes[migration.version()] = HashOf(migration);
  }
  for (const v1::Migration& migration : request.migrations()) {
    if (migration.version() <= *before) continue;
    if (const absl::Status ran = RunMigration(migration, &model); !ran.ok()) return ran;
  }
  const bool due = *before < last;
  if (due || hashes != hashes_before) hashes.erase(hashes.upper_bound(*before), hashes.end());
  if (due) {
    const auto created = model.Run("CREATE TABLE IF NOT EXISTS _meta(key TEXT PRIMARY KEY, value TEXT)");
    if (!created.ok()) return created.status();
    const auto written = model.Run("INSERT OR REPLACE INTO _meta VALUES ('schema_version', ?)", {absl::StrCat(last)});
    if (!written.ok()) return written.status();
    if (*before == 0) hashes[0] = "";
    for (const v1::Migration& migration : request.migrations()) {
      if (migration.version() > *before) hashes[migration.version()] = HashOf(migration);
    }
  }
  if (due || hashes != hashes_before) StoreHashes(hashes, &model);
  response->set_version_before(*before);
  response->set_version_after(last);
  return model.Commit(file);
}

absl::Status ModelPreconditions(const v1::ApplyBatchRequest& request, const SqlFilePtr& file,
                                std::vector<bool>* answers) {
  std::optional<Model> model;
  for (const v1::Precondition& precondition : request.preconditions()) {
    if (!precondition.has_query_returns_row() && !precondition.has_schema_version_equals()) continue;
    if (!model) model.emplace(file);
    if (precondition.has_query_returns_row()) {
      const auto found = model->Query(precondition.query_returns_row());
      if (!found.ok()) return found.status();
      answers->push_back(*found);
    } else {
      const auto version = SchemaVersion(&*model);
      if (!version.ok()) return version.status();
      answers->push_back(*version == precondition.schema_version_equals());
    }
  }
  return absl::OkStatus();
}

absl::Status ModelSteps(const v1::ApplyBatchRequest& request, SqlFilePtr* file, v1::ApplyBatchResponse* response) {
  std::optional<Model> model;
  for (const v1::BatchStep& step : request.steps()) {
    if (!step.has_sql()) continue;
    if (!model) model.emplace(*file);
    const auto result = model->Run(step.sql());
    if (!result.ok()) return result.status();
    Fill(*result, response->add_sql_results());
  }
  return model ? model->Commit(file) : absl::OkStatus();
}

}  // namespace holdfast::property
