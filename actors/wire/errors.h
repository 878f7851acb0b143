// The errors that clients see: an absl::Status whose payloads are google.rpc details, keyed by their type URLs, so that
// the service puts them on the wire as they are.
//
// Each error has an ErrorInfo with a reason of holdfast/v1/errors.proto and the domain "holdfast", and a RetryInfo if
// and only if a retry can help.

#ifndef HOLDFAST_ACTORS_WIRE_ERRORS_H_
#define HOLDFAST_ACTORS_WIRE_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "holdfast/v1/errors.pb.h"

namespace holdfast::actors {

// Messages are cut at this many bytes, so that an error stays below the bounds of proxies on metadata.
inline constexpr size_t kErrorMessageBytesMax = 1024;

// Returns a status with an ErrorInfo.
absl::Status Error(absl::StatusCode code, v1::ErrorReason reason, absl::string_view message);
// Returns a status with an ErrorInfo that has SQLite's extended result code in its metadata; 0: no code.
absl::Status SqlError(absl::StatusCode code, v1::ErrorReason reason, int sqlite_code, absl::string_view message);
// INVALID_ARGUMENT with the field as clients write it ("check.window") in a BadRequest.
absl::Status InvalidField(absl::string_view field, absl::string_view problem);
absl::Status NotFound(absl::string_view message);
// RESOURCE_EXHAUSTED with a QuotaFailure of the namespace, whose `setting` is reached, and RetryInfo.
absl::Status NamespaceQuota(absl::string_view ns, absl::string_view setting, absl::Duration after);
// PERMISSION_DENIED that says what is missing, in the message and in the metadata of the ErrorInfo. `ns` and
// `object_class` are "" where the right would be to any.
absl::Status PermissionDenied(absl::string_view principal, absl::string_view verb, absl::string_view ns,
                              absl::string_view object_class);
// Returns an error for which a retry after the time `after` can help.
absl::Status Retryable(absl::StatusCode code, v1::ErrorReason reason, absl::string_view message, absl::Duration after);
// RESOURCE_EXHAUSTED with a QuotaFailure; no retry helps until something is removed.
absl::Status QuotaExceeded(absl::string_view subject, absl::string_view message);
// UNAVAILABLE: the object's instance was discarded during the request, of which nothing happened.
absl::Status ObjectReset(absl::string_view why);
// DEADLINE_EXCEEDED: the deadline passed while the request waited for its turn, which did not begin.
absl::Status DeadlinePassed();
// UNAVAILABLE: the object's shard is not here, or not any more; nothing happened.
absl::Status WrongOwner();
// UNAVAILABLE, with the same reason: another server may own the object by now, so what was read here is not told. What
// the request wrote has not happened; a handler that commits in parts may have committed some.
absl::Status LeaseEnded();
// UNAVAILABLE for everyone who waits for a commit that ended with `status`: OUTCOME_UNKNOWN, since the request may have
// happened or not; OBJECT_RESET if the store refused the commit (IsNotOwner), since nothing happened then.
absl::Status CommitFailed(const absl::Status& status);
// DATA_LOSS of a list: items may be missing between the previous page and the page of `next_page_token`. The token is
// in the metadata under that name; "": nothing behind the damage can be read.
absl::Status ListDamaged(absl::string_view what, absl::string_view next_page_token);
// Turns an error without a reason into one for clients: DATA_LOSS gets a reason, NotOwner() is WrongOwner(), and the
// texts of DATA_LOSS and INTERNAL go to the log only. Other errors stay as they are.
absl::Status FromStorage(const absl::Status& status);

// Returns the reason in a status, or ERROR_REASON_UNSPECIFIED.
v1::ErrorReason ReasonOf(const absl::Status& status);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_ERRORS_H_
