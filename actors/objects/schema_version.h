// The version of an object's SQL schema. It is in the database itself, where the pattern of migrations puts it: table
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

// Returns the version; 0 if there is no such row. SQL_ERROR if the value is not a number, or negative. Call it in a
// transaction.
absl::StatusOr<int64_t> ReadSchemaVersion(storage::sql::Connection& connection);

struct SchemaVersions {
  int64_t before;
  int64_t after;
};

// Runs the migrations that are newer than the schema, and stores the last version and the hashes of all. `migrations`
// are in ascending order; call it in a transaction. FAILED_PRECONDITION if the schema is newer than all of them
// (SCHEMA_NEWER), or, unless `accept_changed`, if one that is not newer than the schema has changed or never ran
// (SCHEMA_CHANGED).
//
// A migration with foreign_keys_off is a transaction of SQLite's own. It checks no foreign key until its end, when the
// whole database must hold (SQL_CONSTRAINT). Constraints that earlier migrations have deferred must hold when it
// begins.
absl::StatusOr<SchemaVersions> MigrateSql(storage::sql::Connection& connection,
                                          const std::vector<SqlMigration>& migrations, bool accept_changed);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_SCHEMA_VERSION_H_
