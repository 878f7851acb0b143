// The client of a call that came in over HTTP.
//
// The HTTP port (service/http) makes its calls on a channel inside the process, where gRPC knows neither an address nor
// a certificate. It tells both in metadata, and proves with a secret of this process that it is the one who tells. A
// client of the gRPC port can't pretend to be it: its calls have an address of their own, and then nothing here is
// looked at; and it does not know the secret.
//
// Threading: any thread.

#ifndef HOLDFAST_SERVICE_CALL_HTTP_ORIGIN_H_
#define HOLDFAST_SERVICE_CALL_HTTP_ORIGIN_H_

#include <grpcpp/server_context.h>

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::service {

// The metadata of a call that came in over HTTP. The name in a certificate may have any bytes, so its key ends in -bin.
inline constexpr char kHttpSecretKey[] = "holdfast-http-secret";
inline constexpr char kHttpPeerKey[] = "holdfast-http-peer";
inline constexpr char kHttpCertificateKey[] = "holdfast-http-certificate-bin";

struct HttpOrigin {
  // The address of the client, as gRPC spells it: "ipv4:127.0.0.1:1234".
  std::string peer;
  // The name in the client's certificate, which TLS has checked; "" without one.
  std::string certificate;
};

// Returns the origin of a call whose connection, as gRPC knows it, is `grpc_peer`; null for a call that did not come in
// over HTTP. `secret` is that of this process; "" without an HTTP port.
std::unique_ptr<HttpOrigin> HttpOriginOf(const grpc::ServerContext& context, absl::string_view grpc_peer,
                                         absl::string_view secret);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_HTTP_ORIGIN_H_
