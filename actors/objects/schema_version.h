// The version of an object's SQL schema, where the pattern of migrations puts it: in the database itself, table
// _meta(key TEXT PRIMARY KEY, value TEXT), row "schema_version". SQL can read and write it too.

#ifndef HOLDFAST_ACTORS_OBJECTS_SCHEMA_VERSION_H_
#define HOLDFAST_ACTORS_OBJECTS_SCHEMA_VERSION_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/objects/migration_hashes.h"
#include "storage/sql/connection.h"

namespace holdfast::actors {

// Within a transaction. 0 where there is no such row. SQL_ERROR where it is no number.
absl::StatusOr<int64_t> ReadSchemaVersion(storage::sql::Connection& connection);

struct SchemaVersions {
  int64_t before;
  int64_t after;
};

// Within a transaction: runs those that are newer than the schema, which are in ascending order, and stores the last
// version and the hashes of all. FAILED_PRECONDITION where the schema is newer than all of them (SCHEMA_NEWER), or
// where one that is not newer than the schema is not one that ran (SCHEMA_CHANGED), unless `accept_changed`.
//
// One with foreign_keys_off is a transaction of SQLite's own, in which no foreign key is looked at until its end; then
// all of the database must hold (SQL_CONSTRAINT). Constraints that others before it have deferred must hold when it
// begins.
absl::StatusOr<SchemaVersions> MigrateSql(storage::sql::Connection& connection,
                                          const std::vector<SqlMigration>& migrations, bool accept_changed);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_SCHEMA_VERSION_H_
