// grpc.health.v1.Health on the executors' own completion queues. gRPC's built-in service would do the same, but on
// threads of its own that would also take over connections from the executors, and then hand over each of their
// requests.
//
// The whole server ("") and each of its services have the same state: SERVING while the server holds the lease of its
// store, until it begins to drain. A node of a cluster that has lost its database is not ready: it could not even tell
// a client what it has in memory. A restart would not help it, so "liveness" is a service of its own, which is SERVING
// as long as the process answers.
//
// A watch gets the state when it begins, and each change within a second. It gets NOT_SERVING when the server drains,
// and ends then.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/wire/errors.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "service/call/direct_call.h"
#include "service/call/endpoint.h"
#include "service/call/raw_method.h"
#include "service/call/reply_wire.h"
#include "service/call/small_request.h"
#include "service/call/watch_call.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// The name that tells whether the process answers, and nothing of what it can do.
constexpr char kLiveness[] = "liveness";
// A watch looks this often whether the server still holds its lease: the store tells nobody when the time is over.
constexpr absl::Duration kLookStep = absl::Seconds(1);

// Returns true for the server as a whole, "", for each of its services, and for its liveness.
bool HasService(const Endpoint& endpoint, const std::string& name) {
  const std::vector<std::string>& names = *endpoint.service_names;
  return name.empty() || name == kLiveness || std::find(names.begin(), names.end(), name) != names.end();
}

HealthCheckResponse::ServingStatus StateOf(const Endpoint& endpoint, const std::string& name) {
  if (name == kLiveness) return HealthCheckResponse::SERVING;
  const bool ready = !endpoint.gate->draining() && endpoint.serves();
  return ready ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void Check(Endpoint* endpoint, Admission admit, const HealthCheckRequest& request, HealthCheckResponse* response,
           DirectDone done) {
  if (absl::Status status = admit(Target::Server()); !status.ok()) return done(status);
  if (!HasService(*endpoint, request.service())) return done(actors::NotFound("no service of that name"));
  response->set_status(StateOf(*endpoint, request.service()));
  done(absl::OkStatus());
}

class HealthWatchCall final : public WatchCall {
 public:
  HealthWatchCall(const RawMethod* method, Endpoint* endpoint) : WatchCall(method, endpoint) {}

 private:
  void PostNext() override { new HealthWatchCall(method_, endpoint_); }

  absl::Status Begin() override {
    HealthCheckRequest request;
    if (absl::Status status = ParseSmall(&bytes_, &request); !status.ok()) return status;
    if (absl::Status status = AdmitTarget(Target::Server()); !status.ok()) return status;
    service_ = request.service();
    const bool known = HasService(*endpoint_, service_);
    next_ = told_ = known ? StateOf(*endpoint_, service_) : HealthCheckResponse::SERVICE_UNKNOWN;
    if (known) LookLater();
    return absl::OkStatus();
  }

  // Looks for a change of the state after a while, again and again.
  void LookLater() {
    endpoint_->executor->After(kLookStep, [this, alive = std::weak_ptr<bool>(alive_)] {
      if (alive.expired() || ended()) return;
      const HealthCheckResponse::ServingStatus state = StateOf(*endpoint_, service_);
      if (state != told_) {
        next_ = told_ = state;
        Go();
      }
      LookLater();
    });
  }

  bool TakeReply(grpc::ByteBuffer* reply) override {
    if (!next_) return false;
    HealthCheckResponse response;
    response.set_status(*std::exchange(next_, std::nullopt));
    *reply = ToWire(response);
    return true;
  }
  // Only a drain ends a watch whose client takes one more reply.
  void OnEnd() override {
    if (endpoint_->gate->draining()) next_ = HealthCheckResponse::NOT_SERVING;
  }
  void EndIdle() override {
    End(IdleTooLong());
    Go();
  }

  std::string service_;
  HealthCheckResponse::ServingStatus told_ = HealthCheckResponse::UNKNOWN;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // goes with the watch
  std::optional<HealthCheckResponse::ServingStatus> next_;            // the state that is to be sent
};

}  // namespace

void AddHealthRpcs(Extension* extension) {
  RpcRows<grpc::health::v1::Health> rows;
  rows.Direct("Check", Verb::kRead, &Check, /*answers_always=*/true);
  rows.Custom(
      "Watch", Verb::kRead, [](const RawMethod* method, Endpoint* endpoint) { new HealthWatchCall(method, endpoint); },
      /*for_clients=*/false, /*open=*/true);
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
