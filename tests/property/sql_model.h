// What the SQL database of an object must be: one of plain SQLite in memory, with the same limits.

#ifndef HOLDFAST_TESTS_PROPERTY_SQL_MODEL_H_
#define HOLDFAST_TESTS_PROPERTY_SQL_MODEL_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "holdfast/v1/object_service.pb.h"
#include "storage/sql/page_source.h"
#include "storage/sql/value.h"

namespace holdfast::property {

// A database at one moment.
class SqlFile {
 public:
  explicit SqlFile(std::string bytes) : bytes_(std::move(bytes)) {}

  const std::string& bytes() const { return bytes_; }
  int64_t page_count() const { return static_cast<int64_t>(bytes_.size() / storage::sql::kPageBytes); }
  // The same for two that no query tells apart.
  const std::string& Contents() const;

 private:
  const std::string bytes_;
  mutable std::optional<std::string> contents_;
};

// Shared, since a world is copied often. Null: a database that was never written.
using SqlFilePtr = std::shared_ptr<const SqlFile>;

bool SameSql(const SqlFilePtr& a, const SqlFilePtr& b);

struct SqlTable {
  std::string name;
  std::vector<std::string> columns;
};
// Tables, and views, but SQLite's own.
std::vector<SqlTable> TablesOf(const SqlFilePtr& file);
// Names of this type ("index", "view", "trigger").
std::vector<std::string> NamesOf(const SqlFilePtr& file, const std::string& type);

// What shows all of a database: its schema, every row, and that it is whole.
v1::ExecuteSqlRequest ReadAllSql(const SqlFilePtr& file);

// Statements that SQLite would run and an object's database refuses, whatever is in it.
const std::vector<std::string>& RefusedStatements();

// Each is a transaction: an error, with its reason as a client gets it, changes nothing. Results are without the steps
// and without the last rowid, as CanonicalSql leaves them.
absl::Status ModelExecute(const v1::ExecuteSqlRequest& request, SqlFilePtr* file, v1::ExecuteSqlResponse* response);
absl::Status ModelMigrate(const v1::MigrateSchemaRequest& request, SqlFilePtr* file,
                          v1::MigrateSchemaResponse* response);
// The SQL of a batch: whether each of its preconditions that are about SQL holds, in order; and its steps.
absl::Status ModelPreconditions(const v1::ApplyBatchRequest& request, const SqlFilePtr& file,
                                std::vector<bool>* answers);
absl::Status ModelSteps(const v1::ApplyBatchRequest& request, SqlFilePtr* file, v1::ApplyBatchResponse* response);

// Without what depends on how the statement was run, or on what the connection did before.
void CanonicalSql(v1::SqlResult* result);

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_SQL_MODEL_H_
