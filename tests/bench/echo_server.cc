// The upper limit: a gRPC server with the messages and the threading of holdfastd and nothing behind them. Each method
// answers at once, with a reply as large as that of holdfastd.
//
//   echo_server PORT THREADS [HELD]      ends on SIGTERM
//
// With HELD, each thread holds its replies and sends them all at once, when this many calls wait or when no call came
// for a while. A server that commits calls together does the same.

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "envoy/service/ratelimit/v3/rls.grpc.pb.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"

namespace holdfast::bench {
namespace {

using grpc::ServerCompletionQueue;
using grpc::ServerContext;

class Call {
 public:
  virtual void OnEvent(bool ok) = 0;
  virtual void Reply() = 0;

 protected:
  ~Call() = default;
};

// One completion queue, polled by one thread.
struct Poller {
  std::unique_ptr<ServerCompletionQueue> queue;
  size_t held_max = 1;
  std::vector<Call*> held = {};

  void Hold(Call* call) {
    held.push_back(call);
    if (held.size() >= held_max) ReplyToAll();
  }
  void ReplyToAll() {
    for (Call* call : std::exchange(held, {})) call->Reply();
  }
  void Run() {
    void* tag;
    bool ok;
    while (true) {
      const auto next = queue->AsyncNext(&tag, &ok, std::chrono::system_clock::now() + std::chrono::milliseconds(5));
      if (next == ServerCompletionQueue::SHUTDOWN) return;
      if (next == ServerCompletionQueue::TIMEOUT) {
        ReplyToAll();
      } else {
        static_cast<Call*>(tag)->OnEvent(ok);
      }
    }
  }
};

// `Receive` is the generated RequestXxx of the service.
template <auto Receive, typename Service, typename Request, typename Response>
class EchoCall final : public Call {
 public:
  using Fill = void (*)(const Request&, Response*);

  static void Post(Service* service, Fill fill, Poller* poller) {
    auto* const call = new EchoCall(service, fill, poller);
    ServerCompletionQueue* const queue = poller->queue.get();
    (service->*Receive)(&call->context_, &call->request_, &call->writer_, queue, queue, static_cast<Call*>(call));
  }

  void OnEvent(bool ok) override {
    if (finished_ || !ok) {
      delete this;
      return;
    }
    Post(service_, fill_, poller_);
    finished_ = true;
    fill_(request_, &response_);
    poller_->Hold(this);
  }
  void Reply() override { writer_.Finish(response_, grpc::Status::OK, static_cast<Call*>(this)); }

 private:
  EchoCall(Service* service, Fill fill, Poller* poller)
      : service_(service), fill_(fill), poller_(poller), writer_(&context_) {}

  Service* const service_;
  const Fill fill_;
  Poller* const poller_;
  ServerContext context_;
  Request request_;
  Response response_;
  grpc::ServerAsyncResponseWriter<Response> writer_;
  bool finished_ = false;
};

struct Services {
  v1::CounterService::AsyncService counters;
  v1::RateLimiterService::AsyncService limiters;
  v1::UserCacheService::AsyncService users;
  v1::BatchProcessorService::AsyncService batches;
  v1::ObjectService::AsyncService objects;
  envoy::service::ratelimit::v3::RateLimitService::AsyncService envoy_limits;
};

constexpr int64_t kTimeSeconds = 1'800'000'000;

template <auto Receive, typename Request, typename Response, typename Service>
void Post(Service* service, Poller* poller, void (*fill)(const Request&, Response*)) {
  EchoCall<Receive, Service, Request, Response>::Post(service, fill, poller);
}

void PostAll(Services* services, Poller* poller) {
  using Counter = v1::CounterService::AsyncService;
  using Limiter = v1::RateLimiterService::AsyncService;
  using Users = v1::UserCacheService::AsyncService;
  using Batch = v1::BatchProcessorService::AsyncService;
  using Objects = v1::ObjectService::AsyncService;
  Post<&Counter::RequestIncrement, v1::IncrementRequest, v1::IncrementResponse>(
      &services->counters, poller,
      [](const v1::IncrementRequest&, v1::IncrementResponse* response) { response->set_value(1000); });
  Post<&Counter::RequestGetValue, v1::GetValueRequest, v1::GetValueResponse>(
      &services->counters, poller,
      [](const v1::GetValueRequest&, v1::GetValueResponse* response) { response->set_value(1000); });
  Post<&Limiter::RequestCheckLimit, v1::CheckLimitRequest, v1::CheckLimitResponse>(
      &services->limiters, poller, [](const v1::CheckLimitRequest& request, v1::CheckLimitResponse* response) {
        response->set_allowed(true);
        response->set_limit(request.check().limit());
        response->set_remaining(50);
        response->mutable_reset_after()->set_seconds(59);
        response->mutable_reset_after()->set_nanos(999'999'000);
      });
  Post<&Users::RequestUpdateUser, v1::UpdateUserRequest, v1::UpdateUserResponse>(
      &services->users, poller, [](const v1::UpdateUserRequest& request, v1::UpdateUserResponse* response) {
        *response->mutable_user() = request.user();
        response->mutable_user()->set_etag("0123456789abcdef");
        response->mutable_user()->mutable_create_time()->set_seconds(kTimeSeconds);
        response->mutable_user()->mutable_update_time()->set_seconds(kTimeSeconds);
      });
  Post<&Batch::RequestAddItems, v1::AddItemsRequest, v1::AddItemsResponse>(
      &services->batches, poller, [](const v1::AddItemsRequest&, v1::AddItemsResponse* response) {
        response->set_first_sequence(1000);
        response->set_pending_count(1000);
        response->mutable_next_flush_time()->set_seconds(kTimeSeconds);
      });
  Post<&Objects::RequestExecuteSql, v1::ExecuteSqlRequest, v1::ExecuteSqlResponse>(
      &services->objects, poller, [](const v1::ExecuteSqlRequest& request, v1::ExecuteSqlResponse* response) {
        v1::SqlResult* const result = response->add_results();
        result->set_vm_steps(10);
        if (request.statements(0).params_size() > 1) {  // the update
          result->set_rows_written(1);
          return;
        }
        result->add_columns()->set_name("value");
        result->add_rows()->add_values()->set_text("a value of twenty b.");
      });
}

void PostEnvoyLimits(Services* services, Poller* poller) {
  using envoy::service::ratelimit::v3::RateLimitRequest;
  using envoy::service::ratelimit::v3::RateLimitResponse;
  using Limits = envoy::service::ratelimit::v3::RateLimitService::AsyncService;
  Post<&Limits::RequestShouldRateLimit, RateLimitRequest, RateLimitResponse>(
      &services->envoy_limits, poller, [](const RateLimitRequest&, RateLimitResponse* response) {
        response->set_overall_code(RateLimitResponse::OK);
        auto* const status = response->add_statuses();
        status->set_code(RateLimitResponse::OK);
        status->mutable_current_limit()->set_requests_per_unit(100'000);
        status->mutable_current_limit()->set_unit(RateLimitResponse::RateLimit::HOUR);
        status->set_limit_remaining(99'000);
        status->mutable_duration_until_reset()->set_seconds(3600);
      });
}

int Run(int port, int threads, size_t held_max) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  Services services;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials());
  builder.RegisterService(&services.counters);
  builder.RegisterService(&services.limiters);
  builder.RegisterService(&services.users);
  builder.RegisterService(&services.batches);
  builder.RegisterService(&services.objects);
  builder.RegisterService(&services.envoy_limits);
  std::vector<Poller> pollers;
  for (int i = 0; i < threads; ++i) pollers.push_back({builder.AddCompletionQueue(), held_max});
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::vector<std::thread> running;
  for (Poller& poller : pollers) {
    PostAll(&services, &poller);
    PostEnvoyLimits(&services, &poller);
    running.emplace_back([&poller] { poller.Run(); });
  }
  int signal;
  sigwait(&ending, &signal);
  server->Shutdown(std::chrono::system_clock::now());
  for (Poller& poller : pollers) poller.queue->Shutdown();
  for (std::thread& thread : running) thread.join();
  return 0;
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: echo_server PORT THREADS [HELD]\n");
    return 2;
  }
  return holdfast::bench::Run(std::atoi(argv[1]), std::atoi(argv[2]),
                              argc == 4 ? static_cast<size_t>(std::max(1, std::atoi(argv[3]))) : 1);
}
