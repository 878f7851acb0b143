// grpc.health.v1.Health on the executors' own completion queues. gRPC's built-in service would do the same, but on
// threads of its own that also take connections off the executors: every request of theirs would then be handed over.
//
// The whole server ("") and each of its services have one state: SERVING until the server drains. A watch is told the
// state when it begins and NOT_SERVING when the server drains, and ends then.

#ifndef HOLDFAST_SERVICE_RPCS_HEALTH_H_
#define HOLDFAST_SERVICE_RPCS_HEALTH_H_

#include <set>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "service/call/endpoint.h"
#include "service/call/raw_method.h"

namespace holdfast::service {

struct HealthService {
  grpc::health::v1::Health::AsyncService async;
  RawMethod check{&async, "grpc.health.v1.Health.Check"};
  RawMethod watch{&async, "grpc.health.v1.Health.Watch"};
  // Those that can be asked for; "" is the server as a whole.
  std::set<std::string> names = {};
};

// Each waits for calls of its method; `health` outlives them.
void PostHealthCheck(HealthService* health, Endpoint* endpoint);
void PostHealthWatch(HealthService* health, Endpoint* endpoint);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_HEALTH_H_
