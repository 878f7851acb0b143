// All databases of a cluster together: one, or several that share its shards (database_part.h).
//
// The tables of each say how many there are, which of them it is, and a random id that all have in common. So one that
// is missing, at another place in the configuration, or of another cluster is refused before anything is done in any.
//
// Errors name the database by its setting, postgres.database[N], where there are several. Blocking.

#ifndef HOLDFAST_STORAGE_POSTGRES_DATABASES_H_
#define HOLDFAST_STORAGE_POSTGRES_DATABASES_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/postgres/postgres_store.h"

namespace holdfast::storage {

// In all of these, database i has the part i of its options.

// Makes the tables of a cluster in its databases, if there are none. If that was cut off, it can be begun again, until
// the first process has joined. Errors: FAILED_PRECONDITION if there are tables that this server does not know, of
// another cluster or of another part of it; if tables are missing in some database of a cluster that was in use; if the
// settings of a server may lose commits. UNAVAILABLE if one can't be reached.
absl::Status InitDatabases(absl::Span<const PostgresOptions> databases);

// Opens the store of each database, as one new member of the cluster, as OpenPostgresStore does: all or none. Errors:
// those of OpenPostgresStore; FAILED_PRECONDITION if a database is of another cluster than the first.
absl::StatusOr<std::vector<std::unique_ptr<PostgresStore>>> OpenDatabases(absl::Span<const PostgresOptions> databases);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_POSTGRES_DATABASES_H_
