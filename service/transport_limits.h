#ifndef HOLDFAST_SERVICE_TRANSPORT_LIMITS_H_
#define HOLDFAST_SERVICE_TRANSPORT_LIMITS_H_

#include <grpcpp/server_builder.h>

#include "holdfast/config/v1/config.pb.h"

namespace holdfast::service {

// Sets what gRPC allows a client: the size of its messages and headers, its streams, handshakes and pings. The bounds
// of headers and streams hold from the first byte of a connection. Compressed messages are refused, since gRPC would
// unpack them whole before it looks at their size.
//
// Threading: call it before the server of the builder starts, and on one thread at a time: the bounds before a client
// has acknowledged any are of the whole process.
void SetTransportLimits(const config::v1::ServerConfig& limits, grpc::ServerBuilder* builder);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_TRANSPORT_LIMITS_H_
