// Errors on the wire: a gRPC status whose details (grpc-status-details-bin) are a google.rpc.Status with the details
// that actors/wire/errors.h attached.

#ifndef HOLDFAST_SERVICE_CALL_STATUS_H_
#define HOLDFAST_SERVICE_CALL_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "holdfast/v1/types.pb.h"

namespace holdfast::service {

grpc::Status ToGrpc(const absl::Status& status);

// Returns the status with the details that ToGrpc, here or on another node, has put on the wire.
absl::Status FromGrpc(const grpc::Status& status);

// Writes the error as that of an item of a batch or a stream.
void ToItemError(const absl::Status& status, v1::ItemError* error);
// Returns the status of which ToItemError, on another node, has made the error.
absl::Status FromItemError(const v1::ItemError& error);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_STATUS_H_
