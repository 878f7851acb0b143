// An endpoint holds everything that the calls of one executor's completion queue share.

#ifndef HOLDFAST_SERVICE_CALL_ENDPOINT_H_
#define HOLDFAST_SERVICE_CALL_ENDPOINT_H_

#include <grpcpp/completion_queue.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "actors/alarms/alarm_watchers.h"
#include "actors/object.h"
#include "actors/runtime/router.h"
#include "actors/wire/errors.h"
#include "service/call/call_gate.h"
#include "service/call/call_log.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/import_places.h"
#include "service/call/placement.h"
#include "service/call/request_parser.h"
#include "service/traces/tracer.h"
#include "storage/base/background.h"
#include "storage/base/observer.h"
#include "storage/sql/database.h"
#include "storage/store/store.h"

namespace holdfast::service {

struct AdminServices;
class Call;
class RuleFiles;

// The objects behind the pointers outlive the endpoint, and the endpoint outlives its calls.
struct Endpoint {
  CompletionQueueExecutor* executor;
  const actors::Router* router;
  const actors::ClassRegistry* classes;
  // The full names of the server's services, for health and reflection.
  const std::vector<std::string>* service_names;
  storage::Store* store;
  storage::Background* reads;
  actors::AlarmWatchers* watchers;
  CallGate* gate;
  CallLog* log;
  storage::Observer* observer;  // may be null
  Tracer* tracer;               // null: no call is traced
  RequestParser* parser;
  AdminServices* admin;
  Placement* placement;  // null: the server is no node of a cluster
  // The secret by which calls from the HTTP port are known (http_origin.h); "" without that port.
  std::string http_secret;
  // Returns whether the server holds the lease of some of its objects, and so can answer for them. Any thread.
  std::function<bool()> serves;
  // The most time for which a request is routed anew while its object is on its way between nodes.
  absl::Duration reroute_max;
  // There is no other executor.
  bool alone;
  size_t stream_outstanding_max;
  size_t reply_bytes_max;
  int64_t object_bytes_max;
  // The most bytes of the file of an object.
  int64_t object_file_bytes_max;
  // The time limit of one export or import.
  absl::Duration transfer_time_max;
  // The time limit of an export or import for each message that the client must send or take.
  absl::Duration transfer_idle_max;
  ImportPlaces* imports;  // shared by all endpoints
  // Threads for imports. They refuse an import only while the server drains: imports_max is their bound, too.
  storage::sql::Workers* import_workers;
  const storage::sql::Environment* sql;
  // The time that a client has to take a reply; then the call is cancelled.
  absl::Duration reply_time_max;
  // A stream on which nothing happens for this long is ended.
  absl::Duration stream_idle_max;

  // The calls that have arrived and not ended; see call.h. The executor's thread only.
  Call* calls = nullptr;
  // Grows with each look of the watch over calls. Any thread may read it.
  std::atomic<int64_t> tick = 0;

  // The rules of Envoy's rate limit service; null: the server does not have it.
  RuleFiles* rate_limits = nullptr;
};

// Returns the steady time at which a call's client stops waiting; a year or more is for ever. Call it when the call has
// just arrived.
inline absl::Time DeadlineOf(const grpc::ServerContext& context, const actors::Clock& clock) {
  constexpr absl::Duration kYear = absl::Hours(24 * 365);
  // The deadline of the context as std::chrono has it overflows where a client waits for centuries.
  const gpr_timespec deadline = context.raw_deadline();
  const gpr_timespec now = gpr_now(deadline.clock_type);
  const absl::Duration left =
      absl::Seconds(deadline.tv_sec) - absl::Seconds(now.tv_sec) + absl::Nanoseconds(deadline.tv_nsec - now.tv_nsec);
  return left < kYear ? clock.Steady() + left : absl::InfiniteFuture();
}

// RESOURCE_EXHAUSTED if the reply is larger than clients accept.
inline absl::Status CheckReplySize(size_t bytes, size_t bytes_max) {
  if (bytes <= bytes_max) return absl::OkStatus();
  return actors::Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_RESPONSE_TOO_LARGE,
                       absl::StrCat("the reply would have ", bytes, " bytes; at most ", bytes_max,
                                    ". Nothing was done; ask for less at once"));
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_ENDPOINT_H_
