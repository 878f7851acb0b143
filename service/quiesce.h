// Brings every connection to a moment without calls in progress, and keeps it there.
//
// gRPC 1.51 cancels calls that arrive during a shutdown, until their clients have learned of it, and gives no reason.
// Quiesce avoids that: from some moment on the system drops the clients' bytes, as if they were lost on the way. Once
// every call that had arrived before is answered, the shutdown has nothing to cancel. It tells each client the last of
// its calls that the server has seen, so the client knows that its later calls did not happen.
//
// A request of which only a part has arrived can't be answered in this way. Its connection goes on for a while and is
// stopped again later.
//
// Threading: the thread that shuts the server down, once no connection is accepted any more.

#ifndef HOLDFAST_SERVICE_QUIESCE_H_
#define HOLDFAST_SERVICE_QUIESCE_H_

#include "absl/time/time.h"
#include "service/call/connections.h"

namespace holdfast::service {

// Returns the number of connections that still had calls in progress after `time_max`. Their clients can't send either.
int Quiesce(Connections* connections, absl::Duration time_max);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_QUIESCE_H_
