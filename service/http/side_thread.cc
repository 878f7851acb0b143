#include "service/http/side_thread.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace holdfast::service {
namespace {

constexpr int kNice = 10;

}  // namespace

SideThread::SideThread() : thread_([this] { Loop(); }) {}

SideThread::~SideThread() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.WakeOne();
  }
  thread_.join();
}

bool SideThread::Run(Work work) {
  MutexLock lock(&mutex_);
  if (waiting_.size() >= kWaitingMax) return false;
  waiting_.push_back(std::move(work));
  changed_.WakeOne();
  return true;
}

void SideThread::Loop() {
  pthread_setname_np(pthread_self(), "http-side");
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  while (true) {
    Work work;
    {
      MutexLock lock(&mutex_);
      while (waiting_.empty() && !ending_) changed_.Wait(&mutex_);
      if (ending_) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work();
  }
}

}  // namespace holdfast::service
