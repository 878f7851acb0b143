// Which migrations an object's SQL schema was made by: a hash of each version that ran, so that one that was edited
// afterwards, or put in between afterwards, is noticed instead of being passed over.
//
// They are in the database itself, as the version is, so exports, imports and DeleteAll take them along: table
// _meta_migrations(version INTEGER PRIMARY KEY, hash TEXT NOT NULL), a row for each version that ran. A row of version
// 0, with an empty hash, says that the object has had hashes since its first migration. Without that row nothing is
// known of the versions below the lowest in the table: they ran before there were hashes, or a list that began later
// was the first to be seen. Those are taken as they are when they are listed.
//
// Bounds: a call reads and writes a row for each migration that it lists; the table counts in the object's size.

#ifndef HOLDFAST_ACTORS_OBJECTS_MIGRATION_HASHES_H_
#define HOLDFAST_ACTORS_OBJECTS_MIGRATION_HASHES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/sql_wire.h"
#include "storage/sql/connection.h"

namespace holdfast::actors {

struct SqlMigration {
  std::string field;  // its name in the request
  int64_t version = 0;
  std::vector<SqlText> statements;
  bool foreign_keys_off = false;
};

// XXH3-128, as 32 hexadecimal digits, of the statements, their parameters, and foreign_keys_off; not of the version.
// Every byte of a statement counts. storage/FORMAT.md says what is hashed.
std::string MigrationHash(const SqlMigration& migration);

// Within a transaction. Compares those of the migrations, which are in ascending order, that are not above `version`
// with those that ran, and returns the ones whose hash is to be stored though they are not run. FAILED_PRECONDITION
// (SCHEMA_CHANGED) where one has changed or never ran, unless `accept_changed`: then it is among the ones returned.
absl::StatusOr<std::vector<const SqlMigration*>> CompareMigrations(storage::sql::Connection& connection,
                                                                   const std::vector<SqlMigration>& migrations,
                                                                   int64_t version, bool accept_changed);

// Within a transaction. Stores the hashes of `migrations`, of an object that was at version `before`; those of versions
// above `before` that are there, which somebody has undone by setting the version back, go first.
absl::Status StoreMigrationHashes(storage::sql::Connection& connection,
                                  const std::vector<const SqlMigration*>& migrations, int64_t before);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_MIGRATION_HASHES_H_
