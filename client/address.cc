#include "client/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace holdfast::client {
namespace {

bool IsUnix(absl::string_view target) {
  return absl::StartsWith(target, "unix:") || absl::StartsWith(target, "unix-abstract:");
}

bool IsLocalHost(const std::string& host) {
  if (absl::EqualsIgnoreCase(host, "localhost")) return true;
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace

std::vector<std::string> HostPorts(absl::string_view target) {
  if (IsUnix(target)) return {};
  if (absl::ConsumePrefix(&target, "ipv4:") || absl::ConsumePrefix(&target, "ipv6:")) {
    return absl::StrSplit(target, ',');
  }
  if (absl::ConsumePrefix(&target, "dns:")) {
    // dns://SERVER/HOST:PORT, where SERVER answers the question, and may be empty.
    if (absl::ConsumePrefix(&target, "//")) {
      const size_t slash = target.find('/');
      if (slash == absl::string_view::npos) return {};
      target.remove_prefix(slash + 1);
    }
    absl::ConsumePrefix(&target, "/");
  }
  if (absl::StrContains(target, "/")) return {};
  return {std::string(target)};
}

std::string HostOf(absl::string_view host_port) {
  if (absl::ConsumePrefix(&host_port, "[")) return std::string(host_port.substr(0, host_port.find(']')));
  const size_t colon = host_port.find(':');
  // With several colons it is an address of IPv6 without a port.
  const bool one = colon != absl::string_view::npos && host_port.find(':', colon + 1) == absl::string_view::npos;
  return std::string(one ? host_port.substr(0, colon) : host_port);
}

bool IsLocal(absl::string_view target) {
  if (IsUnix(target)) return true;
  const std::vector<std::string> places = HostPorts(target);
  return !places.empty() &&
         std::all_of(places.begin(), places.end(), [](const std::string& place) { return IsLocalHost(HostOf(place)); });
}

}  // namespace holdfast::client
