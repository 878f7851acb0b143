// TLS of a client: what it trusts, who it is, and what went wrong in words.

#ifndef HOLDFAST_CLIENT_TLS_H_
#define HOLDFAST_CLIENT_TLS_H_

#include <grpcpp/security/credentials.h>
#include <openssl/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace holdfast::client {

// Files are PEM, and are read when the client is made: after a change, make a new client.
struct TlsOptions {
  // The authorities that may sign the server's certificate; empty: those of the system.
  std::string ca_file;
  // The client's own certificate, with the certificates between it and its authority, and its key. Both or neither.
  std::string certificate_file;
  std::string key_file;
  // The name that the server's certificate must have; empty: the host of the address.
  std::string server_name;
};

// The texts of the files of TlsOptions.
struct TlsFiles {
  std::string ca;
  std::string certificate;
  std::string key;
};

// Reads and checks the files. INVALID_ARGUMENT names the file: it can't be read; it has no certificate or no key; the
// client's certificate is not valid at `now`; the key is encrypted, or is another certificate's.
absl::StatusOr<TlsFiles> ReadTlsFiles(const TlsOptions& options, absl::Time now);

// Returns a time of a certificate, e.g. 2027-01-01T00:00:00Z.
std::string TimeText(const ASN1_TIME* time);

std::shared_ptr<grpc::ChannelCredentials> TlsCredentials(const TlsFiles& files);

// Makes FAILED_PRECONDITION with a sentence of an error of gRPC that says that the server is not to be trusted, or
// speaks no TLS: to send the call again would not help, and no call was sent. Other errors stay as they are.
absl::Status ExplainTlsFailure(const absl::Status& failure, const TlsOptions& options, const std::string& address);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_TLS_H_
