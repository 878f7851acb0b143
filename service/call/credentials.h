// The credentials of a call, out of gRPC's context.

#ifndef HOLDFAST_SERVICE_CALL_CREDENTIALS_H_
#define HOLDFAST_SERVICE_CALL_CREDENTIALS_H_

#include <grpcpp/server_context.h>

#include "service/access/access.h"

namespace holdfast::service {

// Returns the name in the client's certificate, which TLS has checked: its first URI, else its first DNS name, else its
// common name; and the values of "authorization". Those are valid as long as the call.
Credentials ReadCredentials(const grpc::ServerContext& context);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_CREDENTIALS_H_
