#include "actors/runtime/fair_queue.h"

namespace holdfast::actors {

bool FairQueue::HasTime() {
  if (waiting_ > 0) return false;
  if (delivered_ < options_.round_min) return true;
  const absl::Time now = executor_->clock().Steady();
  if (round_began_ == absl::InfinitePast()) round_began_ = now;
  return now - round_began_ < options_.round_max;
}

void FairQueue::Add(const Addressed& addressed) {
  if (HasTime()) {
    ++delivered_;
    deliver_(addressed);
  } else {
    Wait(addressed);
  }
}

void FairQueue::Wait(const Addressed& addressed) {
  const absl::string_view ns = addressed.key->encoded_namespace();
  auto found = by_namespace_.find(ns);
  if (found == by_namespace_.end()) {
    const auto flow = turns_.insert(turns_.end(), Flow{std::string(ns), {}});
    found = by_namespace_.emplace(flow->ns, flow).first;
  }
  const Turns::iterator flow = found->second;
  flow->requests.push_back(addressed);
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
  const Addressed newest = flow->requests.back();
  flow->requests.pop_back();
  --waiting_;
  Resize(flow, flow->requests.size() + 1);
  refuse_(newest);
}

void FairQueue::DrainSoon() {
  if (std::exchange(draining_soon_, true)) return;
  executor_->Post([this] {
    draining_soon_ = false;
    Drain();
  });
}

void FairQueue::Drain() {
  const absl::Time until = executor_->clock().Steady() + options_.round_max;
  for (size_t count = 0; waiting_ > 0; ++count) {
    if (count >= options_.round_min && executor_->clock().Steady() >= until) break;
    const Turns::iterator flow = turns_.begin();
    const Addressed next = flow->requests.front();
    flow->requests.pop_front();
    --waiting_;
    turns_.splice(turns_.end(), turns_, flow);
    Resize(flow, flow->requests.size() + 1);
    deliver_(next);
  }
  if (waiting_ > 0) DrainSoon();
}

}  // namespace holdfast::actors
