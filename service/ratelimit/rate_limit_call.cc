#include "service/ratelimit/rate_limit_call.h"

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "actors/objects/rate_limiter.h"
#include "service/call/reply_wire.h"
#include "service/ratelimit/rule_files.h"

namespace holdfast::service {
namespace {

using actors::RateLimiter;

// The method that stands for each group, in logs and between nodes.
const std::string& CheckLimitsName() {
  static const auto* const name = new std::string("holdfast.v1.RateLimiterService.CheckLimits");
  return *name;
}

actors::Task<absl::Status> CheckLimits(actors::Object& object, const v1::CheckLimitsRequest& request,
                                       v1::CheckLimitsResponse* response) {
  return static_cast<RateLimiter&>(object).CheckLimits(request, response);
}

}  // namespace

absl::Status RateLimitCall::Begin() {
  const RuleFiles& files = *endpoint_->rate_limits;
  absl::StatusOr<LimitPlan> plan = LimitPlan::Make(*files.current(), files.options(), request());
  if (!plan.ok()) return plan.status();
  plan_.emplace(*std::move(plan));
  const auto descriptors = static_cast<size_t>(request().descriptors_size());
  if (absl::Status status = lease_.ReserveReply(descriptors * kDescriptorBytes); !status.ok()) return status;
  const size_t count = plan_->groups().size();
  if (count == 0) {
    const Target target = Target::Namespace(files.options().ns, &RateLimiter::Class());
    if (absl::Status status = AdmitTarget(target); !status.ok()) return status;
    Answer();
    return absl::OkStatus();
  }
  results_.resize(count);
  statuses_.resize(count);
  deliveries_ = std::make_unique<std::optional<Delivery>[]>(count);
  if (routing_.spreads()) missed_ = std::make_unique<bool[]>(count);
  const absl::Time deadline = DeadlineOf(context_, endpoint_->executor->clock());
  std::vector<size_t> groups;
  groups.reserve(count);
  // The count is one more than the groups, so that the call cannot finish before all groups have begun.
  left_ = count + 1;
  absl::Status refused;
  for (size_t i = 0; i < count; ++i) {
    Delivery& delivery = deliveries_[i].emplace(
        CheckLimits, &CheckLimitsName(), &plan_->groups()[i], &results_[i],
        [this, i](const absl::Status& status) {
          statuses_[i] = status;
          OneEnded();
        },
        [this, i](const absl::Status& status) { return Missed(i, status); });
    const bool begun = delivery.Begin(
        endpoint_, [this](const Target& target) { return AdmitTarget(target); }, &RateLimiter::Class(), deadline,
        trace_.get());
    if (begun) {
      groups.push_back(i);
    } else {
      refused = statuses_[i];
    }
  }
  if (refused.ok()) {
    Route(groups);
  } else {
    // Those that the gate has admitted do not begin.
    for (const size_t i : groups) deliveries_[i]->Done(refused);
  }
  OneEnded();
  return absl::OkStatus();
}

void RateLimitCall::Route(const std::vector<size_t>& groups) {
  std::vector<actors::Addressed> here;
  here.reserve(groups.size());
  for (const size_t i : groups) {
    const std::shared_ptr<Peer> peer = routing_.PeerFor(deliveries_[i]->shard());
    if (peer == nullptr) {
      here.push_back(deliveries_[i]->addressed());
    } else {
      SendOn(peer, i);
    }
  }
  endpoint_->router->Deliver(std::move(here));
}

void RateLimitCall::SendOn(const std::shared_ptr<Peer>& peer, size_t group) {
  Forward::Send(context_, peer, CheckLimitsName(), ToWire(plan_->groups()[group]), endpoint_->executor,
                [this, group](Forward::Outcome outcome) {
                  absl::Status status = std::move(outcome.status);
                  v1::CheckLimitsResponse* const result = &results_[group];
                  if (status.ok() &&
                      (!grpc::SerializationTraits<v1::CheckLimitsResponse>::Deserialize(&outcome.reply, result).ok() ||
                       result->results_size() != plan_->groups()[group].checks_size())) {
                    status = absl::InternalError("the reply of another node is not one of this method");
                  }
                  deliveries_[group]->Done(status);
                });
}

bool RateLimitCall::Missed(size_t group, const absl::Status& status) {
  if (!routing_.Misses(status)) return false;
  routing_.Missed(deliveries_[group]->shard());
  missed_[group] = true;
  any_missed_.store(true, std::memory_order_relaxed);
  OneEnded();
  return true;
}

void RateLimitCall::RouteMissed() {
  any_missed_.store(false, std::memory_order_relaxed);
  std::vector<size_t> missed;
  for (size_t i = 0; i < results_.size(); ++i) {
    if (std::exchange(missed_[i], false)) missed.push_back(i);
  }
  left_ = missed.size() + 1;
  Route(missed);
  OneEnded();
}

void RateLimitCall::OneEnded() {
  if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (any_missed_.load(std::memory_order_relaxed)) {
    routing_.Again([this] { RouteMissed(); });
  } else {
    Answer();
  }
}

void RateLimitCall::Answer() {
  for (const absl::Status& status : statuses_) {
    if (!status.ok()) return Finish(status);
  }
  endpoint_->rate_limits->Count(plan_->Answer(results_, response_));
  Finish(absl::OkStatus());
}

}  // namespace holdfast::service
