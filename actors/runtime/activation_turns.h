// The turns of the runtime itself. For activation.cc and activation_commit.cc only.

#ifndef HOLDFAST_ACTORS_RUNTIME_ACTIVATION_TURNS_H_
#define HOLDFAST_ACTORS_RUNTIME_ACTIVATION_TURNS_H_

#include <string>
#include <vector>

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
  explicit AlarmTurn(Activation* activation) : activation_(activation), lane_(activation->lane_) {}
  Task<absl::Status> Run(Object&) override { return activation_->RunAlarm(this); }
  void Done(const absl::Status&) override {
    lane_->alarms.Ended(object_, end);
    delete this;
  }

  AlarmScheduler::End end = AlarmScheduler::End::kNotBegun;
  bool ran = false;
  uint64_t generation = 0;  // alarm_generation() of the alarm that it runs

 private:
  Activation* const activation_;  // valid until the turn has ended
  Lane* const lane_;
  const std::string object_ = activation_->key_.encoded();
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
    delete this;
  }

  ObjectPlace::Part part;
  bool goes_on = false;  // the activation waits for the step to be durable

 private:
  Activation* const activation_;  // valid while the relocation goes on
};

// The turn that ends an object which stores nothing, before the object leaves memory.
class Activation::LeaveTurn : public Delivery {
 public:
  Task<absl::Status> Run(Object&) override { HOLDFAST_CHECK(false, "the end of an object has no handler"); }
  void Done(const absl::Status&) override { delete this; }
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_ACTIVATION_TURNS_H_
