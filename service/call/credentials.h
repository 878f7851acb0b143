// The credentials of a call, out of gRPC's context.

#ifndef HOLDFAST_SERVICE_CALL_CREDENTIALS_H_
#define HOLDFAST_SERVICE_CALL_CREDENTIALS_H_

#include <grpcpp/server_context.h>

#include "absl/strings/string_view.h"
#include "service/access/access.h"
#include "service/call/http_origin.h"

namespace holdfast::service {

// Only a URI has this, so a DNS name or a common name with it would pass for one.
inline constexpr absl::string_view kUriMark = "://";

// Returns the name in the client's certificate, which TLS has checked: its first URI, else its first DNS name, else its
// common name; and the values of "authorization". Those are valid as long as the call. For a call that came in over
// HTTP the certificate is that of `origin`, and no node of the cluster has sent it on; otherwise `origin` is null.
Credentials ReadCredentials(const grpc::ServerContext& context, const HttpOrigin* origin);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_CREDENTIALS_H_
