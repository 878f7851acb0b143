// A call of ShouldRateLimit: it asks RateLimiter objects what its plan (limit_plan.h) says, each group of checks in a
// turn of its own, and answers when all are durable.
//
// The rules are those of the moment in which the call begins. The gate is asked for each object, as for a CheckLimits
// of the caller's own; a call that meets no limit, for the namespace of the objects. If the gate refuses one, nothing
// is counted. An error of an object is the outcome of the call, while the other objects may have counted.
//
// In a cluster a group whose object is on another node goes there as a CheckLimits. Groups that have missed their
// objects are routed again together when all others have ended (batch_call.h does the same).

#ifndef HOLDFAST_SERVICE_RATELIMIT_RATE_LIMIT_CALL_H_
#define HOLDFAST_SERVICE_RATELIMIT_RATE_LIMIT_CALL_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "holdfast/v1/rate_limiter_service.pb.h"
#include "service/call/endpoint.h"
#include "service/call/forward.h"
#include "service/call/item_delivery.h"
#include "service/call/raw_method.h"
#include "service/call/reply_call.h"
#include "service/call/routing.h"
#include "service/ratelimit/limit_plan.h"

namespace holdfast::service {

class RateLimitCall final : public ReplyCall<LimitPlan::Request, LimitPlan::Response> {
 public:
  // Waits for a call of the method. The endpoint has rules.
  static void Post(const RawMethod* method, Endpoint* endpoint) { new RateLimitCall(method, endpoint); }

 private:
  using Delivery = ItemDelivery<v1::CheckLimitsRequest, v1::CheckLimitsResponse>;

  // The bytes that a descriptor takes beside its request, while it is checked and in the response.
  static constexpr size_t kDescriptorBytes = sizeof(Delivery) + 2048;

  RateLimitCall(const RawMethod* method, Endpoint* endpoint)
      : ReplyCall(method, endpoint), routing_(endpoint, &lease_) {}

  void PostNext() override { Post(method_, endpoint_); }
  absl::Status Begin() override;

  // Takes the groups to their objects, here or on other nodes.
  void Route(const std::vector<size_t>& groups);
  void SendOn(const std::shared_ptr<Peer>& peer, size_t group);
  // Returns whether the group is to be routed again; it has then ended this time. Any executor may call it.
  bool Missed(size_t group, const absl::Status& status);
  void RouteMissed();
  // Answers, or routes again what has missed, when it has been called for every group that was routed and once by
  // whoever has routed them. Any executor may call it.
  void OneEnded();
  void Answer();

  std::optional<LimitPlan> plan_;
  std::vector<v1::CheckLimitsResponse> results_;           // of the groups
  std::vector<absl::Status> statuses_;                     // of the groups
  std::unique_ptr<std::optional<Delivery>[]> deliveries_;  // of the groups
  std::atomic<size_t> left_ = 0;
  Routing routing_;
  std::unique_ptr<bool[]> missed_;  // in a cluster: the groups that have missed their objects this time
  std::atomic<bool> any_missed_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RATELIMIT_RATE_LIMIT_CALL_H_
