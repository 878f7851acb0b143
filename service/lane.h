// An executor of the server with the objects and threads that belong to it.

#ifndef HOLDFAST_SERVICE_LANE_H_
#define HOLDFAST_SERVICE_LANE_H_

#include <future>
#include <memory>
#include <random>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "actors/executor/worker_pool.h"
#include "actors/runtime/shard_host.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/endpoint.h"
#include "service/options.h"

namespace holdfast::service {

// Members are destroyed in the reverse order: first the threads that post to the executor.
struct Lane {
  Lane(const actors::Clock* clock, std::unique_ptr<grpc::ServerCompletionQueue> queue, const config::v1::Config& config)
      : executor(clock, std::move(queue)),
        random(std::random_device{}()),
        reads(&executor, "reads", config.actors().io_threads()),
        sql(
            StatementLimitsOf(config), [this](absl::AnyInvocable<void()> work) { executor.Post(std::move(work)); },
            actors::SteadyNow),
        imports(
            ImportLimitsOf(config), [this](absl::AnyInvocable<void()> work) { executor.Post(std::move(work)); },
            actors::SteadyNow),
        commits(&executor, "commits", 1),
        family_changes(&executor, "families", 1) {}

  // Runs `work` on the executor, waits for its end, and returns its result. Not for an executor's thread.
  template <typename Work>
  auto Run(Work work);

  CompletionQueueExecutor executor;
  actors::SeededRandom random;
  std::unique_ptr<actors::ShardHost> host;
  std::unique_ptr<Endpoint> endpoint;
  actors::WorkerPool reads;
  storage::sql::Workers sql;
  storage::sql::Workers imports;
  actors::WorkerPool commits;
  actors::WorkerPool family_changes;
};

template <typename Work>
auto Lane::Run(Work work) {
  std::promise<decltype(work())> done;
  executor.Post([&] {
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      done.set_value();
    } else {
      done.set_value(work());
    }
  });
  return done.get_future().get();
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_LANE_H_
