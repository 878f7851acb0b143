// A pool of threads for work that may block: reads from disk, commits, changes of column families.
//
// One executor calls Run: `work` runs on one of the threads, in the order of the calls if there is one thread, and
// `done` is then posted to the executor. The destructor finishes the work that waits.

#ifndef HOLDFAST_ACTORS_EXECUTOR_WORKER_POOL_H_
#define HOLDFAST_ACTORS_EXECUTOR_WORKER_POOL_H_

#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "actors/executor/executor.h"
#include "storage/base/background.h"
#include "storage/base/mutex.h"

namespace holdfast::actors {

class WorkerPool : public storage::Background {
 public:
  // `executor` must outlive the pool. `name` is the threads' name in tools, at most 15 bytes.
  WorkerPool(Executor* executor, const std::string& name, int threads);
  ~WorkerPool() override;

  void Run(absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done) override;
  void Post(absl::AnyInvocable<void()> done) override { executor_->Post(std::move(done)); }

 private:
  struct Job {
    absl::AnyInvocable<void()> work;
    absl::AnyInvocable<void()> done;
  };

  void Work();

  Executor* const executor_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_EXECUTOR_WORKER_POOL_H_
