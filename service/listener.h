// The listening socket of the server and the thread that accepts from it.
//
// The socket is ours, not gRPC's, so that connections can be bounded (service/call/connections.h): gRPC 1.51 accepts
// without a bound, and ends its listener for good when it can't get a descriptor. An accepted socket is handed to
// gRPC's external acceptor, which treats it exactly like a socket of its own, whatever the credentials. A socket for
// which there is no room is closed.
//
// Threading: Bind and Start on one thread, Stop once on any; the accepting thread is the listener's own.

#ifndef HOLDFAST_SERVICE_LISTENER_H_
#define HOLDFAST_SERVICE_LISTENER_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "service/call/connections.h"

namespace holdfast::service {

class Listener {
 public:
  // Takes over an accepted socket. `peer` is its address as gRPC spells it.
  using Accept = absl::AnyInvocable<void(int fd, const std::string& peer)>;

  // Listens on ADDRESS:PORT, the value of `setting`, on every address that a name has; port 0 chooses one. UNAVAILABLE,
  // which names the setting and the address, if it can't listen.
  static absl::StatusOr<std::unique_ptr<Listener>> Bind(absl::string_view setting, const std::string& listen);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  // Returns ADDRESS:PORT with the port that was chosen.
  const std::string& address() const { return address_; }

  // `connections` must outlive the listener.
  void Start(Connections* connections, Accept accept);
  // Stops accepting and closes the listening sockets.
  void Stop();

 private:
  Listener() = default;
  void Run();
  void AcceptFrom(int socket);

  std::string address_;
  std::vector<int> sockets_;
  int stop_event_ = -1;
  Connections* connections_ = nullptr;
  Accept accept_;
  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_LISTENER_H_
