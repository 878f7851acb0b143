// A thread that looks for changes of files: it calls a function again and again, from Start until it is destroyed.
//
// Threading: made, started and destroyed by one thread; the function runs on its own. Nothing of it runs any more once
// the destructor returns, so whoever the function works for has this as its last member.

#ifndef HOLDFAST_SERVICE_ACCESS_RELOAD_THREAD_H_
#define HOLDFAST_SERVICE_ACCESS_RELOAD_THREAD_H_

#include <functional>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class ReloadThread {
 public:
  // `reload` is called `interval` after Start, and `interval` after each call of it.
  ReloadThread(absl::Duration interval, std::function<void()> reload)
      : interval_(interval), reload_(std::move(reload)) {}
  ReloadThread(const ReloadThread&) = delete;
  ReloadThread& operator=(const ReloadThread&) = delete;
  ~ReloadThread();

  // `name` has at most 15 characters.
  void Start(const char* name);

 private:
  void Run();

  const absl::Duration interval_;
  const std::function<void()> reload_;
  Mutex mutex_;
  CondVar stopped_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_RELOAD_THREAD_H_
