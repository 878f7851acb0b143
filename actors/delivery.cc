#include "actors/delivery.h"

#include "actors/errors.h"

namespace holdfast::actors {

void Delivery::OnDurable(const absl::Status& status) {
  const absl::Status outcome = status.ok() ? std::move(outcome_) : OutcomeUnknown();
  outcome_ = absl::OkStatus();
  Done(outcome);
}

}  // namespace holdfast::actors
