#include "actors/runtime/fair_queue.h"

#include <algorithm>

namespace holdfast::actors {

size_t FairQueue::RoomInRound() {
  if (waiting_ > 0) return 0;
  if (delivered_ < options_.round_min) return options_.round_min - delivered_;
  const absl::Time now = executor_->clock().Steady();
  if (round_began_ == absl::InfinitePast()) round_began_ = now;
  return now - round_began_ < options_.round_max ? std::max(size_t{1}, options_.round_min) : 0;
}

void FairQueue::Add(absl::Span<const Addressed> requests) {
  while (!requests.empty()) {
    const size_t count = std::min(requests.size(), RoomInRound());
    if (count == 0) break;
    delivered_ += count;
    deliver_(requests.subspan(0, count));
    requests.remove_prefix(count);
  }
  for (const Addressed& request : requests) Wait(request);
}

void FairQueue::Wait(const Addressed& request) {
  const absl::Time now = executor_->clock().Steady();
  const absl::string_view ns = request.key->encoded_namespace();
  auto found = by_namespace_.find(ns);
  if (found == by_namespace_.end()) {
    const auto flow = turns_.insert(turns_.end(), Flow{std::string(ns), {}});
    found = by_namespace_.emplace(flow->ns, flow).first;
  }
  const Turns::iterator flow = found->second;
  if (!flow->requests.empty() && now - flow->requests.front().since >= options_.waiting_time_max) {
    refuse_(request, Refusal::kTooLong);
    return;
  }
  flow->requests.push_back({request, now});
  ++waiting_;
  Resize(flow, flow->requests.size() - 1);
  DrainSoon();
  if (waiting_ > options_.waiting_max) RefuseLongest();
}

// Brings the flow to its place by length, and forgets it if it is empty. It had `before` requests.
void FairQueue::Resize(Turns::iterator flow, size_t before) {
  if (before > 0) by_length_.erase({before, &*flow});
  if (!flow->requests.empty()) {
    by_length_.emplace(flow->requests.size(), &*flow);
    return;
  }
  by_namespace_.erase(flow->ns);
  turns_.erase(flow);
}

void FairQueue::RefuseLongest() {
  const Turns::iterator flow = by_namespace_.find(by_length_.rbegin()->second->ns)->second;
  const Addressed newest = flow->requests.back().request;
  flow->requests.pop_back();
  --waiting_;
  Resize(flow, flow->requests.size() + 1);
  refuse_(newest, Refusal::kTooMany);
}

void FairQueue::DrainSoon() {
  if (std::exchange(draining_soon_, true)) return;
  executor_->Post([this] {
    draining_soon_ = false;
    Drain();
  });
}

void FairQueue::Drain() {
  absl::Time now = executor_->clock().Steady();
  const absl::Time until = now + options_.round_max;
  do {
    DeliverSome(now);
    now = executor_->clock().Steady();
  } while (waiting_ > 0 && now < until);
  if (waiting_ > 0) DrainSoon();
}

void FairQueue::DeliverSome(absl::Time now) {
  next_.clear();
  for (size_t left = std::max(size_t{1}, options_.round_min); waiting_ > 0 && left > 0; --left) {
    const Turns::iterator flow = turns_.begin();
    const Addressed next = flow->requests.front().request;
    flow->requests.pop_front();
    --waiting_;
    turns_.splice(turns_.end(), turns_, flow);
    Resize(flow, flow->requests.size() + 1);
    if (next.delivery->deadline < now) {
      refuse_(next, Refusal::kDeadlinePassed);
    } else {
      next_.push_back(next);
    }
  }
  if (!next_.empty()) deliver_(next_);
}

}  // namespace holdfast::actors
