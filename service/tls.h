// TLS at the listener and between nodes, by gRPC's own credentials with its watcher of files.
//
// The watcher reads the files again every second, and what it finds holds for the connections that are made from then
// on. It does not check whether certificate and key belong together, so a start does that here, with messages that name
// the setting and the file.
//
// Threading: one call at the start.

#ifndef HOLDFAST_SERVICE_TLS_H_
#define HOLDFAST_SERVICE_TLS_H_

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "holdfast/config/v1/config.pb.h"

namespace holdfast::service {

// Returns an error that names the setting if these can't be; opens no file.
absl::Status CheckTlsSettings(const config::v1::Config& config);

// Returns the credentials of the listener; without `tls` they are insecure. INVALID_ARGUMENT or NOT_FOUND names the
// setting and the file, and says what is wrong with it.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ListenerCredentials(const config::v1::Config& config);

// Returns the credentials of the connections to other nodes: TLS if there is postgres.cluster.ca_file, with this
// server's own certificate.
std::shared_ptr<grpc::ChannelCredentials> PeerCredentials(const config::v1::Config& config);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_TLS_H_
