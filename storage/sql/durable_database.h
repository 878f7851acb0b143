// Runs SQL that only reads on the durable state of an object's database at one moment. The turns of the object go on
// meanwhile, and the SQL does not wait for them.
//
// A cursor of the store keeps that moment. The SQL therefore sees no write that is not durable, and files of the store
// are kept on the disk for as long as the SQL runs, which limits.time_max and the workers bound.

#ifndef HOLDFAST_STORAGE_SQL_DURABLE_DATABASE_H_
#define HOLDFAST_STORAGE_SQL_DURABLE_DATABASE_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/sql/connection.h"
#include "storage/sql/database.h"
#include "storage/store/store.h"

namespace holdfast::storage::sql {

// Runs `body` in a transaction on a thread for SQL, then `done` with its outcome on the executor. Call this on the
// executor; `done` never runs before this returns. `ns` is the object's namespace, by which the threads are shared. An
// object without a database has an empty one. `store` and `environment` outlive the SQL.
//
// Errors: those of `body` and of the connection (connection.h), kBusy and kStopping (failure.h); INTERNAL if the family
// of the location was dropped meanwhile, or if `body` writes.
void ReadDurable(const Environment* environment, Store* store, const Location& location, absl::string_view ns,
                 absl::AnyInvocable<absl::Status(Connection&)> body,
                 absl::AnyInvocable<void(const absl::Status&)> done);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_DURABLE_DATABASE_H_
