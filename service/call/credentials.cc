#include "service/call/credentials.h"

#include <grpc/grpc_security_constants.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "service/call/placement.h"

namespace holdfast::service {
namespace {

constexpr char kAuthorization[] = "authorization";

absl::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

std::string CertificateName(const grpc::AuthContext& context) {
  for (const char* property : {GRPC_PEER_URI_PROPERTY_NAME, GRPC_PEER_DNS_PROPERTY_NAME, GRPC_X509_CN_PROPERTY_NAME}) {
    const std::vector<grpc::string_ref> values = context.FindPropertyValues(property);
    if (values.empty()) continue;
    const absl::string_view name = View(values.front());
    const bool is_uri = absl::string_view(property) == GRPC_PEER_URI_PROPERTY_NAME;
    return is_uri || !absl::StrContains(name, kUriMark) ? std::string(name) : "";
  }
  return "";
}

std::vector<absl::string_view> ValuesOf(const grpc::ServerContext& context, const char* key) {
  std::vector<absl::string_view> values;
  const auto [begin, end] = context.client_metadata().equal_range(key);
  for (auto it = begin; it != end; ++it) values.push_back(View(it->second));
  return values;
}

}  // namespace

Credentials ReadCredentials(const grpc::ServerContext& context, const HttpOrigin* origin) {
  Credentials credentials;
  if (origin != nullptr) {
    credentials.certificate = origin->certificate;
    credentials.authorization = ValuesOf(context, kAuthorization);
    return credentials;
  }
  const std::shared_ptr<const grpc::AuthContext> certificate = context.auth_context();
  if (certificate != nullptr) credentials.certificate = CertificateName(*certificate);
  credentials.authorization = ValuesOf(context, kAuthorization);
  credentials.forwarded = ValuesOf(context, kForwardedKey);
  return credentials;
}

}  // namespace holdfast::service
