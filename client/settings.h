// The settings of a connection, each from the first place that has it:
//   1. the option of the command line;
//   2. the context that --context names;
//   3. the environment: HOLDFAST_SERVER, _NAMESPACE, _TLS, _TLS_CA, _TLS_CERT, _TLS_KEY, _TLS_SERVER_NAME, _TOKEN_FILE;
//   4. the context that HOLDFAST_CONTEXT names, or else the current one;
//   5. the default.
// A context that is named on the command line comes before the environment, since whoever names it means all of it. An
// empty variable is as good as none.

#ifndef HOLDFAST_CLIENT_SETTINGS_H_
#define HOLDFAST_CLIENT_SETTINGS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "client/arguments.h"
#include "holdfast/config/v1/client_config.pb.h"

namespace holdfast::client {

// Declares the options of a connection, which set globals->given and globals->context.
void DeclareConnection(Arguments& arguments, GlobalOptions& globals);

// Fills in the server, the namespace, TLS and the token file, from the options that were given, the environment, and
// the file of contexts. INVALID_ARGUMENT names the variable, or the file and the context.
absl::Status ResolveConnection(GlobalOptions& globals);

// Returns the TLS of the settings: it is used if `tls` says so, or if `tls` is absent and another of its settings is
// there.
std::optional<TlsOptions> TlsOf(const config::v1::ClientContext& settings);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SETTINGS_H_
