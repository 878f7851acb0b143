// The model of an object's SQL database: plain SQLite in memory, with the same limits.

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

// The state of a database at one moment.
class SqlFile {
 public:
  explicit SqlFile(std::string bytes) : bytes_(std::move(bytes)) {}

  const std::string& bytes() const { return bytes_; }
  int64_t page_count() const { return static_cast<int64_t>(bytes_.size() / storage::sql::kPageBytes); }
  // A text that is equal for two databases that no query tells apart.
  const std::string& Contents() const;

 private:
  const std::string bytes_;
  mutable std::optional<std::string> contents_;
};

// Shared, since a world is copied often. Null is a database that was never written.
using SqlFilePtr = std::shared_ptr<const SqlFile>;

bool SameSql(const SqlFilePtr& a, const SqlFilePtr& b);

struct SqlTable {
  std::string name;
  std::vector<std::string> columns;
};
// Returns tables and views without SQLite's own.
std::vector<SqlTable> TablesOf(const SqlFilePtr& file);
// Returns names of this type ("index", "view", "trigger").
std::vector<std::string> NamesOf(const SqlFilePtr& file, const std::string& type);

// Returns a request that reads a whole database: its schema, every row, and the result of an integrity check.
v1::ExecuteSqlRequest ReadAllSql(const SqlFilePtr& file);

// Statements that SQLite would run and an object's database refuses, whatever is in it.
const std::vector<std::string>& RefusedStatements();

// Each call is a transaction: an error, with the reason that a client gets, changes nothing. Results are in the form of
// CanonicalSql, without the steps and the last rowid.
absl::Status ModelExecute(const v1::ExecuteSqlRequest& request, SqlFilePtr* file, v1::ExecuteSqlResponse* response);
absl::Status ModelMigrate(const v1::MigrateSchemaRequest& request, SqlFilePtr* file,
                          v1::MigrateSchemaResponse* response);
// Run the SQL of a batch. ModelPreconditions returns whether each precondition about SQL holds, in order; ModelSteps
// runs the steps.
absl::Status ModelPreconditions(const v1::ApplyBatchRequest& request, const SqlFilePtr& file,
                                std::vector<bool>* answers);
absl::Status ModelSteps(const v1::ApplyBatchRequest& request, SqlFilePtr* file, v1::ApplyBatchResponse* response);

// Removes everything that depends on how the statement was run, or on earlier work of the connection.
void CanonicalSql(v1::SqlResult* result);

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_SQL_MODEL_H_
