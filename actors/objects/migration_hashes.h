// The hashes of the migrations that made an object's SQL schema, one of each version that ran. With them MigrateSchema
// notices a migration that was edited, or put in between others, after the object had passed its version.
//
// The hashes are in the database itself, as the version is, so exports, imports and DeleteAll take them along: table
// _meta_migrations(version INTEGER PRIMARY KEY, hash TEXT NOT NULL), a row for each version that ran. A row of version
// 0, with an empty hash, says that the object has had hashes since its first migration. Without that row nothing is
// known of the versions below the lowest in the table: they ran before there were hashes, or the first list with hashes
// began at a later version. Such a version is accepted, and gets its hash, when a list names it.
//
// Bounds: a call reads and writes a row for each migration that it lists; the table counts in the object's size.

#ifndef HOLDFAST_ACTORS_OBJECTS_MIGRATION_HASHES_H_
#define HOLDFAST_ACTORS_OBJECTS_MIGRATION_HASHES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/wire/sql_wire.h"
#include "storage/sql/connection.h"

namespace holdfast::actors {

struct SqlMigration {
  std::string field;  // the migration's name in the request
  int64_t version = 0;
  std::vector<SqlText> statements;
  bool foreign_keys_off = false;
};

// Returns the XXH3-128, as 32 hexadecimal digits, of the statements, their parameters, and foreign_keys_off, but not of
// the version. Every byte of a statement counts. storage/FORMAT.md says what is hashed.
std::string MigrationHash(const SqlMigration& migration);

// Compares the migrations up to `version` with those that ran, and returns the ones whose hash must be stored although
// they do not run. FAILED_PRECONDITION (SCHEMA_CHANGED) if a migration has changed or never ran, unless
// `accept_changed`: then it is among the ones returned. `migrations` are in ascending order; call it in a transaction.
absl::StatusOr<std::vector<const SqlMigration*>> CompareMigrations(storage::sql::Connection& connection,
                                                                   const std::vector<SqlMigration>& migrations,
                                                                   int64_t version, bool accept_changed);

// Stores the hashes of `migrations` of an object that was at version `before`. First it removes the hashes of versions
// above `before`, which are left over if a client has set the version back. Call it in a transaction.
absl::Status StoreMigrationHashes(storage::sql::Connection& connection,
                                  const std::vector<const SqlMigration*>& migrations, int64_t before);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_MIGRATION_HASHES_H_
