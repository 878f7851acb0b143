// Keeps an object's turns apart. While a turn holds the gate nothing else of the object runs: not the next request, not
// an alarm, not an earlier turn that waited for something and could go on. A turn holds the gate from its beginning to
// its end, also while it awaits its own storage. It leaves the gate only while it awaits something else and has written
// nothing, so nobody ever sees a write that can still be dropped.
//
// Turns that want to go on come before requests that have not begun, in the order in which they became ready.

#ifndef HOLDFAST_ACTORS_RUNTIME_INPUT_GATE_H_
#define HOLDFAST_ACTORS_RUNTIME_INPUT_GATE_H_

#include <coroutine>
#include <list>
#include <optional>

#include "actors/runtime/delivery.h"

namespace holdfast::actors {

class InputGate {
 public:
  struct Resumption {
    Delivery* turn;
    std::coroutine_handle<> handler;
  };

  bool open() const { return holder_ == nullptr; }
  Delivery* holder() const { return holder_; }
  void Enter(Delivery* turn) { holder_ = turn; }
  void Leave() { holder_ = nullptr; }

  // Queues a turn that left the gate and is ready to go on once the gate is open.
  void Queue(Resumption ready) { ready_.push_back(ready); }
  std::optional<Resumption> Next() {
    if (ready_.empty()) return std::nullopt;
    const Resumption next = ready_.front();
    ready_.pop_front();
    return next;
  }
  void Forget(std::coroutine_handle<> handler) {
    ready_.remove_if([&](const Resumption& ready) { return ready.handler == handler; });
  }

 private:
  Delivery* holder_ = nullptr;
  std::list<Resumption> ready_;  // costs nothing while it is empty
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_INPUT_GATE_H_
