// Decides which activations of an executor stay in memory.
//
// Every activation with an instance has a seat here, least recently used first. It is passivated when it was not used
// for the idle timeout, or when all of them together exceed the bound on bytes. A busy activation stays.
//
// Threading: the executor. Ownership: the activations call Left() before they are destroyed.

#ifndef HOLDFAST_ACTORS_RUNTIME_RESIDENCY_H_
#define HOLDFAST_ACTORS_RUNTIME_RESIDENCY_H_

#include <cstddef>
#include <list>
#include <optional>

#include "absl/time/time.h"
#include "actors/executor/executor.h"

namespace holdfast::actors {

class Activation;

class Residency {
 public:
  struct Limits {
    size_t bytes_max;
    absl::Duration idle_timeout;
  };

  // The place of one activation; the activation keeps it.
  class Seat {
   public:
    bool taken() const { return taken_; }

   private:
    friend class Residency;
    std::list<Activation*>::iterator position_;
    bool taken_ = false;
    absl::Time last_used_ = absl::InfinitePast();
    size_t bytes_ = 0;
  };

  // `executor` outlives this.
  Residency(Executor* executor, const Limits& limits) : executor_(executor), limits_(limits) {}
  Residency(const Residency&) = delete;
  Residency& operator=(const Residency&) = delete;

  // The activation has just been used and holds `bytes`. Passivates others if the sum exceeds the bound.
  void Used(Activation* activation, size_t bytes);
  // The activation has no instance any more.
  void Left(Activation* activation);
  // From now on no activation is passivated for being idle.
  void Stop();

  size_t count() const { return activations_.size(); }
  size_t bytes() const { return bytes_; }
  // Returns the activations with an instance, least recently used first.
  const std::list<Activation*>& activations() const { return activations_; }

 private:
  void SetTimer();
  void PassivateIdle();
  void ShrinkToBudget(const Activation* keep);

  Executor* const executor_;
  const Limits limits_;
  std::list<Activation*> activations_;
  size_t bytes_ = 0;
  std::optional<Executor::TimerId> timer_;
  bool stopped_ = false;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_RESIDENCY_H_
