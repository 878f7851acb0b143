// The threads for SQL that may take long, shared fairly.
//
// Every statement that is admitted gets a thread (or waits for one, if the system has no more), but only running_max of
// them run at a time. A statement that has run for a slice gives way, in the middle of its work, if another waits:
// SQLite asks now and then whether to go on (budget.h), and the thread waits there. The next one to run is of the
// namespace that was served longest ago, and in it the statement that has run least. A short statement therefore waits
// for a slice or two, however many endless ones there are. If the running statements do not give way, since SQLite is
// inside one long function, one more runs beside them.
//
// Bounds: statements in all and of a namespace; over them Admit refuses. A statement that has to wait for a turn when
// wall_max has passed since it was admitted is to end, whether it has run or not.
//
// Ownership: a Statement is shared by its caller and this. Threading: Admit and Start on the executor, Yield and end()
// on the thread of the statement, Drain and Interrupt on any. Shutdown: Drain, later Interrupt, then the destructor,
// which waits for the threads.

#ifndef HOLDFAST_STORAGE_SQL_WORKERS_H_
#define HOLDFAST_STORAGE_SQL_WORKERS_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/base/background.h"
#include "storage/base/mutex.h"
#include "storage/sql/fair_order.h"

namespace holdfast::storage::sql {

struct WorkerLimits {
  int running_max = 2;
  int statements_max = 64;
  int namespace_statements_max = 48;
  absl::Duration slice = absl::Milliseconds(10);
  // If no statement has been given a turn for `overtake_after`, one more runs beside the others, up to `overtaking_max`
  // more.
  absl::Duration overtake_after = absl::Milliseconds(50);
  int overtaking_max = 6;
  absl::Duration wall_max = absl::Seconds(20);
  // The threads give way to executors, which serve everybody: the system's "nice" value, 0 to 19.
  int nice = 5;
};

class Workers {
 public:
  // The reason why a statement is refused, or is to end before it is done.
  enum class End { kNo, kBusy, kStopping };

  // One transaction, which runs once.
  class Statement {
   public:
    // Gives way if the statement has run for a slice and others wait; returns the time that it waited. Called often.
    absl::Duration Yield();
    absl::Time admitted() const { return admitted_; }
    End end() const { return end_.load(std::memory_order_relaxed); }

   private:
    friend class Workers;
    Workers* workers_ = nullptr;
    std::string ns_;
    absl::Time admitted_;
    absl::Time slice_began_;
    absl::Duration used_;
    bool running_ = false;  // guarded by the mutex_ of workers_
    CondVar may_run_;
    std::atomic<End> end_ = End::kNo;
  };

  // `post` runs work on the executor; `now` is a clock that never goes back, any thread.
  Workers(const WorkerLimits& limits, std::function<void(absl::AnyInvocable<void()>)> post,
          std::function<absl::Time()> now);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();

  // Admits a statement of the namespace, or returns why it is refused.
  struct Admitted {
    std::shared_ptr<Statement> statement;  // null: refused
    End refusal = End::kNo;
  };
  Admitted Admit(absl::string_view ns);
  // Runs `work` on a thread, then `done` on the executor. `work` runs also where the statement is to end at once.
  void Start(std::shared_ptr<Statement> statement, absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done);

  // Returns the number of statements that have a thread and wait for their turn. Any thread.
  int waiting() const { return waiting_.load(std::memory_order_relaxed); }

  // Runs `work` on the executor, soon.
  void Post(absl::AnyInvocable<void()> work) { post_(std::move(work)); }

  // Admits no more statements, and ends those that have not begun to run.
  void Drain();
  // Does the same, and ends the running statements too.
  void Interrupt();

 private:
  struct Job {
    std::shared_ptr<Statement> statement;
    absl::AnyInvocable<void()> work;
    absl::AnyInvocable<void()> done;
  };

  void AddThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Loop();
  // Waits until the statement may run, or is to end.
  void WaitForTurn(Statement* statement) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveTurns() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StopRunning(Statement* statement) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const WorkerLimits limits_;
  const std::function<void(absl::AnyInvocable<void()>)> post_;
  const std::function<absl::Time()> now_;

  std::atomic<int> waiting_ = 0;  // written under mutex_, read without it

  Mutex mutex_;
  CondVar has_job_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;  // threads that wait for a job
  int statements_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, int> of_namespace_ ABSL_GUARDED_BY(mutex_);
  // The statements that have a thread: they run, or wait for a turn.
  std::vector<Statement*> begun_ ABSL_GUARDED_BY(mutex_);
  FairOrder<Statement> order_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time last_turn_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

// The error of a transaction that was ended, or not begun, for what goes on beside it.
absl::Status WhyEnded(Workers::End end);

// Runs the work of one statement on its thread of the workers.
class StatementBackground : public Background {
 public:
  StatementBackground(Workers* workers, std::shared_ptr<Workers::Statement> statement)
      : workers_(workers), statement_(std::move(statement)) {}
  void Run(absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done) override {
    workers_->Start(std::move(statement_), std::move(work), std::move(done));
  }
  void Post(absl::AnyInvocable<void()> done) override { workers_->Post(std::move(done)); }

 private:
  Workers* const workers_;
  std::shared_ptr<Workers::Statement> statement_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_WORKERS_H_
