// Counts the HTTP/2 streams of each connection of this process's servers, as gRPC counts them.
//
// The server knows a call once its request has arrived as a whole. gRPC knows a stream from its first frame on, so
// these counts include calls of which only a part has arrived. gRPC 1.51 gives its counts as JSON only (channelz).
//
// Threading: any thread. Cost: about 50 us a connection, so nothing for an executor.

#ifndef HOLDFAST_SERVICE_OPEN_STREAMS_H_
#define HOLDFAST_SERVICE_OPEN_STREAMS_H_

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"

namespace holdfast::service {

struct StreamCounts {
  int64_t begun = 0;
  int64_t ended = 0;
  bool operator==(const StreamCounts&) const = default;
};

// Returns the counts by peer, as ServerContext::peer() spells it. A connection that is missing is closed.
absl::flat_hash_map<std::string, StreamCounts> CountStreams();

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_OPEN_STREAMS_H_
