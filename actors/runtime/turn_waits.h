// The turns of one object that wait for time to pass (Object::Wait, Object::NextTurn), each with its timer.
//
// Threading: the executor. Ownership: the coroutine that waits owns itself; Cancel comes before it is destroyed.

#ifndef HOLDFAST_ACTORS_RUNTIME_TURN_WAITS_H_
#define HOLDFAST_ACTORS_RUNTIME_TURN_WAITS_H_

#include <coroutine>
#include <cstddef>
#include <list>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "actors/executor/executor.h"

namespace holdfast::actors {

class TurnWaits {
 public:
  explicit TurnWaits(Executor* executor) : executor_(executor) {}

  // Calls `ready` after `time`; by then the wait has ended.
  void Begin(std::coroutine_handle<> handler, absl::Duration time, absl::AnyInvocable<void()> ready) {
    const auto timer = executor_->After(time, [this, handler, ready = std::move(ready)]() mutable {
      Forget(handler);
      ready();
    });
    waits_.push_back({handler, timer});
  }
  // Ends the wait of a coroutine that is given up. Does nothing if it has ended.
  void Cancel(std::coroutine_handle<> handler) {
    for (const Wait& wait : waits_) {
      if (wait.handler == handler) executor_->Cancel(wait.timer);
    }
    Forget(handler);
  }
  size_t size() const { return waits_.size(); }

 private:
  struct Wait {
    std::coroutine_handle<> handler;
    Executor::TimerId timer;
  };

  void Forget(std::coroutine_handle<> handler) {
    waits_.remove_if([&](const Wait& wait) { return wait.handler == handler; });
  }

  Executor* const executor_;
  std::list<Wait> waits_;  // costs nothing while it is empty
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_TURN_WAITS_H_
