// What SQL has failed with: a status whose payload says the kind of failure and SQLite's own code, so that a caller can
// tell a client more than the code of the status does.

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
  kResultTooLarge,  // the rows that it answers
  kTurnTooLarge,    // the pages that the turn changes
  kDatabaseFull,    // the database would be larger than it may be
  kTempFull,        // temporary files: what is sorted, and results in between
  kMemory,          // SQLite's own memory
  kBusy,            // there is too much SQL now; a retry may help
  kStopping,        // the server stops; so too
};

struct Failure {
  FailureKind kind = FailureKind::kOther;
  int sqlite_code = 0;  // extended; 0 where SQLite has not failed itself
  bool operator==(const Failure&) const = default;
};

// The status that the kind has, not of kOther.
absl::Status MakeFailure(const Failure& failure, absl::string_view message);
// `status`, which must not be OK, with what it is.
absl::Status WithFailure(absl::Status status, const Failure& failure);
// Of a status without: kOther.
Failure FailureOf(const absl::Status& status);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_FAILURE_H_
