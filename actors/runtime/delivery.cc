#include "actors/runtime/delivery.h"

#include "actors/wire/errors.h"

namespace holdfast::actors {

void Delivery::OnDurable(const absl::Status& status) {
  const absl::Status outcome = status.ok() ? std::move(progress.outcome) : CommitFailed(status);
  progress.outcome = absl::OkStatus();
  Done(outcome);
}

}  // namespace holdfast::actors
