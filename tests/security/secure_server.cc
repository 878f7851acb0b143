#include "tests/security/secure_server.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/credentials.h"

namespace holdfast::testing {

SecureServer::SecureServer(const Options& options) : options_(options) {
  const Certificate server = authority_.Issue({.names = "DNS:localhost"});
  Replace("server.crt", server.certificate);
  Replace("server.key", server.key);
  Replace("clients.crt", client_authority_.pem());
  if (!options.tokens.empty()) Replace("tokens", options.tokens);
  if (!options.keys.empty()) Replace("keys.json", options.keys);
  process_ = std::make_unique<ServerProcess>(PathOf("data"), Config(options.rules));
}

std::string SecureServer::Config(const std::string& rules) const {
  std::string text = absl::StrCat("tls { certificate_file: '", PathOf("server.crt"), "' private_key_file: '",
                                  PathOf("server.key"), "'");
  if (options_.client_certificates) absl::StrAppend(&text, " client_ca_file: '", PathOf("clients.crt"), "'");
  if (options_.require_client_certificate) absl::StrAppend(&text, " require_client_certificate: true");
  absl::StrAppend(&text, " }\nauthentication {");
  if (!options_.tokens.empty()) absl::StrAppend(&text, " token_file: '", PathOf("tokens"), "'");
  if (!options_.keys.empty()) {
    absl::StrAppend(&text, " jwt { ", options_.authentication, " jwks_file: '", PathOf("keys.json"), "' }");
  }
  absl::StrAppend(&text, " }\n", rules);
  return text;
}

void SecureServer::Replace(const std::string& name, const std::string& text) const {
  const std::string beside = PathOf(name + ".new");
  std::ofstream(beside) << text;
  std::filesystem::rename(beside, PathOf(name));
}

void SecureServer::SetRules(const std::string& rules) const { Replace("data.textproto", Config(rules)); }

std::shared_ptr<grpc::Channel> SecureServer::Channel(const std::optional<Certificate>& client) const {
  return ChannelWith(authority_.pem(), client);
}

std::shared_ptr<grpc::Channel> SecureServer::ChannelWith(const std::string& authority,
                                                         const std::optional<Certificate>& client,
                                                         const std::string& server_name) const {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = authority;
  if (client) {
    options.pem_cert_chain = client->certificate;
    options.pem_private_key = client->key;
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetSslTargetNameOverride(server_name);
  return grpc::CreateCustomChannel(process_->address(), grpc::SslCredentials(options), arguments);
}

void SetToken(const std::string& token, grpc::ClientContext* context) {
  context->AddMetadata("authorization", absl::StrCat("Bearer ", token));
}

std::string TokenLine(const std::string& name, const std::string& token, const std::string& expires) {
  return absl::StrCat(name, " ", absl::BytesToHexString(TokenHash(token)), " ", expires, "\n");
}

}  // namespace holdfast::testing
