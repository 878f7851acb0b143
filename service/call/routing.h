// Where a request for an object goes, and what becomes of it when the object is not there. All kinds of calls share it.
//
// A server alone delivers everything to its own executors. In a cluster a request goes to the node that has the
// object's shard. A shard may have just moved, or be on its way: then the request ends with WRONG_OWNER, nothing has
// happened, and it is routed again; once at least, and further times until reroute_max has passed. A request that
// another node has sent on is never sent on again; that node routes it.
//
// Threading: one thread at a time.

#ifndef HOLDFAST_SERVICE_CALL_ROUTING_H_
#define HOLDFAST_SERVICE_CALL_ROUTING_H_

#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"
#include "service/call/call_gate.h"
#include "service/call/endpoint.h"
#include "service/call/placement.h"
#include "storage/store/object_id.h"

namespace holdfast::service {

class Routing {
 public:
  // A request is routed again after this time.
  static constexpr absl::Duration kStep = absl::Milliseconds(10);

  // `lease` is that of the call. Both outlive this.
  Routing(const Endpoint* endpoint, const CallGate::Lease* lease) : endpoint_(endpoint), lease_(lease) {}

  // Returns whether requests of this call may go to other nodes.
  bool spreads() const { return endpoint_->placement != nullptr && !lease_->forwarded(); }
  // Returns the node to which a request for the shard is sent on; null: the object is here.
  std::shared_ptr<Peer> PeerFor(storage::ShardId shard) const {
    return spreads() ? endpoint_->placement->PeerFor(shard) : nullptr;
  }
  // Returns whether a request that has ended so has missed its object, and is to be routed again.
  bool Misses(const absl::Status& status) const {
    if (status.ok() || !spreads()) return false;
    if (until_ && endpoint_->executor->clock().Steady() + kStep > *until_) return false;
    const v1::ErrorReason reason = actors::ReasonOf(status);
    // The stream to a node that brings it items may have been idle for too long just before an item came.
    return reason == v1::ERROR_REASON_WRONG_OWNER || reason == v1::ERROR_REASON_STREAM_IDLE;
  }
  // Records that a request for the shard has missed its object.
  void Missed(storage::ShardId shard) const { endpoint_->placement->Moved(shard); }
  // Counts that it is routed again.
  void CountAgain() {
    if (!until_) until_ = endpoint_->executor->clock().Steady() + endpoint_->reroute_max;
  }
  // Routes what has missed again: calls `route`, soon, on the executor of the endpoint.
  static void Soon(const Endpoint* endpoint, absl::AnyInvocable<void()> route) {
    endpoint->executor->Post(
        [endpoint, route = std::move(route)]() mutable { endpoint->executor->After(kStep, std::move(route)); });
  }
  void Again(absl::AnyInvocable<void()> route) {
    CountAgain();
    Soon(endpoint_, std::move(route));
  }

 private:
  const Endpoint* const endpoint_;
  const CallGate::Lease* const lease_;
  std::optional<absl::Time> until_;  // set when the request was routed again
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_ROUTING_H_
