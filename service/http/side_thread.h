// A thread for what takes a while and matters little: pages of metrics, and files that are looked at again. It gives
// way to all others (nice).
//
// Bounds: kWaitingMax pieces of work wait. Threading: Run from any thread; the destructor after the last Run, which
// drops what waits.

#ifndef HOLDFAST_SERVICE_HTTP_SIDE_THREAD_H_
#define HOLDFAST_SERVICE_HTTP_SIDE_THREAD_H_

#include <cstddef>
#include <deque>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class SideThread {
 public:
  static constexpr size_t kWaitingMax = 16;
  using Work = absl::AnyInvocable<void()>;

  SideThread();
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;
  ~SideThread();

  // Runs the work on the thread, after what came before. Returns false, and drops it, if too much waits.
  bool Run(Work work);

 private:
  void Loop();

  Mutex mutex_;
  CondVar changed_;
  std::deque<Work> waiting_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_SIDE_THREAD_H_
