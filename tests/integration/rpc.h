// Shorthands for calls in tests: one request in, the reply or the status out.

#ifndef HOLDFAST_TESTS_INTEGRATION_RPC_H_
#define HOLDFAST_TESTS_INTEGRATION_RPC_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace holdfast::testing {

// The reply of a call, and its status.
template <typename Response>
struct Reply {
  grpc::Status status;
  Response response;

  bool ok() const { return status.ok(); }
  const Response* operator->() const { return &response; }
};

// Calls `method` of a generated stub: Invoke(stub, &Stub::Increment, request).
template <typename Stub, typename Base, typename Request, typename Response>
Reply<Response> Invoke(Stub& stub, grpc::Status (Base::*method)(grpc::ClientContext*, const Request&, Response*),
                       const Request& request, std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  Reply<Response> reply;
  reply.status = (stub.*method)(&context, request, &reply.response);
  return reply;
}

// Returns the detail of this type in a status, or an empty one.
template <typename Detail>
Detail DetailOf(const grpc::Status& status) {
  google::rpc::Status wire;
  Detail detail;
  if (!wire.ParseFromString(status.error_details())) return detail;
  for (const auto& any : wire.details()) {
    if (any.Is<Detail>()) any.UnpackTo(&detail);
  }
  return detail;
}

inline std::string ReasonOf(const grpc::Status& status) { return DetailOf<google::rpc::ErrorInfo>(status).reason(); }

inline std::string FieldOf(const grpc::Status& status) {
  const auto bad_request = DetailOf<google::rpc::BadRequest>(status);
  return bad_request.field_violations().empty() ? "" : bad_request.field_violations(0).field();
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_INTEGRATION_RPC_H_
