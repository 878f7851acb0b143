// The server starts, or refuses to start.

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

class StartTest : public ::testing::Test {
 protected:
  ServerProcess::Exit StartWith(const std::string& config) {
    const std::string path = directory_.path() + "/config";
    std::ofstream(path) << config;
    return ServerProcess::RunToEnd(
        {"--config", path, "--listen", "127.0.0.1:0", "--data-dir", directory_.path() + "/fresh"});
  }
  void ExpectRefused(const ServerProcess::Exit& exit, const std::string& named) {
    EXPECT_EQ(exit.status, 1) << exit.output;
    EXPECT_NE(exit.output.find(named), std::string::npos) << exit.output;
  }

  TemporaryDirectory directory_;
};

TEST_F(StartTest, ADataDirectoryInUseIsNamed) {
  const std::string data_dir = directory_.path() + "/data";
  ServerProcess server(data_dir);
  const auto exit = ServerProcess::RunToEnd({"--listen", "127.0.0.1:0", "--data-dir", data_dir});
  ExpectRefused(exit, data_dir + " is in use by another process");
  auto stub = v1::CounterService::NewStub(server.NewChannel());
  v1::IncrementRequest request;
  request.mutable_object()->set_name("still");
  EXPECT_TRUE(Invoke(*stub, &v1::CounterService::Stub::Increment, request).ok());
}

// The new server waited for the lock while the old one still made families.
TEST_F(StartTest, AServerThatTakesOverFromOneThatIsKilledFindsAllFamilies) {
  const std::string data_dir = directory_.path() + "/data";
  auto old_server = std::make_unique<ServerProcess>(data_dir);
  auto stub = v1::CounterService::NewStub(old_server->NewChannel());
  std::unique_ptr<ServerProcess> new_server;
  std::thread starting([&] { new_server = std::make_unique<ServerProcess>(data_dir, "", "-new"); });
  for (int i = 0; i < 50; ++i) {
    v1::IncrementRequest request;
    request.mutable_object()->set_name(absl::StrCat("c", i));
    ASSERT_TRUE(Invoke(*stub, &v1::CounterService::Stub::Increment, request).ok());
  }
  old_server->Kill();
  starting.join();
  stub = v1::CounterService::NewStub(new_server->NewChannel());
  for (int i = 0; i < 50; ++i) {
    v1::GetValueRequest get;
    get.mutable_object()->set_name(absl::StrCat("c", i));
    EXPECT_EQ(Invoke(*stub, &v1::CounterService::Stub::GetValue, get)->value(), 1) << i;
  }
}

TEST_F(StartTest, APortInUseIsNamed) {
  ServerProcess server(directory_.path() + "/data");
  const auto exit = ServerProcess::RunToEnd({"--listen", server.address(), "--data-dir", directory_.path() + "/other"});
  ExpectRefused(exit, server.address());
}

TEST_F(StartTest, SettingsThatAreUnknownOrImpossibleAreNamed) {
  ExpectRefused(StartWith("nonsense: 1"), "nonsense");
  ExpectRefused(StartWith("actors { idle_timeout: 1 }"), "idle_timeout");
  ExpectRefused(StartWith("actors { idle_timeout_ms: -1 }"), "actors.idle_timeout_ms");
  ExpectRefused(StartWith("storage { column_families_max: 1000000 }"), "storage.column_families_max");
  ExpectRefused(StartWith("log_level: LOUD"), "log_level");
  ExpectRefused(StartWith("tls {}"), "tls.certificate_file");
  ExpectRefused(StartWith("authorization { rule { principal: 'a' } }"), "authorization");
  ExpectRefused(StartWith("authentication { token_file: '/none/tokens' }"), "authentication.token_file: /none/tokens");
  ExpectRefused(StartWith("audit { file: '/proc/none/audit.log' }"), "audit.file: /proc/none/audit.log");
  ExpectRefused(StartWith("namespace { name: 'a' } namespace { name: 'a' }"), "namespace[1].name");
  ExpectRefused(ServerProcess::RunToEnd({"--config", directory_.path() + "/missing"}), "/missing");
  ExpectRefused(ServerProcess::RunToEnd({"--config", directory_.path()}), directory_.path());
  ExpectRefused(ServerProcess::RunToEnd({"--listen", "nonsense"}), "listen");
  EXPECT_EQ(ServerProcess::RunToEnd({"--nonsense"}).status, 2);
  EXPECT_EQ(ServerProcess::RunToEnd({"--help"}).status, 0);
}

// Nodes of a cluster may share a file, and have their names and addresses from what starts them.
TEST_F(StartTest, ANodeHasItsNameAndAddressFromTheCommandLine) {
  const std::string path = directory_.path() + "/config";
  std::ofstream(path)
      << "postgres { database { conninfo: 'host=db' } node: 'file' cluster { secret_file: '/secret' } }";
  const auto exit = ServerProcess::RunToEnd(
      {"--config", path, "--node", "pod-7", "--cluster-address", "10.0.0.7:50051", "--check-config"});
  EXPECT_EQ(exit.status, 0) << exit.output;
  EXPECT_NE(exit.output.find("node: \"pod-7\""), std::string::npos) << exit.output;
  EXPECT_NE(exit.output.find("address: \"10.0.0.7:50051\""), std::string::npos) << exit.output;
  ExpectRefused(ServerProcess::RunToEnd({"--config", path, "--cluster-address", "10.0.0.7", "--check-config"}),
                "postgres.cluster.address");
  ExpectRefused(ServerProcess::RunToEnd({"--cluster-address", "10.0.0.7:1", "--check-config"}),
                "postgres.cluster.address: needs postgres.cluster.secret_file");
}

TEST_F(StartTest, WithoutTlsOnlyLoopbackIsServed) {
  const std::string data_dir = directory_.path() + "/data";
  ExpectRefused(ServerProcess::RunToEnd({"--listen", "0.0.0.0:0", "--data-dir", data_dir}), "insecure_listen");
  ExpectRefused(ServerProcess::RunToEnd({"--listen", "127.example.invalid:0", "--data-dir", data_dir}),
                "insecure_listen");
}

TEST_F(StartTest, MetricsAreServedOnLoopbackUnlessTheConfigurationSaysOtherwise) {
  ExpectRefused(StartWith("metrics { listen: \"0.0.0.0:0\" }"), "metrics.insecure_listen");
  // The permission for calls is none for metrics.
  ExpectRefused(StartWith("insecure_listen: true metrics { listen: \"0.0.0.0:0\" }"), "metrics.insecure_listen");
  ExpectRefused(StartWith("metrics { listen: \"nonsense\" }"), "metrics.listen");
  ExpectRefused(StartWith("metrics { listen: \"127.0.0.1:0,0.0.0.0:9464\" }"), "metrics.listen");
  ExpectRefused(StartWith("metrics { listen: \"example.invalid:1\" insecure_listen: true }"), "metrics.listen");
  ServerProcess server(directory_.path() + "/data");
  ExpectRefused(StartWith(absl::StrCat("metrics { listen: \"", server.address(), "\" }")), server.address());
}

TEST_F(StartTest, HealthAndReflectionAnswer) {
  ServerProcess server(directory_.path() + "/data");
  auto health = grpc::health::v1::Health::NewStub(server.NewChannel());
  grpc::health::v1::HealthCheckRequest request;
  EXPECT_EQ(Invoke(*health, &grpc::health::v1::Health::Stub::Check, request)->status(),
            grpc::health::v1::HealthCheckResponse::SERVING);
  request.set_service("holdfast.v1.CounterService");
  EXPECT_EQ(Invoke(*health, &grpc::health::v1::Health::Stub::Check, request)->status(),
            grpc::health::v1::HealthCheckResponse::SERVING);
  request.set_service("nonsense");
  EXPECT_EQ(Invoke(*health, &grpc::health::v1::Health::Stub::Check, request).status.error_code(),
            grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace holdfast::testing
