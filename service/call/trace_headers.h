// The metadata of a call that tell of its trace, out of gRPC's context.

#ifndef HOLDFAST_SERVICE_CALL_TRACE_HEADERS_H_
#define HOLDFAST_SERVICE_CALL_TRACE_HEADERS_H_

#include <grpcpp/server_context.h>

#include "service/traces/trace_context.h"

namespace holdfast::service {

// The returned texts are valid as long as the call.
TraceHeaders ReadTraceHeaders(const grpc::ServerContext& context);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_TRACE_HEADERS_H_
