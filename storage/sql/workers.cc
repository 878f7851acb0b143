#include "storage/sql/workers.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "storage/sql/failure.h"

namespace holdfast::storage::sql {
namespace {

// A waiting statement looks at this interval whether it is to end, or to overtake.
constexpr auto kLookEvery = std::chrono::milliseconds(20);

}  // namespace

absl::Status WhyEnded(Workers::End end) {
  switch (end) {
    case Workers::End::kNo:
      return absl::OkStatus();
    case Workers::End::kBusy:
      return MakeFailure({.kind = FailureKind::kBusy},
                         "too much SQL is under way (sql.statements_max, sql.namespace_statements_max)");
    case Workers::End::kStopping:
      return MakeFailure({.kind = FailureKind::kStopping}, "the server is shutting down");
  }
  return absl::OkStatus();
}

Workers::Workers(const WorkerLimits& limits, std::function<void(absl::AnyInvocable<void()>)> post,
                 std::function<absl::Time()> now)
    : limits_(limits), post_(std::move(post)), now_(std::move(now)) {
  MutexLock lock(&mutex_);
  threads_.reserve(static_cast<size_t>(limits_.statements_max) + 1);
  AddThread();
}

Workers::~Workers() {
  Drain();
  Interrupt();
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  has_job_.WakeAll();
  for (std::thread& thread : threads_) thread.join();
}

Workers::Admitted Workers::Admit(absl::string_view ns) {
  MutexLock lock(&mutex_);
  if (draining_) return {nullptr, End::kStopping};
  const auto known = of_namespace_.find(ns);
  const int of_namespace = known == of_namespace_.end() ? 0 : known->second;
  if (statements_ >= limits_.statements_max || of_namespace >= limits_.namespace_statements_max) {
    return {nullptr, End::kBusy};
  }
  ++statements_;
  ++of_namespace_[ns];
  auto statement = std::make_shared<Statement>();
  statement->workers_ = this;
  statement->ns_ = std::string(ns);
  statement->admitted_ = now_();
  return {std::move(statement)};
}

void Workers::Start(std::shared_ptr<Statement> statement, absl::AnyInvocable<void()> work,
                    absl::AnyInvocable<void()> done) {
  MutexLock lock(&mutex_);
  jobs_.push_back({std::move(statement), std::move(work), std::move(done)});
  // Each job has a thread, so there are as many threads as jobs were ever under way at a time.
  if (static_cast<size_t>(idle_) < jobs_.size()) AddThread();
  has_job_.WakeOne();
}

void Workers::AddThread() {
  try {
    threads_.emplace_back([this] { Loop(); });
  } catch (const std::system_error&) {
    // The system has no more threads. The job waits for one of those that are there; without any it could never run.
    if (threads_.empty()) throw;
    return;
  }
  pthread_setname_np(threads_.back().native_handle(), "sql");
}

void Workers::Loop() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), limits_.nice);
  MutexLock lock(&mutex_);
  while (true) {
    ++idle_;
    while (!ending_ && jobs_.empty()) has_job_.Wait(&mutex_);
    --idle_;
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    Statement* const statement = job.statement.get();
    begun_.push_back(statement);
    WaitForTurn(statement);
    lock.Unlock();
    job.work();
    job.work = nullptr;
    lock.Lock();
    StopRunning(statement);
    std::erase(begun_, statement);
    --statements_;
    auto of_namespace = of_namespace_.find(statement->ns_);
    if (--of_namespace->second == 0) {
      of_namespace_.erase(of_namespace);
      order_.Forget(statement->ns_);
    }
    post_(std::move(job.done));
  }
}

void Workers::WaitForTurn(Statement* statement) {
  order_.Add(statement, statement->ns_, statement->used_);
  ++waiting_;
  GiveTurns();
  while (!statement->running_) {
    const absl::Time now = now_();
    if (draining_ && statement->used_ == absl::ZeroDuration()) statement->end_ = End::kStopping;
    if (now - statement->admitted_ > limits_.wall_max) statement->end_ = End::kBusy;
    if (interrupted_) statement->end_ = End::kStopping;
    if (statement->end_ != End::kNo) {
      order_.Remove(statement);
      --waiting_;
      return;
    }
    if (now - last_turn_ > limits_.overtake_after && running_ < limits_.running_max + limits_.overtaking_max) {
      Statement* const next = order_.Next();
      --waiting_;
      next->running_ = true;
      next->may_run_.WakeOne();
      ++running_;
      last_turn_ = now;
      continue;
    }
    statement->may_run_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + kLookEvery);
  }
  statement->slice_began_ = now_();
}

void Workers::GiveTurns() {
  while (running_ < limits_.running_max && !order_.empty()) {
    Statement* const next = order_.Next();
    --waiting_;
    next->running_ = true;
    next->may_run_.WakeOne();
    ++running_;
    last_turn_ = now_();
  }
}

void Workers::StopRunning(Statement* statement) {
  if (!statement->running_) return;
  statement->running_ = false;
  statement->used_ += now_() - statement->slice_began_;
  --running_;
  GiveTurns();
}

absl::Duration Workers::Statement::Yield() {
  if (workers_->waiting_.load(std::memory_order_relaxed) == 0) return absl::ZeroDuration();
  const absl::Time now = workers_->now_();
  if (now - slice_began_ < workers_->limits_.slice) return absl::ZeroDuration();
  MutexLock lock(&workers_->mutex_);
  if (!running_) return absl::ZeroDuration();  // the statement is to end, and has no turn
  workers_->StopRunning(this);
  workers_->WaitForTurn(this);
  return workers_->now_() - now;
}

void Workers::Drain() {
  MutexLock lock(&mutex_);
  draining_ = true;
  for (Statement* statement : begun_) statement->may_run_.WakeOne();
}

void Workers::Interrupt() {
  MutexLock lock(&mutex_);
  draining_ = interrupted_ = true;
  for (Statement* statement : begun_) {
    statement->end_ = End::kStopping;
    statement->may_run_.WakeOne();
  }
}

}  // namespace holdfast::storage::sql
