// A real holdfastd with TLS and access control, for tests: its certificates, its token file and its configuration,
// which a test may replace while it runs.

#ifndef HOLDFAST_TESTS_SECURITY_SECURE_SERVER_H_
#define HOLDFAST_TESTS_SECURITY_SECURE_SERVER_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "tests/integration/server_process.h"
#include "tests/shared/certificates.h"

namespace holdfast::testing {

class SecureServer {
 public:
  struct Options {
    std::string rules = {};           // of `authorization`, and other settings
    std::string tokens = {};          // the token file; empty: there is none
    std::string authentication = {};  // more of `authentication`
    std::string keys = {};            // a file "keys.json" beside the configuration
    bool client_certificates = false;
    bool require_client_certificate = false;
  };

  explicit SecureServer(const Options& options);

  // Replaces a file as an operator does: the new one is written beside it and renamed.
  void Replace(const std::string& name, const std::string& text) const;
  // Replaces the configuration by one with these rules.
  void SetRules(const std::string& rules) const;
  std::string PathOf(const std::string& name) const { return directory_.path() + "/" + name; }

  // Returns a new connection of a client that knows the authority of the server.
  std::shared_ptr<grpc::Channel> Channel(const std::optional<Certificate>& client = std::nullopt) const;
  // Does the same for a client that has this authority, and expects this name.
  std::shared_ptr<grpc::Channel> ChannelWith(const std::string& authority, const std::optional<Certificate>& client,
                                             const std::string& server_name = "localhost") const;

  const CertificateAuthority& authority() const { return authority_; }
  const CertificateAuthority& client_authority() const { return client_authority_; }
  ServerProcess& process() { return *process_; }

 private:
  std::string Config(const std::string& rules) const;

  const Options options_;
  TemporaryDirectory directory_;
  const CertificateAuthority authority_{"server authority"};
  const CertificateAuthority client_authority_{"client authority"};
  std::unique_ptr<ServerProcess> process_;
};

// Puts a bearer token into the metadata of a call.
void SetToken(const std::string& token, grpc::ClientContext* context);

// Returns the line of a token file.
std::string TokenLine(const std::string& name, const std::string& token, const std::string& expires = "");

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_SECURITY_SECURE_SERVER_H_
