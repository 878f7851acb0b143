// A MemoryStore that commits as a store on another machine does: on a thread of its own, which hands the end over when
// it has got so far.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_LATE_STORE_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_LATE_STORE_H_

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/store/memory_store.h"
#include "storage/store/store.h"

namespace holdfast::storage {

class LateStore : public MemoryStore {
 public:
  LateStore() : thread_([this] { Work(); }) {}
  ~LateStore() override {
    {
      std::lock_guard lock(jobs_mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void Commit(absl::Span<const KeyspaceWrites> writes, Background* background, CommitDone done) override {
    {
      std::lock_guard lock(jobs_mutex_);
      jobs_.push_back({writes, background, std::move(done)});
    }
    changed_.notify_all();
  }
  void WaitForCommits() override {
    std::unique_lock lock(jobs_mutex_);
    changed_.wait(lock, [this] { return jobs_.empty(); });
  }

 private:
  static constexpr absl::Duration kLatency = absl::Microseconds(200);

  struct Job {
    absl::Span<const KeyspaceWrites> writes;
    Background* background;
    CommitDone done;
  };

  void Work() {
    std::unique_lock lock(jobs_mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      Job& job = jobs_.front();
      lock.unlock();
      absl::SleepFor(kLatency);
      job.background->Post([done = std::move(job.done), status = CommitSync(job.writes)]() mutable {
        std::exchange(done, nullptr)(status, kLatency);
      });
      lock.lock();
      jobs_.pop_front();
      changed_.notify_all();
    }
  }

  std::mutex jobs_mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // guarded by jobs_mutex_, but for the first, which is the thread's
  bool ending_ = false;   // guarded by jobs_mutex_
  std::thread thread_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_LATE_STORE_H_
