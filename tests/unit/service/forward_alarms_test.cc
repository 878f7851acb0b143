// Watches of alarms through either of two nodes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "actors/wire/errors.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/unit/service/two_nodes.h"

namespace holdfast::service {
namespace {

using ::testing::UnorderedElementsAre;

class ForwardAlarmsTest : public TwoNodesTest {
 protected:
  std::unique_ptr<v1::ObjectService::Stub> Stub(size_t node) { return v1::ObjectService::NewStub(channels_[node]); }
  static std::string ObjectOf(size_t node, int number = 0) { return NameOf(node, "Object", number); }

  // Sets an alarm that is due at once.
  void SetAlarm(size_t node, const std::string& name) {
    grpc::ClientContext context;
    v1::SetAlarmRequest request;
    v1::SetAlarmResponse response;
    request.mutable_object()->set_name(name);
    request.mutable_scheduled_time()->set_seconds(1);
    const grpc::Status status = Stub(node)->SetAlarm(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  absl::Status Acknowledge(size_t node, const v1::WatchAlarmsResponse& delivery) {
    grpc::ClientContext context;
    v1::AcknowledgeAlarmRequest request;
    v1::AcknowledgeAlarmResponse response;
    *request.mutable_object() = delivery.object();
    request.set_delivery_token(delivery.delivery_token());
    return FromGrpc(Stub(node)->AcknowledgeAlarm(&context, request, &response));
  }

  struct Watch {
    Watch(v1::ObjectService::Stub* stub, int outstanding_max) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
      v1::WatchAlarmsRequest request;
      request.set_max_outstanding(outstanding_max);
      reader = stub->WatchAlarms(&context, request);
      reader->WaitForInitialMetadata();
    }
    ~Watch() {
      context.TryCancel();
      v1::WatchAlarmsResponse dropped;
      while (reader->Read(&dropped)) {
      }
      (void)reader->Finish();
    }
    v1::WatchAlarmsResponse Next() {
      v1::WatchAlarmsResponse delivery;
      EXPECT_TRUE(reader->Read(&delivery));
      return delivery;
    }
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::WatchAlarmsResponse>> reader;
  };
};

TEST_F(ForwardAlarmsTest, AWatchGetsTheAlarmsOfAllNodes) {
  Start();
  for (size_t node = 0; node < 2; ++node) {
    const auto stub = Stub(node);
    Watch watch(stub.get(), 16);
    // One is due before the other node is watched, the others come later.
    for (int i = 0; i < 3; ++i) {
      std::set<std::string> names;
      for (size_t owner = 0; owner < 2; ++owner) SetAlarm(1 - owner, ObjectOf(owner, i));
      for (size_t j = 0; j < 2; ++j) {
        const v1::WatchAlarmsResponse delivery = watch.Next();
        names.insert(delivery.object().name());
        EXPECT_EQ(Acknowledge(j, delivery), absl::OkStatus());
      }
      EXPECT_THAT(names, UnorderedElementsAre(ObjectOf(0, i), ObjectOf(1, i)));
    }
  }
  AwaitStreams(0, 0);
  AwaitStreams(1, 0);
}

TEST_F(ForwardAlarmsTest, NodesShareWhatMayBeOutstanding) {
  Start();
  const auto stub = Stub(0);
  Watch watch(stub.get(), 4);
  std::vector<v1::WatchAlarmsResponse> out;
  for (int i = 0; i < 5; ++i) SetAlarm(1, ObjectOf(1, i));
  for (int i = 0; i < 2; ++i) out.push_back(watch.Next());
  // The places of node 1 are taken; those of node 0 are not. The next delivery is of node 0 though its alarm is newer.
  SetAlarm(0, ObjectOf(0));
  EXPECT_EQ(watch.Next().object().name(), ObjectOf(0));
  for (int i = 2; i < 5; ++i) {
    EXPECT_EQ(Acknowledge(0, out[static_cast<size_t>(i) - 2]), absl::OkStatus());
    out.push_back(watch.Next());
    EXPECT_NE(out.back().object().name(), ObjectOf(0));
  }
}

TEST_F(ForwardAlarmsTest, ANodeThatJoinsIsWatchedToo) {
  Start();
  maps_[0].set_joined(false);
  const auto stub = Stub(0);
  Watch watch(stub.get(), 16);
  SetAlarm(1, ObjectOf(1));
  SetAlarm(0, ObjectOf(0));
  EXPECT_EQ(watch.Next().object().name(), ObjectOf(0));
  maps_[0].set_joined(true);
  EXPECT_EQ(watch.Next().object().name(), ObjectOf(1));
}

TEST_F(ForwardAlarmsTest, AWatchGoesOnWhenANodeIsGone) {
  Start();
  const auto stub = Stub(0);
  Watch watch(stub.get(), 16);
  AwaitStreams(1, 1);
  servers_[1]->Drain();
  servers_[1] = nullptr;
  SetAlarm(0, ObjectOf(0));
  EXPECT_EQ(watch.Next().object().name(), ObjectOf(0));
}

// One client that keeps streams with objects of another node does not hold up the calls of others there.
TEST_F(ForwardAlarmsTest, ManyWatchesLeaveRoomForOtherCalls) {
  Start();
  const auto stub = Stub(0);
  std::vector<std::unique_ptr<Watch>> watches;
  // A connection of gRPC's client would wait with more than 128, so these are on several.
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  std::vector<std::unique_ptr<v1::ObjectService::Stub>> stubs;
  for (int connection = 0; connection < 2; ++connection) {
    channels.push_back(Connect(servers_[0]->address()));
    stubs.push_back(v1::ObjectService::NewStub(channels.back()));
    for (int i = 0; i < 80; ++i) watches.push_back(std::make_unique<Watch>(stubs.back().get(), 2));
  }
  AwaitStreams(1, 160);
  EXPECT_EQ(Increment(0, CounterOf(1)).value, 1);
}

}  // namespace
}  // namespace holdfast::service
