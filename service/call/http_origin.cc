#include "service/call/http_origin.h"

#include <openssl/crypto.h>

#include <iterator>
#include <optional>

#include "absl/strings/match.h"

namespace holdfast::service {
namespace {

// The addresses of connections of the network, as gRPC spells them. A channel inside the process has none of these.
constexpr absl::string_view kNetworkPrefixes[] = {"ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:"};

// Returns the value of metadata that is there once.
std::optional<absl::string_view> ValueOf(const grpc::ServerContext& context, const char* key) {
  const auto [begin, end] = context.client_metadata().equal_range(key);
  if (begin == end || std::next(begin) != end) return std::nullopt;
  return absl::string_view(begin->second.data(), begin->second.size());
}

}  // namespace

std::unique_ptr<HttpOrigin> HttpOriginOf(const grpc::ServerContext& context, absl::string_view grpc_peer,
                                         absl::string_view secret) {
  if (secret.empty()) return nullptr;
  for (const absl::string_view prefix : kNetworkPrefixes) {
    if (absl::StartsWith(grpc_peer, prefix)) return nullptr;
  }
  const auto given = ValueOf(context, kHttpSecretKey);
  if (!given || given->size() != secret.size() || CRYPTO_memcmp(given->data(), secret.data(), secret.size()) != 0) {
    return nullptr;
  }
  auto origin = std::make_unique<HttpOrigin>();
  origin->peer = std::string(ValueOf(context, kHttpPeerKey).value_or(""));
  origin->certificate = std::string(ValueOf(context, kHttpCertificateKey).value_or(""));
  return origin;
}

}  // namespace holdfast::service
