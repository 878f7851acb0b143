// The health that a server tells, by the lease of its store.

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "grpc/health/v1/health.grpc.pb.h"
#include "service/config.h"
#include "service/server.h"
#include "storage/store/memory_store.h"
#include "tests/unit/storage/temp_dir.h"

namespace holdfast::service {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() {
    config::v1::Config config;
    config.set_listen("127.0.0.1:0");
    config.set_data_dir(dir_.path());
    EXPECT_EQ(CompleteConfig(&config), absl::OkStatus());
    Extension extension;
    extension.open_store = [this](const config::v1::Config&) -> absl::StatusOr<std::unique_ptr<storage::Store>> {
      auto store = std::make_unique<storage::MemoryStore>();
      store_ = store.get();
      return store;
    };
    auto server = Server::Start(
        config, [](const absl::Status& status) { ADD_FAILURE() << status; }, std::move(extension));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = Health::NewStub(grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }

  static HealthCheckRequest RequestFor(const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    return request;
  }
  static void SetDeadline(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  }
  HealthCheckResponse::ServingStatus Check(const std::string& service) {
    grpc::ClientContext context;
    SetDeadline(&context);
    HealthCheckResponse response;
    const grpc::Status status = stub_->Check(&context, RequestFor(service), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.status();
  }

  storage::TempDir dir_;
  storage::MemoryStore* store_ = nullptr;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(HealthTest, WithoutItsLeaseAServerIsNotReadyAndAlive) {
  for (const bool holds : {true, false, true}) {
    store_->set_holds_lease(holds);
    const auto expected = holds ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
    EXPECT_EQ(Check(""), expected);
    EXPECT_EQ(Check("holdfast.v1.CounterService"), expected);
    EXPECT_EQ(Check("liveness"), HealthCheckResponse::SERVING);
  }
}

TEST_F(HealthTest, AWatchIsToldOfALeaseThatIsLostAndComesBack) {
  grpc::ClientContext context;
  SetDeadline(&context);
  auto watch = stub_->Watch(&context, RequestFor(""));
  HealthCheckResponse state;
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), HealthCheckResponse::SERVING);
  store_->set_holds_lease(false);
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), HealthCheckResponse::NOT_SERVING);
  store_->set_holds_lease(true);
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), HealthCheckResponse::SERVING);
  context.TryCancel();
}

}  // namespace
}  // namespace holdfast::service
