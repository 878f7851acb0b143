#include "service/access/failed_checks.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "absl/strings/strip.h"

namespace holdfast::service {
namespace {

// An entry is small, whatever a reason quotes.
constexpr size_t kReasonBytesMax = 200;
// The bytes of an IPv6 address that are compared.
constexpr size_t kPrefixBytes = 8;

}  // namespace

std::optional<std::string> FailedChecks::Find(const std::string& key) {
  MutexLock lock(&mutex_);
  const auto found = failed_.find(key);
  if (found == failed_.end()) return std::nullopt;
  return found->second;
}

void FailedChecks::Remember(const std::string& key, absl::string_view why) {
  MutexLock lock(&mutex_);
  if (failed_.size() >= kFailedMax) failed_.clear();
  failed_[key] = std::string(why.substr(0, kReasonBytesMax));
}

bool FailedChecks::MayCheck(absl::string_view peer, absl::Time now) {
  MutexLock lock(&mutex_);
  return CountOf(peer, now) < per_second_max_;
}

void FailedChecks::Count(absl::string_view peer, absl::Time now) {
  MutexLock lock(&mutex_);
  ++CountOf(peer, now);
}

int64_t& FailedChecks::CountOf(absl::string_view peer, absl::Time now) {
  if (const int64_t second = absl::ToUnixSeconds(now); second != second_) {
    second_ = second;
    counts_.clear();
    others_ = 0;
  }
  std::string address = AddressOf(peer);
  if (const auto found = counts_.find(address); found != counts_.end()) return found->second;
  if (counts_.size() >= kAddressesMax) return others_;
  return counts_[std::move(address)];
}

std::string FailedChecks::AddressOf(absl::string_view peer) {
  const bool is_ipv6 = absl::ConsumePrefix(&peer, "ipv6:");
  if (!is_ipv6 && !absl::ConsumePrefix(&peer, "ipv4:")) return std::string(peer);
  absl::string_view address = peer.substr(0, peer.rfind(':'));
  if (!is_ipv6) return std::string(address);
  // gRPC escapes the brackets and the mark of a zone in some versions.
  if (!absl::ConsumePrefix(&address, "[")) absl::ConsumePrefix(&address, "%5B");
  if (!absl::ConsumeSuffix(&address, "]")) absl::ConsumeSuffix(&address, "%5D");
  address = address.substr(0, address.find('%'));
  in6_addr bytes;
  if (inet_pton(AF_INET6, std::string(address).c_str(), &bytes) != 1) return std::string(address);
  char text[INET6_ADDRSTRLEN];
  if (IN6_IS_ADDR_V4MAPPED(&bytes)) {
    inet_ntop(AF_INET, bytes.s6_addr + 12, text, sizeof(text));
    return text;
  }
  std::memset(bytes.s6_addr + kPrefixBytes, 0, sizeof(bytes.s6_addr) - kPrefixBytes);
  inet_ntop(AF_INET6, &bytes, text, sizeof(text));
  return text;
}

}  // namespace holdfast::service
