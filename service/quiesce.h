// Brings every connection to a moment at which none of its calls is under way, and keeps it there.
//
// gRPC 1.51 cancels the calls that arrive once its server is being shut down, until their clients have learned of it,
// without telling anybody why. Here the clients can't send from some moment on: the system drops what comes, as if it
// was lost on the way. If all that had arrived until then is answered, the shutdown has nothing to cancel, and tells
// each client which of its calls was the last to be seen; those that it sent after that were not, and the client knows.
//
// A request of which only a part has arrived can't be answered so. Its connection is let go on for a while and stopped
// again later.
//
// Threading: the thread that shuts the server down, once no connection is accepted any more.

#ifndef HOLDFAST_SERVICE_QUIESCE_H_
#define HOLDFAST_SERVICE_QUIESCE_H_

#include "absl/time/time.h"
#include "service/call/connections.h"

namespace holdfast::service {

// Returns the number of connections that had calls under way still when `time_max` was over. These can't send either.
int Quiesce(Connections* connections, absl::Duration time_max);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_QUIESCE_H_
