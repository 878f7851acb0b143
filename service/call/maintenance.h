// Long work over the whole store for those who run the server, such as a scrub. There is one piece of it at a time, on
// a thread of its own that gives way to all others.
//
// Threading: any thread. Ownership: outlived by the store that the work is on. Shutdown: Stop, or the destructor, asks
// the work to end and waits for it.

#ifndef HOLDFAST_SERVICE_CALL_MAINTENANCE_H_
#define HOLDFAST_SERVICE_CALL_MAINTENANCE_H_

#include <atomic>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class Maintenance {
 public:
  // The work ends soon once `stopping` is true.
  using Work = absl::AnyInvocable<void(const std::atomic<bool>& stopping)>;

  Maintenance() = default;
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;
  ~Maintenance() { Stop(); }

  // Begins the work; returns false, and does not take it, if there is work under way.
  bool Begin(Work work);
  // From now on no work begins.
  void Stop();

 private:
  std::atomic<bool> stopping_ = false;

  Mutex mutex_;
  bool working_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);  // of the last work, until it is joined
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_MAINTENANCE_H_
