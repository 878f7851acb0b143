#include "actors/runtime/delivery.h"

#include "actors/wire/errors.h"

namespace holdfast::actors {

void Delivery::OnDurable(const absl::Status& status) {
  absl::Status outcome = status.ok() ? std::move(progress.outcome) : CommitFailed(status);
  progress.outcome = absl::OkStatus();
  if (status.ok() && progress.lease != nullptr && !progress.lease->HoldsLease()) outcome = LeaseEnded();
  Done(outcome);
}

}  // namespace holdfast::actors
