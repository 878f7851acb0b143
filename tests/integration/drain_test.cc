// After SIGTERM the server takes no new work, ends the work in progress, and closes the store.

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

TEST(DrainTest, EveryAcknowledgedIncrementIsThereAfterATerminationUnderLoad) {
  TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  std::atomic<int64_t> acknowledged = 0;
  std::atomic<int64_t> failed = 0;
  {
    ServerProcess server(data_dir);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        auto stub = v1::CounterService::NewStub(server.NewChannel());
        v1::IncrementRequest request;
        request.mutable_object()->set_name("load");
        grpc::Status status;
        do {
          status = Invoke(*stub, &v1::CounterService::Stub::Increment, request).status;
          ++(status.ok() ? acknowledged : failed);
        } while (status.ok());
        EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
      });
    }
    while (acknowledged < 500) std::this_thread::yield();
    EXPECT_EQ(server.Terminate(), 0) << server.Log();
    for (std::thread& thread : threads) thread.join();
    EXPECT_NE(server.Log().find("event=stopped"), std::string::npos);
  }
  ServerProcess server(data_dir);
  auto stub = v1::CounterService::NewStub(server.NewChannel());
  v1::GetValueRequest get;
  get.mutable_object()->set_name("load");
  const int64_t value = Invoke(*stub, &v1::CounterService::Stub::GetValue, get)->value();
  EXPECT_GE(value, acknowledged);
  EXPECT_LE(value, acknowledged + failed);
}

// In an earlier version the queue was shut down while column families were being made, and the process aborted.
TEST(DrainTest, ATerminationWhileFamiliesAreMadeIsAsCleanAsAnyOther) {
  TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  for (int round = 0; round < 10; ++round) {
    ServerProcess server(data_dir);
    auto stub = v1::CounterService::NewStub(server.NewChannel());
    v1::BatchIncrementRequest request;
    for (int i = 0; i < 40; ++i) request.add_increments()->mutable_object()->set_name(absl::StrCat(round, "-", i));
    ASSERT_TRUE(Invoke(*stub, &v1::CounterService::Stub::BatchIncrement, request).ok());
    ASSERT_EQ(server.Terminate(), 0) << server.Log();
  }
}

TEST(DrainTest, AnOpenStreamIsToldAndAWatchOfHealthEnds) {
  TemporaryDirectory directory;
  ServerProcess server(directory.path() + "/data", "server { drain_timeout_ms: 10000 }");
  auto stub = v1::CounterService::NewStub(server.NewChannel());
  grpc::ClientContext context;
  auto stream = stub->StreamIncrement(&context);
  v1::StreamIncrementRequest request;
  request.mutable_increment()->mutable_object()->set_name("x");
  v1::StreamIncrementResponse response;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  auto health = grpc::health::v1::Health::NewStub(server.NewChannel());
  grpc::ClientContext watch_context;
  auto watch = health->Watch(&watch_context, {});
  grpc::health::v1::HealthCheckResponse state;
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), grpc::health::v1::HealthCheckResponse::SERVING);

  const auto begin = std::chrono::steady_clock::now();
  server.Signal(SIGTERM);
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "DRAINING");
  EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(status).has_retry_delay());
  watch_context.TryCancel();
  (void)watch->Finish();
  EXPECT_EQ(server.Wait(), 0);
  // Neither server waited for the timeout.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
}

}  // namespace
}  // namespace holdfast::testing
