// One thread for what administrative calls do that may block, and for work that is due now and then. It gives way to
// all others (nice).
//
// Bounds: kWaitingMax pieces of work wait; one more is refused. Each piece is bounded by itself: it reads so many
// objects or waits for so long, and no more.
//
// Threading: any thread. Shutdown: the destructor, or Stop, ends the thread after the work that waits.

#ifndef HOLDFAST_SERVICE_CALL_ADMIN_THREAD_H_
#define HOLDFAST_SERVICE_CALL_ADMIN_THREAD_H_

#include <cstddef>
#include <deque>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class AdminThread {
 public:
  static constexpr size_t kWaitingMax = 16;

  // Calls `tick` at once, and again each time `tick_every` has passed.
  AdminThread(absl::Duration tick_every, absl::AnyInvocable<void()> tick);
  AdminThread(const AdminThread&) = delete;
  AdminThread& operator=(const AdminThread&) = delete;
  ~AdminThread();

  // Runs the work soon. Returns false, and does not take it, if kWaitingMax wait or the thread ends.
  bool Run(absl::AnyInvocable<void()> work);
  // Call it once at most, and on one thread.
  void Stop();

 private:
  void Loop();

  const absl::Duration tick_every_;
  absl::AnyInvocable<void()> tick_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<absl::AnyInvocable<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_ADMIN_THREAD_H_
