// Background work that waits until the test runs it, on the test's thread. Its end waits too, until the test lets the
// executor hear of it: a crash between the two is one in which the work is done and nobody knows.

#ifndef HOLDFAST_TESTS_SIMULATION_MANUAL_BACKGROUND_H_
#define HOLDFAST_TESTS_SIMULATION_MANUAL_BACKGROUND_H_

#include <deque>
#include <functional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "storage/base/background.h"

namespace holdfast::simulation {

class ManualBackground : public storage::Background {
 public:
  using End = absl::AnyInvocable<void()>;

  // `tell` takes the end of a piece of work to its executor and runs it there. Without one, RunDone() runs the end.
  explicit ManualBackground(std::function<void(End)> tell = [](End end) { end(); }) : tell_(std::move(tell)) {}

  void Run(absl::AnyInvocable<void()> work, End done) override { jobs_.push_back({std::move(work), std::move(done)}); }

  // The test waits for the thread that calls this before it runs an end (Store::WaitForCommits).
  void Post(End done) override { ended_.push_back(std::move(done)); }

  // Runs the oldest piece of work, which as far as the executor knows still goes on. Returns false if there is none.
  bool RunWork() {
    if (jobs_.empty()) return false;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    job.work();
    ended_.push_back(std::move(job.done));
    return true;
  }
  // Lets the executor hear of the oldest end. Returns false if there is none.
  bool RunDone() {
    if (ended_.empty()) return false;
    End end = std::move(ended_.front());
    ended_.pop_front();
    tell_(std::move(end));
    return true;
  }
  // Runs one piece of work and its end, or only the end where the work is done already.
  bool RunOne() { return RunDone() || (RunWork() && RunDone()); }
  void RunAll() {
    while (RunOne()) {
    }
  }
  // Puts the newest piece of work before the others, as several threads may do.
  void Overtake() {
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.back());
    jobs_.pop_back();
    jobs_.push_front(std::move(job));
  }
  size_t waiting() const { return jobs_.size(); }
  size_t ended() const { return ended_.size(); }

 private:
  struct Job {
    absl::AnyInvocable<void()> work;
    End done;
  };

  const std::function<void(End)> tell_;
  std::deque<Job> jobs_;
  std::deque<End> ended_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_MANUAL_BACKGROUND_H_
