#include "service/call/completion_queue_executor.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "actors/executor/clock.h"

namespace holdfast::service {
namespace {

// Stands for the end of a call: an operation of gRPC that ends at once. If it begins on a queue that was shut down, it
// ends the process, like Finish.
class Operation final : public Event {
 public:
  Operation(grpc::CompletionQueue* queue, std::function<void()> then) : then_(std::move(then)) {
    alarm_.Set(queue, gpr_inf_past(GPR_CLOCK_MONOTONIC), Tag());
  }
  void OnEvent(bool) override {
    then_();
    delete this;
  }

 private:
  grpc::Alarm alarm_;
  const std::function<void()> then_;
};

class CompletionQueueExecutorTest : public testing::Test {
 protected:
  // Starts two executors of one server, which is needed for their queues only.
  void SetUp() override {
    grpc::ServerBuilder builder;
    for (int i = 0; i < 2; ++i) {
      executors_.push_back(std::make_unique<CompletionQueueExecutor>(&clock_, builder.AddCompletionQueue()));
    }
    server_ = builder.BuildAndStart();
    for (auto& executor : executors_) executor->Start();
  }

  // On `executor`, begins an operation of `queue` in every round, for as long as there are rounds, like turns that end
  // while the server stops.
  void BeginInEveryRound(CompletionQueueExecutor* executor, grpc::CompletionQueue* queue) {
    executor->Post([this, executor, queue] {
      new Operation(queue, [this] { ++ended_; });
      if (++begun_ == 1) first_.set_value();
      BeginInEveryRound(executor, queue);
    });
  }

  // On `executor`, begins an operation of its own queue by a timer, and sets the next timer when the operation has
  // ended. No operation is therefore under way when a round comes to the posted tasks, and the timer runs after those.
  void BeginByTimers(CompletionQueueExecutor* executor) {
    executor->At(clock_.Steady(), [this, executor] {
      ++begun_;
      new Operation(executor->queue(), [this, executor] {
        ++ended_;
        if (ended_ == 1) first_.set_value();
        BeginByTimers(executor);
      });
    });
  }

  const actors::SystemClock clock_;
  std::vector<std::unique_ptr<CompletionQueueExecutor>> executors_;
  std::unique_ptr<grpc::Server> server_;
  std::promise<void> first_;
  std::atomic<int> begun_ = 0;
  std::atomic<int> ended_ = 0;
};

// Timers run after the posted tasks, and the end of the thread is one of those.
TEST_F(CompletionQueueExecutorTest, TimersOfTheLastRoundBeginsNothingOnAQueueThatWasShutDown) {
  executors_[0]->Post([this] { BeginByTimers(executors_[0].get()); });
  first_.get_future().wait();
  server_->Shutdown();
  for (auto& executor : executors_) executor->Join();
  EXPECT_EQ(begun_, ended_);
}

TEST_F(CompletionQueueExecutorTest, WorkOfOneExecutorBeginsNothingOnTheQueueOfAnotherThatWasShutDown) {
  BeginInEveryRound(executors_[1].get(), executors_[0]->queue());
  first_.get_future().wait();
  server_->Shutdown();
  for (auto& executor : executors_) executor->Stop();
  for (auto& executor : executors_) executor->Join();
  EXPECT_EQ(begun_, ended_);
}

// An event that was in the queue already may begin an operation when the threads have ended.
TEST_F(CompletionQueueExecutorTest, AnEventThatIsHandledAfterTheThreadMayBeginAnOperation) {
  server_->Shutdown();
  for (auto& executor : executors_) executor->Stop();
  grpc::CompletionQueue* const queue = executors_[0]->queue();
  new Operation(queue, [this, queue] { new Operation(queue, [this] { ++ended_; }); });
  for (auto& executor : executors_) executor->Join();
  EXPECT_EQ(ended_, 1);
}

}  // namespace
}  // namespace holdfast::service
