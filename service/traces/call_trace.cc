#include "service/traces/call_trace.h"

#include <utility>

#include "actors/wire/errors.h"

namespace holdfast::service {
namespace {

// The spans of a delivery: the wait in the queue, the turn, the wait for the commit.
constexpr size_t kPhases = 3;

}  // namespace

actors::TurnTimes* TracedDelivery::Queued(const storage::ObjectKey& key, const actors::ObjectClass* object_class) {
  if (storage::ObjectId id; key.Decode(&id)) ns_ = std::move(id.ns);
  object_class_ = object_class->name;
  queued_ = clock_->Steady();
  return &turn_;
}

void TracedDelivery::End(const absl::Status& outcome) {
  ended_ = clock_->Steady();
  code_ = outcome.code();
  reason_ = actors::ReasonOf(outcome);
}

TracedDelivery* CallTrace::AddDelivery(bool item) {
  if (!recorded()) return nullptr;
  if (deliveries_.size() == kDeliveriesMax) {
    ++left_out_;
    return nullptr;
  }
  return &deliveries_.emplace_back(item, clock_);
}

void CallTrace::End(const absl::Status& outcome) {
  ended_ = clock_->Steady();
  code_ = outcome.code();
  reason_ = actors::ReasonOf(outcome);
}

size_t CallTrace::SpansMax() const {
  size_t spans = 1;
  for (const TracedDelivery& delivery : deliveries_) spans += kPhases + (delivery.item() ? 1 : 0);
  return spans;
}

}  // namespace holdfast::service
