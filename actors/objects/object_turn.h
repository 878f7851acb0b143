// A turn of an object that is a part of a client's call: a step of an export or an import.

#ifndef HOLDFAST_ACTORS_OBJECTS_OBJECT_TURN_H_
#define HOLDFAST_ACTORS_OBJECTS_OBJECT_TURN_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/recorded_request.h"

namespace holdfast::actors {

// Whoever delivers it owns it, until `end` has returned.
class ObjectTurn final : public Delivery {
 public:
  using Body = absl::AnyInvocable<Task<absl::Status>(Object&)>;
  using End = absl::AnyInvocable<void(const absl::Status&)>;

  // `end` is called on the object's executor as the last thing that the turn does; everything that `body` refers to
  // must live until then. `end` must not destroy the turn. `recorded` may be null.
  ObjectTurn(Body body, End end, RecordedRequest* recorded = nullptr)
      : body_(std::move(body)), end_(std::move(end)), recorded_(recorded) {}

  Task<absl::Status> Run(Object& object) override { return body_(object); }
  RecordedRequest* recorded() override { return recorded_; }
  void Done(const absl::Status& status) override { end_(status); }

 private:
  Body body_;
  End end_;
  RecordedRequest* const recorded_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_OBJECT_TURN_H_
