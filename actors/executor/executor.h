// A thread that runs a fixed set of shards, one piece of work after the other, so that nothing above storage needs a
// lock. This is the part that all executors share: an inbox that any thread may post to, and timers. What the thread
// waits for is the subclass's: the server's executor sleeps in a gRPC completion queue, the tests' has no thread.
//
// Drain before you sleep: a round runs everything that is there, then calls `on_round`, which is where a group
// commit begins.

#ifndef HOLDFAST_ACTORS_EXECUTOR_EXECUTOR_H_
#define HOLDFAST_ACTORS_EXECUTOR_EXECUTOR_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "actors/executor/clock.h"

namespace holdfast::actors {

class Executor {
 public:
  using Work = absl::AnyInvocable<void()>;
  // Names a timer: when it is due, by the steady clock, and which of those due then.
  using TimerId = std::pair<absl::Time, uint64_t>;

  explicit Executor(const Clock* clock) : clock_(clock) {}
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Any thread. Runs `work` on the executor's thread, after what was posted before it.
  void Post(Work work);
  virtual bool IsCurrent() const = 0;

  // --- On the executor's thread only.
  const Clock& clock() const { return *clock_; }
  // Runs `work` once, not before `time` by the steady clock.
  TimerId At(absl::Time time, Work work);
  TimerId After(absl::Duration delay, Work work) { return At(clock_->Steady() + delay, std::move(work)); }
  // A timer that ran or was cancelled is ignored.
  void Cancel(const TimerId& timer) { timers_.erase(timer); }
  // Called at the end of every round; set before the first.
  void set_on_round(Work on_round) { on_round_ = std::move(on_round); }

 protected:
  // Wakes the thread if it sleeps. Any thread.
  virtual void Wake() = 0;

  // Each returns whether there was anything to run.
  bool RunInbox();
  bool RunTimers();
  void RoundDone() {
    if (on_round_) on_round_();
  }
  absl::Time NextTimer() const { return timers_.empty() ? absl::InfiniteFuture() : timers_.begin()->first.first; }
  // From here on a Post wakes the thread; false, and not asleep, if something was posted already.
  bool FallAsleep();
  void AwakeAgain();

 private:
  const Clock* const clock_;
  Work on_round_;
  std::map<TimerId, Work> timers_;
  uint64_t next_timer_ = 0;

  std::mutex mutex_;
  std::vector<Work> inbox_;  // guarded by mutex_
  bool asleep_ = false;      // guarded by mutex_
  std::vector<Work> round_;  // the inbox being run
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_EXECUTOR_EXECUTOR_H_
