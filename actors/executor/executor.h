// An executor is a thread that runs a fixed set of shards, one piece of work after the other, so that nothing above
// storage needs a lock. This base class has the parts that all executors share: an inbox that any thread may post to,
// and timers. A subclass decides how the thread waits: the server's executor sleeps in a gRPC completion queue, and the
// tests' executor has no thread.
//
// A round runs all the work that is ready, then calls `on_round`, which begins a group commit. Only then does the
// thread sleep.

#ifndef HOLDFAST_ACTORS_EXECUTOR_EXECUTOR_H_
#define HOLDFAST_ACTORS_EXECUTOR_EXECUTOR_H_

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "actors/executor/clock.h"
#include "storage/base/mutex.h"

namespace holdfast::actors {

class Executor {
 public:
  using Work = absl::AnyInvocable<void()>;
  // Names a timer: its due time, by the steady clock, and a number that tells timers of the same time apart.
  using TimerId = std::pair<absl::Time, uint64_t>;

  explicit Executor(const Clock* clock) : clock_(clock) {}
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Any thread may call it. Runs `work` on the executor's thread, after all work that was posted before.
  void Post(Work work);
  virtual bool IsCurrent() const = 0;

  // --- On the executor's thread only.
  const Clock& clock() const { return *clock_; }
  // Returns for how long work from outside has been waiting, at most: the time since the thread last had none; zero if
  // it had none in this round. Work that can wait, such as overdue alarms, makes room while this is long.
  virtual absl::Duration behind() const { return absl::ZeroDuration(); }
  // Runs `work` once, not before `time` by the steady clock.
  TimerId At(absl::Time time, Work work);
  TimerId After(absl::Duration delay, Work work) { return At(clock_->Steady() + delay, std::move(work)); }
  // Cancels a timer. It does nothing if the timer ran or was cancelled.
  void Cancel(const TimerId& timer) { timers_.erase(timer); }
  // Sets the function that is called at the end of every round. Call it before the first round.
  void set_on_round(Work on_round) { on_round_ = std::move(on_round); }

 protected:
  // Wakes the thread if it sleeps. Any thread may call it.
  virtual void Wake() = 0;

  // These return whether there was anything to run.
  bool RunInbox();
  bool RunTimers();
  void RoundDone() {
    if (on_round_) on_round_();
  }
  absl::Time NextTimer() const { return timers_.empty() ? absl::InfiniteFuture() : timers_.begin()->first.first; }
  // Marks the thread as asleep, so that a Post wakes it. Returns false, and does not mark it, if the inbox has work.
  bool FallAsleep();
  void AwakeAgain();

 private:
  const Clock* const clock_;
  Work on_round_;
  std::map<TimerId, Work> timers_;
  uint64_t next_timer_ = 0;
  std::vector<Work> round_;  // the work of the current round

  Mutex mutex_;
  std::vector<Work> inbox_ ABSL_GUARDED_BY(mutex_);
  bool asleep_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_EXECUTOR_EXECUTOR_H_
