#include "service/call/maintenance.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace holdfast::service {
namespace {

constexpr int kNice = 10;

}  // namespace

bool Maintenance::Begin(Work work) {
  MutexLock lock(&mutex_);
  if (stopping_ || working_) return false;
  // It has ended but for its last lines.
  if (thread_.joinable()) thread_.join();
  working_ = true;
  thread_ = std::thread([this, work = std::move(work)]() mutable {
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
    work(stopping_);
    work = nullptr;
    MutexLock ended(&mutex_);
    working_ = false;
  });
  pthread_setname_np(thread_.native_handle(), "maintenance");
  return true;
}

void Maintenance::Stop() {
  stopping_ = true;
  std::thread last;
  {
    MutexLock lock(&mutex_);
    last = std::move(thread_);
  }
  if (last.joinable()) last.join();
}

}  // namespace holdfast::service
