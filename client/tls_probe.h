// Finds out why a TLS connection failed. gRPC says only that it did ("certificate verify failed", "Socket closed"), so
// the tool connects once more by itself, looks, and hangs up. Nothing is sent over this connection and nothing that it
// finds is trusted: it only words an error.

#ifndef HOLDFAST_CLIENT_TLS_PROBE_H_
#define HOLDFAST_CLIENT_TLS_PROBE_H_

#include <optional>
#include <string>

#include "client/tls.h"

namespace holdfast::client {

// Returns a sentence; empty if nothing is found out, e.g. because the server can't be reached. `tls` is that of the
// connection that failed; nullopt: it was not encrypted, and the question is whether the server wants TLS. It takes a
// few seconds at most.
std::string WhyTlsFails(const std::string& address, const std::optional<TlsOptions>& tls);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_TLS_PROBE_H_
