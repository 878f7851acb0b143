// Two servers in one process, each with half of the shards, for tests of what nodes of a cluster do together.

#ifndef HOLDFAST_TESTS_UNIT_SERVICE_TWO_NODES_H_
#define HOLDFAST_TESTS_UNIT_SERVICE_TWO_NODES_H_

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "actors/executor/clock.h"
#include "holdfast/v1/admin_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "service/call/placement.h"
#include "service/call/status.h"
#include "service/config.h"
#include "service/server.h"
#include "storage/store/memory_store.h"
#include "tests/unit/storage/temp_dir.h"

namespace holdfast::service {

inline constexpr char kClusterSecret[] = "the secret of this cluster";

// The map of one node: a test says where the shards are.
class TestMap final : public Placement {
 public:
  std::shared_ptr<Peer> PeerFor(storage::ShardId shard) override {
    ++asked;
    return here(shard) ? nullptr : peer;
  }
  void Moved(storage::ShardId) override {
    ++moved;
    if (on_moved != nullptr) on_moved();
  }
  std::vector<std::shared_ptr<Peer>> Peers() override {
    if (!joined_) return {};
    return {peer};
  }
  const std::string& secret() const override { return secret_; }

  // Says whether the other node is alive, as far as this one knows.
  void set_joined(bool joined) { joined_ = joined; }

  std::function<bool(storage::ShardId)> here;
  std::function<void()> on_moved;
  std::shared_ptr<Peer> peer;
  std::atomic<int> asked = 0;
  std::atomic<int> moved = 0;

 private:
  std::atomic<bool> joined_ = true;
  const std::string secret_ = kClusterSecret;
};

class TwoNodesTest : public ::testing::Test {
 protected:
  static bool IsOdd(storage::ShardId shard) { return static_cast<int>(shard) % 2 == 1; }
  // Returns whether the node has the shard.
  static auto Has(size_t node) {
    return [node](storage::ShardId shard) { return IsOdd(shard) == (node == 1); };
  }
  // Returns the name of an object that the node has; another one for each number.
  static std::string NameOf(size_t node, const std::string& object_class, int number) {
    for (int i = 0;; ++i) {
      std::string name = absl::StrCat("o", i);
      if (Has(node)(storage::ObjectKey("default", object_class, name).shard()) && number-- == 0) return name;
    }
  }
  static std::string CounterOf(size_t node, int number = 0) { return NameOf(node, "Counter", number); }

  // Opens a connection of its own.
  static std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }

  void Start(const std::string& secret_of_peers = kClusterSecret) {
    for (size_t node = 0; node < 2; ++node) {
      config::v1::Config config;
      config.set_listen("127.0.0.1:0");
      config.set_data_dir(absl::StrCat(dir_.path(), "/", node));
      config.mutable_actors()->set_executors(2);
      config.mutable_postgres()->mutable_cluster()->set_reroute_time_limit_ms(0);
      if (configure_ != nullptr) configure_(&config);
      ASSERT_EQ(CompleteConfig(&config), absl::OkStatus());
      maps_[node].here = Has(node);
      Extension extension;
      extension.open_store = [](const config::v1::Config&) -> absl::StatusOr<std::unique_ptr<storage::Store>> {
        return std::make_unique<storage::MemoryStore>();
      };
      extension.clock = clock_;
      extension.placement = &maps_[node];
      extension.owns = [this, node](storage::ShardId shard) {
        return owns_ == nullptr ? Has(node)(shard) : owns_(node, shard);
      };
      auto server = Server::Start(
          config, [](const absl::Status& status) { ADD_FAILURE() << status; }, std::move(extension));
      ASSERT_TRUE(server.ok()) << server.status();
      servers_[node] = *std::move(server);
      channels_[node] = Connect(servers_[node]->address());
    }
    for (size_t node = 0; node < 2; ++node) {
      maps_[node].peer = std::make_shared<Peer>(absl::StrCat("node-", 1 - node), secret_of_peers,
                                                [address = servers_[1 - node]->address()] { return Connect(address); });
    }
  }
  ~TwoNodesTest() override {
    for (auto& server : servers_) {
      if (server != nullptr) server->Drain();
    }
  }

  struct Reply {
    absl::Status status;
    int64_t value = 0;
    bool replayed = false;
  };
  Reply Increment(size_t node, const std::string& name, const std::string& id = "", const std::string& secret = "") {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!secret.empty()) context.AddMetadata(kForwardedKey, secret);
    v1::IncrementRequest request;
    v1::IncrementResponse response;
    request.mutable_object()->set_name(name);
    request.set_request_id(id);
    const grpc::Status status = v1::CounterService::NewStub(channels_[node])->Increment(&context, request, &response);
    return {FromGrpc(status), response.value(), context.GetServerInitialMetadata().contains("holdfast-replayed")};
  }

  // Returns the number of streams that the node serves.
  int64_t Streams(size_t node) {
    grpc::ClientContext context;
    v1::GetStatusResponse response;
    EXPECT_TRUE(v1::AdminService::NewStub(channels_[node])->GetStatus(&context, {}, &response).ok());
    return response.calls().streams();
  }
  // Waits until the node serves so many streams, which it tells with a delay.
  void AwaitStreams(size_t node, int64_t count) {
    // Only asking again tells.
    for (int i = 0; i < 1000 && Streams(node) != count; ++i) absl::SleepFor(absl::Milliseconds(10));
    EXPECT_EQ(Streams(node), count);
  }

  std::function<bool(size_t node, storage::ShardId)> owns_;  // says which shards the nodes have; null: half each
  storage::TempDir dir_;
  const actors::Clock* clock_ = nullptr;                // of both servers; null: the system's
  std::function<void(config::v1::Config*)> configure_;  // changes the configuration of a node, before Start
  std::array<TestMap, 2> maps_;
  std::array<std::unique_ptr<Server>, 2> servers_;
  std::array<std::shared_ptr<grpc::Channel>, 2> channels_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_TESTS_UNIT_SERVICE_TWO_NODES_H_
