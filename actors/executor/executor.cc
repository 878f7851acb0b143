#include "actors/executor/executor.h"

namespace holdfast::actors {

void Executor::Post(Work work) {
  {
    MutexLock lock(&mutex_);
    inbox_.push_back(std::move(work));
    if (!std::exchange(asleep_, false)) return;
  }
  Wake();
}

Executor::TimerId Executor::At(absl::Time time, Work work) {
  const TimerId id(time, next_timer_++);
  timers_.emplace(id, std::move(work));
  return id;
}

bool Executor::RunInbox() {
  {
    MutexLock lock(&mutex_);
    if (inbox_.empty()) return false;
    round_.swap(inbox_);
  }
  for (Work& work : round_) work();
  round_.clear();
  return true;
}

bool Executor::RunTimers() {
  if (timers_.empty()) return false;
  const absl::Time now = clock_->Steady();
  // Timers that are set by timers of this round wait for the next round, so that a round ends.
  const uint64_t first_new = next_timer_;
  bool ran = false;
  for (auto it = timers_.begin(); it != timers_.end() && it->first.first <= now;) {
    if (it->first.second >= first_new) {
      ++it;
      continue;
    }
    Work work = std::move(it->second);
    timers_.erase(it);
    work();
    ran = true;
    it = timers_.begin();
  }
  return ran;
}

bool Executor::FallAsleep() {
  MutexLock lock(&mutex_);
  asleep_ = inbox_.empty();
  return asleep_;
}

void Executor::AwakeAgain() {
  MutexLock lock(&mutex_);
  asleep_ = false;
}

}  // namespace holdfast::actors
