// Threads of a simulation: they block as those of a server do, and all run on one thread of the machine, one at a time,
// in an order that the dice choose. Time passes only while all of them wait.
//
// A fiber waits with SleepUntil, and goes on when its time has come or somebody has woken it. It belongs to a group:
// the threads of a process, which is paused as a whole. A fiber is never cut off, so its owner has to make it end.

#ifndef HOLDFAST_TESTS_SIMULATION_FIBERS_H_
#define HOLDFAST_TESTS_SIMULATION_FIBERS_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/time/time.h"

namespace holdfast::simulation {

class Fiber;

class Fibers {
 public:
  Fibers();
  // All fibers have ended.
  ~Fibers();
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;

  absl::Time now() const { return now_; }
  void set_now(absl::Time now) { now_ = now; }

  // Begins a fiber at this time.
  void Start(int group, absl::Time at, std::function<void()> body);
  // These two are for fibers. SleepUntil may return early.
  void SleepUntil(absl::Time time);
  Fiber* current() const { return current_; }
  // The fiber goes on now, if it has not ended.
  void Wake(Fiber* fiber);
  void WakeAll(int group);

  // The fibers of `group` that can go on now.
  std::vector<Fiber*> Ready(int group) const;
  // The time at which the next fiber of the group goes on; infinite if there is none.
  absl::Time Next(int group) const;
  size_t CountOf(int group) const;
  // Runs a fiber until it waits or ends.
  void Run(Fiber* fiber);

 private:
  static void Enter(unsigned low, unsigned high);
  void SwitchOut(bool ends);

  struct Main;
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  std::unique_ptr<Main> main_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<std::unique_ptr<char[]>> stacks_;  // of fibers that have ended
  Fiber* current_ = nullptr;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_FIBERS_H_
