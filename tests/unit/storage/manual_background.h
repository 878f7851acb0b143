// Background work that waits until the test runs it, on the test's thread.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_MANUAL_BACKGROUND_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_MANUAL_BACKGROUND_H_

#include <deque>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "storage/base/background.h"

namespace holdfast::storage {

class ManualBackground : public Background {
 public:
  void Run(absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done) override {
    jobs_.push_back({std::move(work), std::move(done)});
  }
  // On the test's thread, too.
  void Post(absl::AnyInvocable<void()> done) override { jobs_.push_back({nullptr, std::move(done)}); }

  size_t waiting() const { return jobs_.size(); }

  // The work of the oldest job, which as far as the executor knows is still going on.
  void Work() { std::exchange(jobs_.front().work, nullptr)(); }
  // The oldest job, or the rest of it. False if there is none.
  bool RunOne() {
    if (jobs_.empty()) return false;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    if (job.work) job.work();
    job.done();
    return true;
  }
  void RunAll() {
    while (RunOne()) {
    }
  }

 private:
  struct Job {
    absl::AnyInvocable<void()> work;
    absl::AnyInvocable<void()> done;
  };
  std::deque<Job> jobs_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_MANUAL_BACKGROUND_H_
