// Errors of a call as absl::Status.
//
// The code and the message are the server's. The google.rpc details of the trailer `grpc-status-details-bin` become
// payloads of the status, type URL -> serialised message; of two details of one type the last is kept. DetailOf reads
// them back. All functions here may be called from any thread.

#ifndef HOLDFAST_CLIENT_STATUS_H_
#define HOLDFAST_CLIENT_STATUS_H_

#include <grpcpp/support/status.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "holdfast/v1/types.pb.h"

namespace holdfast::client {

// Converts a gRPC status; OK stays OK. Details that can't be parsed are left out; the code and the message stay.
absl::Status FromGrpcStatus(const grpc::Status& status);

// Converts the error of one item of a batch or a stream into the error that a call of its own would have returned.
absl::Status FromItemError(const v1::ItemError& error);

// Returns the detail of this type, e.g. DetailOf<google::rpc::BadRequest>(status); nullopt if there is none.
template <class Detail>
std::optional<Detail> DetailOf(const absl::Status& status) {
  const auto payload = status.GetPayload(absl::StrCat("type.googleapis.com/", Detail::descriptor()->full_name()));
  Detail detail;
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) return std::nullopt;
  return detail;
}

// Returns the ErrorReason without its prefix, e.g. "MAILBOX_FULL"; empty if the error is not Holdfast's own.
std::string ReasonOf(const absl::Status& status);

// Returns NOT_FOUND with that reason, as the server does. A client uses it when a reply lacks something.
absl::Status NotFound(absl::string_view message);

// Returns the wait that RetryInfo asks for, never negative; nullopt if there is no RetryInfo.
std::optional<absl::Duration> RetryDelayOf(const absl::Status& status);

// Returns whether a mutation that failed with this error may have happened all the same. Either the server says so
// (OUTCOME_UNKNOWN), or the error is not Holdfast's own and has a code with which connections break, deadlines pass, or
// replies that are too large for the client are dropped. With the same request_id the mutation may be sent again while
// the server keeps records (types.proto).
bool OutcomeUnknown(const absl::Status& status);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_STATUS_H_
