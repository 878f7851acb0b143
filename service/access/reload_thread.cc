#include "service/access/reload_thread.h"

#include <pthread.h>

#include <chrono>

namespace holdfast::service {

ReloadThread::~ReloadThread() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    stopped_.WakeAll();
  }
  if (thread_.joinable()) thread_.join();
}

void ReloadThread::Start(const char* name) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), name);
}

void ReloadThread::Run() {
  MutexLock lock(&mutex_);
  while (!stop_) {
    const auto next = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(interval_);
    while (!stop_ && stopped_.WaitUntil(&mutex_, next)) {
    }
    if (stop_) return;
    lock.Unlock();
    reload_();
    lock.Lock();
  }
}

}  // namespace holdfast::service
