// Tells a service manager how the process is, in the protocol of systemd: a datagram to the socket that the environment
// variable NOTIFY_SOCKET names. Units with Type=notify are started only when the server serves.

#ifndef HOLDFAST_SERVICE_NOTIFY_H_
#define HOLDFAST_SERVICE_NOTIFY_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace holdfast::service {

// Sends a state such as "READY=1" or "STOPPING=1" to the socket, which is the value of NOTIFY_SOCKET: a path, or a name
// in the abstract namespace after '@'. Does nothing if the socket is empty. Never waits. INVALID_ARGUMENT for a name
// that is neither or too long; UNAVAILABLE if nothing takes the datagram.
absl::Status NotifyServiceManager(absl::string_view socket, absl::string_view state);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_NOTIFY_H_
