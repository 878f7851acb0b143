#include "actors/executor/worker_pool.h"

#include <pthread.h>

#include <utility>

namespace holdfast::actors {

WorkerPool::WorkerPool(Executor* executor, const std::string& name, int threads) : executor_(executor) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Work(); });
    pthread_setname_np(threads_.back().native_handle(), name.c_str());
  }
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.WakeAll();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Run(absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done) {
  {
    MutexLock lock(&mutex_);
    jobs_.push_back({std::move(work), std::move(done)});
  }
  changed_.WakeOne();
}

void WorkerPool::Work() {
  MutexLock lock(&mutex_);
  while (true) {
    while (!ending_ && jobs_.empty()) changed_.Wait(&mutex_);
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.Unlock();
    job.work();
    job.work = nullptr;
    executor_->Post(std::move(job.done));
    lock.Lock();
  }
}

}  // namespace holdfast::actors
