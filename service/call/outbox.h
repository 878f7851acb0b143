// The replies of one round of an executor. They are sent at its end, those on one connection one after the other.
//
// gRPC sends each reply by a call of its own to the system, which makes a packet of it at once, and wakes the client's
// thread for each. When many replies become durable together, those on one connection are held back in the kernel until
// the last of them is there (TCP_CORK), and leave in few packets.
//
// Bounds: a reply waits for the rest of its round and no longer; there are as many as calls (server.calls_max). Errors:
// a connection that can't be held back sends its replies one by one. Threading: the executor's.

#ifndef HOLDFAST_SERVICE_CALL_OUTBOX_H_
#define HOLDFAST_SERVICE_CALL_OUTBOX_H_

#include <vector>

#include "absl/functional/any_invocable.h"
#include "service/call/connections.h"

namespace holdfast::service {

class Outbox {
 public:
  // Adds a reply on the connection, which has a call until `send` was called.
  void Add(Connections* connections, Connections::Connection* connection, absl::AnyInvocable<void()> send);
  // Sends all replies, in the order in which those of each connection were added.
  void Flush();

 private:
  struct Reply {
    Connections* connections;
    Connections::Connection* connection;
    absl::AnyInvocable<void()> send;
  };

  // From this number on, the replies on a connection leave together: holding them back takes six calls to the system.
  static constexpr size_t kTogetherMin = 4;

  std::vector<Reply> replies_;
  std::vector<Reply> sending_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_OUTBOX_H_
