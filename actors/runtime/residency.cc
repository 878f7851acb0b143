#include "actors/runtime/residency.h"

#include <algorithm>
#include <utility>

#include "actors/runtime/activation.h"

namespace holdfast::actors {
namespace {

// The idle timer fires at most this often.
constexpr absl::Duration kIdleStep = absl::Milliseconds(100);
// The most busy activations that ShrinkToBudget() passes over; after these the budget waits for the next turn.
constexpr int kBusyLookMax = 16;

}  // namespace

void Residency::Used(Activation* activation, size_t bytes) {
  Seat& seat = activation->seat();
  seat.last_used_ = executor_->clock().CoarseSteady();
  if (seat.taken_) {
    activations_.splice(activations_.end(), activations_, seat.position_);
  } else {
    seat.position_ = activations_.insert(activations_.end(), activation);
    seat.taken_ = true;
  }
  bytes_ += bytes - seat.bytes_;
  seat.bytes_ = bytes;
  if (bytes_ > limits_.bytes_max) ShrinkToBudget(activation);
  if (!timer_) SetTimer();
}

void Residency::Left(Activation* activation) {
  Seat& seat = activation->seat();
  if (!seat.taken_) return;
  activations_.erase(seat.position_);
  seat.taken_ = false;
  bytes_ -= std::exchange(seat.bytes_, 0);
}

void Residency::Stop() {
  stopped_ = true;
  if (timer_) executor_->Cancel(*timer_);
  timer_.reset();
}

void Residency::SetTimer() {
  if (stopped_ || activations_.empty()) return;
  const absl::Time due =
      std::max(activations_.front()->seat().last_used_ + limits_.idle_timeout, executor_->clock().Steady() + kIdleStep);
  timer_ = executor_->At(due, [this] {
    timer_.reset();
    PassivateIdle();
    SetTimer();
  });
}

void Residency::PassivateIdle() {
  const absl::Time idle_since = executor_->clock().CoarseSteady() - limits_.idle_timeout;
  for (auto it = activations_.begin(); it != activations_.end() && (*it)->seat().last_used_ <= idle_since;) {
    Activation* const activation = *it++;
    if (activation->Passivate()) continue;
    // The activation has been busy for longer than the timeout, so it counts as used now.
    Seat& seat = activation->seat();
    seat.last_used_ = executor_->clock().CoarseSteady();
    activations_.splice(activations_.end(), activations_, seat.position_);
  }
}

void Residency::ShrinkToBudget(const Activation* keep) {
  int busy_left = kBusyLookMax;
  for (auto it = activations_.begin(); it != activations_.end() && bytes_ > limits_.bytes_max && busy_left > 0;) {
    Activation* const activation = *it++;
    if (activation == keep || !activation->Passivate()) --busy_left;
  }
}

}  // namespace holdfast::actors
