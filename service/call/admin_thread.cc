#include "service/call/admin_thread.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <utility>

namespace holdfast::service {
namespace {

constexpr int kNice = 10;

}  // namespace

AdminThread::AdminThread(absl::Duration tick_every, absl::AnyInvocable<void()> tick)
    : tick_every_(tick_every), tick_(std::move(tick)), thread_([this] { Loop(); }) {
  pthread_setname_np(thread_.native_handle(), "admin");
}

AdminThread::~AdminThread() {
  if (thread_.joinable()) Stop();
}

bool AdminThread::Run(absl::AnyInvocable<void()> work) {
  MutexLock lock(&mutex_);
  if (ending_ || waiting_.size() >= kWaitingMax) return false;
  waiting_.push_back(std::move(work));
  changed_.WakeOne();
  return true;
}

void AdminThread::Stop() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.WakeOne();
  thread_.join();
}

void AdminThread::Loop() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  CondVar::Deadline next_tick = std::chrono::steady_clock::now();
  MutexLock lock(&mutex_);
  while (true) {
    bool ticks = std::chrono::steady_clock::now() >= next_tick;
    while (!ticks && waiting_.empty() && !ending_) ticks = !changed_.WaitUntil(&mutex_, next_tick);
    if (waiting_.empty() && ending_) return;
    absl::AnyInvocable<void()> work;
    if (!waiting_.empty()) {
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    lock.Unlock();
    if (work != nullptr) work();
    work = nullptr;
    if (ticks) {
      tick_();
      next_tick = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(tick_every_);
    }
    lock.Lock();
  }
}

}  // namespace holdfast::service
