// Measures the hop between threads: from Post on one thread until the task runs on the server's executor.

#include <benchmark/benchmark.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "actors/executor/clock.h"
#include "service/call/completion_queue_executor.h"

namespace holdfast::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Long enough for the executor to find no work and fall asleep.
constexpr std::chrono::microseconds kFallAsleep{300};
constexpr int kPostsInARow = 1000;

// The server's executor, with a gRPC server that serves nothing.
class RunningExecutor {
 public:
  RunningExecutor() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    executor_ = std::make_unique<service::CompletionQueueExecutor>(&clock_, builder.AddCompletionQueue());
    server_ = builder.BuildAndStart();
    executor_->Start();
  }
  ~RunningExecutor() {
    server_->Shutdown();
    executor_->Join();
  }
  actors::Executor& operator*() { return *executor_; }

 private:
  const actors::SystemClock clock_;
  std::unique_ptr<service::CompletionQueueExecutor> executor_;
  std::unique_ptr<grpc::Server> server_;
};

void PostToSleepingExecutor(benchmark::State& state) {
  RunningExecutor executor;
  for (auto _ : state) {
    std::this_thread::sleep_for(kFallAsleep);
    std::atomic<bool> ran{false};
    SteadyClock::time_point run_time;
    const auto begin = SteadyClock::now();
    (*executor).Post([&] {
      run_time = SteadyClock::now();
      ran = true;
      ran.notify_one();
    });
    ran.wait(false);
    state.SetIterationTime(std::chrono::duration<double>(run_time - begin).count());
  }
}
BENCHMARK(PostToSleepingExecutor)->UseManualTime()->Unit(benchmark::kMicrosecond);

// Posts one task after the other without waiting: the executor is awake for most of them.
void PostToBusyExecutor(benchmark::State& state) {
  RunningExecutor executor;
  for (auto _ : state) {
    std::atomic<int> ran{0};
    for (int i = 0; i < kPostsInARow; ++i) {
      (*executor).Post([&ran] {
        if (++ran == kPostsInARow) ran.notify_one();
      });
    }
    for (int seen = ran; seen < kPostsInARow; seen = ran) ran.wait(seen);
  }
  state.SetItemsProcessed(state.iterations() * kPostsInARow);
}
BENCHMARK(PostToBusyExecutor)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace holdfast::bench
