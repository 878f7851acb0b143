// The turns of the runtime itself. Only the files activation*.cc include this. Their activation owns them.

#ifndef HOLDFAST_ACTORS_RUNTIME_ACTIVATION_TURNS_H_
#define HOLDFAST_ACTORS_RUNTIME_ACTIVATION_TURNS_H_

#include <memory>
#include <optional>
#include <utility>

#include "actors/runtime/activation.h"
#include "actors/runtime/lane.h"
#include "storage/base/check.h"

namespace holdfast::actors {

// The turn of a load. No delivery asked for it: the deliveries that wait get its error.
class Activation::LoadTurn : public Delivery {
 public:
  Task<absl::Status> Run(Object&) override { HOLDFAST_CHECK(false, "a load has no handler"); }
  void Done(const absl::Status&) override {}
};

class Activation::AlarmTurn : public Delivery {
 public:
  explicit AlarmTurn(Activation* activation) : activation_(activation) {}
  Task<absl::Status> Run(Object&) override { return activation_->RunAlarm(this); }
  void Done(const absl::Status&) override {
    activation_->lane_->alarms.Ended(activation_->key_.encoded(), end);
    activation_->Drop(this);
  }

  std::optional<AlarmWatchers::Claim> claim;
  AlarmScheduler::End end = AlarmScheduler::End::kNotBegun;
  bool ran = false;
  uint64_t generation = 0;  // alarm_generation() of the alarm that it runs

 private:
  Activation* const activation_;
};

// The steps of a relocation, one after the other. Each reads a part of the object, which its commit writes to the new
// place; the next step begins when that is durable.
class Activation::MoveTurn : public Delivery {
 public:
  explicit MoveTurn(Activation* activation) : activation_(activation) {}
  Task<absl::Status> Run(Object&) override { return activation_->ReadPart(this); }
  void Done(const absl::Status& status) override {
    if (goes_on && status.ok()) {
      activation_->NextMoveStep();
      return;
    }
    if (goes_on) activation_->AbortMove();
    activation_->Drop(this);
  }

  ObjectPlace::Part part;
  bool goes_on = false;  // the activation waits for the step to be durable

 private:
  Activation* const activation_;
};

// The turn that ends an object which stores nothing, before the object leaves memory.
class Activation::LeaveTurn : public Delivery {
 public:
  explicit LeaveTurn(Activation* activation) : activation_(activation) {}
  Task<absl::Status> Run(Object&) override { HOLDFAST_CHECK(false, "the end of an object has no handler"); }
  void Done(const absl::Status&) override { activation_->Drop(this); }

 private:
  Activation* const activation_;
};

template <typename Turn>
Turn* Activation::Make() {
  auto turn = std::make_unique<Turn>(this);
  Turn* const made = turn.get();
  own_turns_.push_back(std::move(turn));
  return made;
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_ACTIVATION_TURNS_H_
