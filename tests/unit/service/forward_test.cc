// Two servers in one process, each with half of the shards: a request reaches its object through either of them, and
// its client can't tell the difference.

#include "service/call/forward.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "service/call/status.h"
#include "tests/unit/service/two_nodes.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;

using ForwardTest = TwoNodesTest;

TEST_F(ForwardTest, EitherNodeTakesARequestForAnyObject) {
  Start();
  for (size_t owner = 0; owner < 2; ++owner) {
    const std::string name = CounterOf(owner);
    for (int64_t i = 1; i <= 10; ++i) {
      const Reply reply = Increment(i % 2, name);
      ASSERT_TRUE(reply.status.ok()) << reply.status;
      EXPECT_EQ(reply.value, i);
    }
  }
  EXPECT_EQ(maps_[0].moved + maps_[1].moved, 0);
}

TEST_F(ForwardTest, ARepeatedRequestIsMarkedThroughEitherNode) {
  Start();
  const std::string name = CounterOf(1);
  EXPECT_FALSE(Increment(0, name, "one").replayed);
  const Reply again = Increment(0, name, "one");
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.value, 1);
  EXPECT_TRUE(Increment(1, name, "one").replayed);
}

TEST_F(ForwardTest, AnErrorHasTheSameDetailsThroughEitherNode) {
  Start();
  const std::string name = CounterOf(1);
  const auto overflow = [&](size_t node) {
    grpc::ClientContext context;
    v1::IncrementRequest request;
    v1::IncrementResponse response;
    request.mutable_object()->set_name(name);
    request.set_amount(INT64_MAX);
    (void)v1::CounterService::NewStub(channels_[node])->Increment(&context, request, &response);
    grpc::ClientContext again;
    return FromGrpc(v1::CounterService::NewStub(channels_[node])->Increment(&again, request, &response));
  };
  const absl::Status through_other = overflow(0);
  EXPECT_EQ(actors::ReasonOf(through_other), v1::ERROR_REASON_COUNTER_OVERFLOW) << through_other;
  EXPECT_EQ(overflow(1), through_other);
}

// A node whose counter waits until its client is gone.
class WaitingNode final : public v1::CounterService::Service {
 public:
  WaitingNode() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  grpc::Status Increment(grpc::ServerContext* context, const v1::IncrementRequest*, v1::IncrementResponse*) override {
    deadline = context->deadline();
    arrived.Notify();
    // gRPC's synchronous server tells of the end of a client only when it is asked.
    for (int i = 0; i < 10'000 && !context->IsCancelled(); ++i) absl::SleepFor(absl::Milliseconds(1));
    cancelled = context->IsCancelled();
    ended.Notify();
    return grpc::Status::OK;
  }

  std::chrono::system_clock::time_point deadline;
  absl::Notification arrived;
  bool cancelled = false;
  absl::Notification ended;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ForwardTest, DeadlineAndCancellationAreThoseOfTheClient) {
  Start();
  WaitingNode other;
  maps_[0].peer = std::make_shared<Peer>("other", kClusterSecret,
                                         grpc::CreateChannel(other.address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(60);
  context.set_deadline(deadline);
  std::thread client([&] {
    v1::IncrementRequest request;
    v1::IncrementResponse response;
    request.mutable_object()->set_name(CounterOf(1));
    EXPECT_EQ(v1::CounterService::NewStub(channels_[0])->Increment(&context, request, &response).error_code(),
              grpc::StatusCode::CANCELLED);
  });
  other.arrived.WaitForNotification();
  EXPECT_LT(std::chrono::abs(other.deadline - deadline), std::chrono::seconds(5));
  context.TryCancel();
  client.join();
  other.ended.WaitForNotification();
  EXPECT_TRUE(other.cancelled);
}

// A node that was stopped keeps its connections and answers nothing.
TEST_F(ForwardTest, CallsOfANodeThatHasLeftTheClusterEnd) {
  Start();
  WaitingNode other;
  maps_[0].peer = std::make_shared<Peer>("other", kClusterSecret,
                                         grpc::CreateChannel(other.address(), grpc::InsecureChannelCredentials()));
  std::thread client([&] {
    const Reply reply = Increment(0, CounterOf(1));
    EXPECT_EQ(reply.status.code(), absl::StatusCode::kUnavailable) << reply.status;
    EXPECT_THAT(std::string(reply.status.message()), HasSubstr("from the node other: it has left the cluster"));
  });
  other.arrived.WaitForNotification();
  maps_[0].peer->Gone();
  client.join();
  other.ended.WaitForNotification();
  EXPECT_TRUE(other.cancelled);
  EXPECT_EQ(Increment(0, CounterOf(1)).status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(ForwardTest, ARequestIsSentOnOnce) {
  Start();
  // Each takes the other for the owner of everything, though one of them has the object.
  maps_[0].here = [](storage::ShardId) { return false; };
  maps_[1].here = [](storage::ShardId) { return false; };
  const Reply reply = Increment(0, CounterOf(0));
  EXPECT_EQ(actors::ReasonOf(reply.status), v1::ERROR_REASON_WRONG_OWNER) << reply.status;
  EXPECT_EQ(maps_[0].asked, 2);
  EXPECT_EQ(maps_[0].moved, 1);
  EXPECT_EQ(maps_[1].asked, 0);
  EXPECT_TRUE(Increment(0, CounterOf(1)).status.ok());
}

TEST_F(ForwardTest, ARequestThatMissesItsObjectIsRoutedOnceMore) {
  Start();
  // The map of node 0 is old in both directions, and learns better when it is told so.
  maps_[0].here = [](storage::ShardId) { return false; };
  maps_[0].on_moved = [this] { maps_[0].here = Has(0); };
  EXPECT_EQ(Increment(0, CounterOf(0)).value, 1);
  maps_[0].here = [](storage::ShardId) { return true; };
  EXPECT_EQ(Increment(0, CounterOf(1)).value, 1);
  EXPECT_EQ(maps_[0].moved, 2);
}

TEST_F(ForwardTest, ARequestWaitsForAnObjectThatIsOnItsWay) {
  configure_ = [](config::v1::Config* config) {
    config->mutable_postgres()->mutable_cluster()->set_reroute_time_limit_ms(60'000);
  };
  Start();
  // Nobody has the object until it was missed a few times.
  maps_[0].here = [](storage::ShardId) { return true; };
  maps_[0].on_moved = [this] {
    if (maps_[0].moved == 4) maps_[0].here = Has(0);
  };
  EXPECT_EQ(Increment(0, CounterOf(1)).value, 1);
  EXPECT_EQ(maps_[0].moved, 4);
}

TEST_F(ForwardTest, ARequestWaitsForItsObjectForABoundedTime) {
  configure_ = [](config::v1::Config* config) {
    config->mutable_postgres()->mutable_cluster()->set_reroute_time_limit_ms(100);
  };
  Start();
  maps_[0].here = [](storage::ShardId) { return true; };
  const Reply reply = Increment(0, CounterOf(1));
  EXPECT_EQ(actors::ReasonOf(reply.status), v1::ERROR_REASON_WRONG_OWNER) << reply.status;
  EXPECT_GT(maps_[0].moved, 1);
}

TEST_F(ForwardTest, OnlyTheSecretMakesANodeOfACaller) {
  Start("another secret, which is as long");
  const Reply reply = Increment(0, CounterOf(1));
  EXPECT_EQ(actors::ReasonOf(reply.status), v1::ERROR_REASON_CREDENTIALS_INVALID) << reply.status;
  EXPECT_EQ(actors::ReasonOf(Increment(1, CounterOf(1), "", "the secret").status),
            v1::ERROR_REASON_CREDENTIALS_INVALID);
  EXPECT_TRUE(Increment(1, CounterOf(1)).status.ok());
  EXPECT_TRUE(Increment(1, CounterOf(1), "", kClusterSecret).status.ok());
}

TEST_F(ForwardTest, ANodeThatIsGoneIsNamed) {
  Start();
  const std::string name = CounterOf(1);
  ASSERT_TRUE(Increment(0, name).status.ok());
  servers_[1]->Drain();
  servers_[1] = nullptr;
  const Reply reply = Increment(0, name);
  EXPECT_EQ(reply.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(reply.status.message()), HasSubstr("from the node node-1"));
  EXPECT_TRUE(Increment(0, CounterOf(0)).status.ok());
}

// Many clients through both nodes: every increment happens once.
TEST_F(ForwardTest, ManyClientsThroughBothNodes) {
  Start();
  constexpr int kClients = 4;
  constexpr int kCalls = 100;
  std::atomic<int> failed = 0;
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < kCalls; ++i) {
        if (!Increment(static_cast<size_t>((client + i) % 2), CounterOf(static_cast<size_t>(i / 2 % 2), i % 3))
                 .status.ok()) {
          ++failed;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  int64_t sum = 0;
  for (size_t owner = 0; owner < 2; ++owner) {
    for (int i = 0; i < 3; ++i) {
      const Reply reply = Increment(0, CounterOf(owner, i));
      sum += reply.value - 1;
    }
  }
  EXPECT_EQ(sum, kClients * kCalls);
}

}  // namespace
}  // namespace holdfast::service
