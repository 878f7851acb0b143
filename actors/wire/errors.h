// The errors that clients see: an absl::Status whose payloads are google.rpc details, keyed by their type URLs, so that
// the service puts them on the wire as they are.
//
// Each has an ErrorInfo with a reason of holdfast/v1/errors.proto and the domain "holdfast"; RetryInfo if and only if a
// retry can help.

#ifndef HOLDFAST_ACTORS_WIRE_ERRORS_H_
#define HOLDFAST_ACTORS_WIRE_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "holdfast/v1/errors.pb.h"

namespace holdfast::actors {

// Messages are cut at so many bytes; what a client reads through proxies stays below their bounds on metadata.
inline constexpr size_t kErrorMessageBytesMax = 1024;

// A status with an ErrorInfo.
absl::Status Error(absl::StatusCode code, v1::ErrorReason reason, absl::string_view message);
// The same with SQLite's extended result code in its metadata; 0: there is none.
absl::Status SqlError(absl::StatusCode code, v1::ErrorReason reason, int sqlite_code, absl::string_view message);
// INVALID_ARGUMENT with the field as clients write it ("check.window") in a BadRequest.
absl::Status InvalidField(absl::string_view field, absl::string_view problem);
absl::Status NotFound(absl::string_view message);
// An error that a retry after that time may not meet again.
absl::Status Retryable(absl::StatusCode code, v1::ErrorReason reason, absl::string_view message, absl::Duration after);
// RESOURCE_EXHAUSTED with a QuotaFailure; no retry helps until something is removed.
absl::Status QuotaExceeded(absl::string_view subject, absl::string_view message);
// UNAVAILABLE: the object was unloaded under the request; nothing of it happened.
absl::Status ObjectReset(absl::string_view why);
// UNAVAILABLE: nobody knows whether it happened.
absl::Status OutcomeUnknown();
// DATA_LOSS of a list: items may be missing between the page before and the one with this token, which is in the
// metadata as next_page_token; "": nothing behind can be read.
absl::Status ListDamaged(absl::string_view what, absl::string_view next_page_token);
// What an error that has no reason yet is to a client: DATA_LOSS gets one, INTERNAL keeps its text to the log.
absl::Status FromStorage(const absl::Status& status);

// The reason in a status, or ERROR_REASON_UNSPECIFIED.
v1::ErrorReason ReasonOf(const absl::Status& status);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_ERRORS_H_
