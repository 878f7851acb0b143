// A failure of SQL is a status whose payload has the kind of failure and SQLite's own code, so that a caller can tell a
// client more than the code of the status does.

#ifndef HOLDFAST_STORAGE_SQL_FAILURE_H_
#define HOLDFAST_STORAGE_SQL_FAILURE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace holdfast::storage::sql {

enum class FailureKind {
  kOther,           // with the code that the status has by itself
  kSqlError,        // INVALID_ARGUMENT: not SQL that is allowed here, or it fails by what it computes
  kConstraint,      // FAILED_PRECONDITION: a constraint does not hold
  kTimeLimit,       // RESOURCE_EXHAUSTED, as all that follow: it took too long
  kResultTooLarge,  // the rows of the results
  kTurnTooLarge,    // the pages that the turn changes
  kDatabaseFull,    // the database would be larger than it may be
  kTempFull,        // temporary files for sorts and intermediate results
  kMemory,          // SQLite's own memory
  kBusy,            // there is too much SQL now; a retry may help
  kStopping,        // the server stops; a retry may help
};

struct Failure {
  FailureKind kind = FailureKind::kOther;
  int sqlite_code = 0;  // extended; 0 where SQLite has not failed itself
  bool operator==(const Failure&) const = default;
};

// Returns a status of the kind's code. The kind must not be kOther.
absl::Status MakeFailure(const Failure& failure, absl::string_view message);
// Returns `status`, which must not be OK, with the failure as its payload.
absl::Status WithFailure(absl::Status status, const Failure& failure);
// Returns the failure of a status; kOther if the status has none.
Failure FailureOf(const absl::Status& status);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_FAILURE_H_
