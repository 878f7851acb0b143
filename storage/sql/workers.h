// The threads on which SQL runs that may take long, shared fairly.
//
// Every statement that is admitted has a thread, but only so many of them run at a time. One that has run for a slice
// gives way if another waits, in the middle of its work: SQLite asks now and then whether to go on (budget.h), and the
// thread waits there. Who goes next: of the namespaces that wait the one that was served longest ago, and in it the
// statement that has run least. So a short statement waits for a slice or two, however many endless ones there are.
// Where those that run do not give way (SQLite is inside one long function), one more runs beside them.
//
// Bounds: statements in all and of a namespace; over them Admit refuses. A statement that has been here for wall_max,
// run or not, is to end.
//
// Ownership: a Statement is shared by whoever runs it and this. Threading: Admit and Start on the executor, Yield and
// end() on the thread of the statement, Drain and Interrupt on any. Shutdown: Drain, later Interrupt, then the
// destructor, which waits for the threads.

#ifndef HOLDFAST_STORAGE_SQL_WORKERS_H_
#define HOLDFAST_STORAGE_SQL_WORKERS_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/background.h"
#include "storage/sql/fair_order.h"

namespace holdfast::storage::sql {

struct WorkerLimits {
  int running_max = 2;
  int statements_max = 64;
  int namespace_statements_max = 48;
  absl::Duration slice = absl::Milliseconds(10);
  // After so long without anybody's giving way one more runs, up to so many more.
  absl::Duration overtake_after = absl::Milliseconds(50);
  int overtaking_max = 6;
  absl::Duration wall_max = absl::Seconds(20);
  // The threads give way to executors, which serve everybody: the system's "nice" value, 0 to 19.
  int nice = 5;
};

class Workers {
 public:
  // Why a statement is to end before it is done.
  enum class End { kNo, kBusy, kStopping };

  // One transaction, which runs once.
  class Statement {
   public:
    // Gives way if it has run for a slice and others wait; how long that took. Asked often.
    absl::Duration Yield();
    End end() const { return end_.load(std::memory_order_relaxed); }

   private:
    friend class Workers;
    Workers* workers_ = nullptr;
    std::string ns_;
    absl::Time admitted_;
    absl::Time slice_began_;
    absl::Duration used_;
    bool running_ = false;  // guarded by Workers::mutex_
    std::condition_variable may_run_;
    std::atomic<End> end_ = End::kNo;
  };

  // `post` runs work on the executor; `now` is a clock that never goes back, any thread.
  Workers(const WorkerLimits& limits, std::function<void(absl::AnyInvocable<void()>)> post,
          std::function<absl::Time()> now);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();

  // Takes a statement of the namespace in, or says why not.
  struct Admitted {
    std::shared_ptr<Statement> statement;  // null: refused
    End refusal = End::kNo;
  };
  Admitted Admit(absl::string_view ns);
  // Runs `work` on a thread, then `done` on the executor. `work` runs also where the statement is to end at once.
  void Start(std::shared_ptr<Statement> statement, absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done);

  // Runs `work` on the executor, soon.
  void Post(absl::AnyInvocable<void()> work) { post_(std::move(work)); }

  // Admits nobody any more, and ends what has not begun to run.
  void Drain();
  // Ends what runs, too.
  void Interrupt();

 private:
  struct Job {
    std::shared_ptr<Statement> statement;
    absl::AnyInvocable<void()> work;
    absl::AnyInvocable<void()> done;
  };

  // With mutex_ held.
  void AddThread();
  void Loop();
  // Waits until the statement may run, or is to end. Each with mutex_ held by `lock`.
  void WaitForTurn(Statement* statement, std::unique_lock<std::mutex>& lock);
  void GiveTurns();
  void StopRunning(Statement* statement);

  const WorkerLimits limits_;
  const std::function<void(absl::AnyInvocable<void()>)> post_;
  const std::function<absl::Time()> now_;

  std::mutex mutex_;
  std::condition_variable has_job_;
  // Everything below is guarded by mutex_, but for the atomics, which are written with it held.
  std::deque<Job> jobs_;
  std::vector<std::thread> threads_;
  int idle_ = 0;  // threads that wait for a job
  int statements_ = 0;
  absl::flat_hash_map<std::string, int> of_namespace_;
  std::vector<Statement*> begun_;  // those that have run, or wait to run on
  FairOrder<Statement> order_;
  std::atomic<int> waiting_ = 0;
  int running_ = 0;
  absl::Time last_turn_ = absl::InfinitePast();
  bool draining_ = false;
  bool interrupted_ = false;
  bool ending_ = false;
};

// Work of one statement as Background has it.
class StatementBackground : public Background {
 public:
  StatementBackground(Workers* workers, std::shared_ptr<Workers::Statement> statement)
      : workers_(workers), statement_(std::move(statement)) {}
  void Run(absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done) override {
    workers_->Start(std::move(statement_), std::move(work), std::move(done));
  }

 private:
  Workers* const workers_;
  std::shared_ptr<Workers::Statement> statement_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_WORKERS_H_
