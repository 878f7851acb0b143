// Where a gRPC target leads to.

#ifndef HOLDFAST_CLIENT_ADDRESS_H_
#define HOLDFAST_CLIENT_ADDRESS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace holdfast::client {

// Returns the HOST:PORT parts of a target, without its scheme: one, but for a list after ipv4: or ipv6:. Empty if the
// target is a Unix socket or has a scheme that is unknown here.
std::vector<std::string> HostPorts(absl::string_view target);

// Returns the host of HOST:PORT, HOST, [HOST]:PORT or an address of IPv6.
std::string HostOf(absl::string_view host_port);

// Returns whether all that is sent to the target stays on this machine: a Unix socket, localhost, or an address of the
// loopback interface. Other names may be resolved by anybody.
bool IsLocal(absl::string_view target);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_ADDRESS_H_
