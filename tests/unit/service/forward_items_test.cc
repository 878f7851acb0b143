// Batches and streams of items through either of two nodes: each item reaches its object, and results and effects keep
// the order of the items.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "actors/wire/errors.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/unit/service/two_nodes.h"

namespace holdfast::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ForwardItemsTest : public TwoNodesTest {
 protected:
  std::unique_ptr<v1::CounterService::Stub> Stub(size_t node) { return v1::CounterService::NewStub(channels_[node]); }

  v1::BatchIncrementResponse Batch(size_t node, const std::vector<std::string>& names) {
    grpc::ClientContext context;
    v1::BatchIncrementRequest request;
    v1::BatchIncrementResponse response;
    for (const std::string& name : names) request.add_increments()->mutable_object()->set_name(name);
    const grpc::Status status = Stub(node)->BatchIncrement(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  static std::vector<int64_t> Values(const v1::BatchIncrementResponse& response) {
    std::vector<int64_t> values;
    for (const auto& result : response.results()) {
      EXPECT_FALSE(result.has_error()) << result.error().message();
      values.push_back(result.response().value());
    }
    return values;
  }

  // A stream of increments through a node.
  struct Stream {
    Stream(v1::CounterService::Stub* stub) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
      stream = stub->StreamIncrement(&context);
    }
    void Write(const std::string& name) {
      v1::StreamIncrementRequest request;
      request.mutable_increment()->mutable_object()->set_name(name);
      EXPECT_TRUE(stream->Write(request));
    }
    v1::IncrementResult Read() {
      v1::StreamIncrementResponse response;
      EXPECT_TRUE(stream->Read(&response));
      return response.result();
    }
    absl::Status End() {
      stream->WritesDone();
      v1::StreamIncrementResponse response;
      EXPECT_FALSE(stream->Read(&response));
      return FromGrpc(stream->Finish());
    }
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::StreamIncrementRequest, v1::StreamIncrementResponse>> stream;
  };

  static v1::ErrorReason ReasonOf(const v1::IncrementResult& result) {
    return actors::ReasonOf(FromItemError(result.error()));
  }
};

TEST_F(ForwardItemsTest, ABatchReachesObjectsOfBothNodes) {
  Start();
  const std::string first = CounterOf(0);
  const std::string second = CounterOf(1);
  for (size_t node = 0; node < 2; ++node) {
    const int64_t before = 3 * static_cast<int64_t>(node);
    EXPECT_THAT(Values(Batch(node, {second, first, second, first, first, second})),
                ElementsAre(before + 1, before + 1, before + 2, before + 2, before + 3, before + 3));
  }
}

TEST_F(ForwardItemsTest, TheErrorOfAnItemIsThatOfItsNode) {
  Start();
  for (size_t node = 0; node < 2; ++node) {
    grpc::ClientContext context;
    v1::BatchIncrementRequest request;
    v1::BatchIncrementResponse response;
    for (const int64_t amount : {INT64_MAX, int64_t{1}, -INT64_MAX}) {
      v1::IncrementRequest* const item = request.add_increments();
      item->mutable_object()->set_name(CounterOf(1));
      item->set_amount(amount);
    }
    request.add_increments();  // has no object
    ASSERT_TRUE(Stub(node)->BatchIncrement(&context, request, &response).ok());
    ASSERT_EQ(response.results_size(), 4);
    EXPECT_EQ(response.results(0).response().value(), INT64_MAX);
    EXPECT_EQ(ReasonOf(response.results(1)), v1::ERROR_REASON_COUNTER_OVERFLOW) << response.results(1).DebugString();
    EXPECT_EQ(response.results(2).response().value(), 0);
    EXPECT_EQ(ReasonOf(response.results(3)), v1::ERROR_REASON_INVALID_FIELD) << response.results(3).DebugString();
  }
}

TEST_F(ForwardItemsTest, ABatchThatMissesItsObjectsIsRoutedOnceMore) {
  Start();
  std::atomic<bool> learned = false;
  maps_[0].on_moved = [&] { learned = true; };
  maps_[0].here = [&](storage::ShardId shard) { return !learned || Has(0)(shard); };
  const std::string far = CounterOf(1);
  EXPECT_THAT(Values(Batch(0, {far, CounterOf(0), far, far})), ElementsAre(1, 1, 2, 3));
  maps_[0].on_moved = nullptr;
  maps_[0].here = [](storage::ShardId) { return false; };
  const v1::BatchIncrementResponse response = Batch(0, {far, CounterOf(0)});
  EXPECT_EQ(response.results(0).response().value(), 4);
  EXPECT_EQ(ReasonOf(response.results(1)), v1::ERROR_REASON_WRONG_OWNER) << response.DebugString();
}

TEST_F(ForwardItemsTest, ANodeThatIsGoneFailsItsItemsOnly) {
  Start();
  ASSERT_TRUE(Increment(0, CounterOf(1)).status.ok());
  servers_[1]->Drain();
  servers_[1] = nullptr;
  const v1::BatchIncrementResponse response = Batch(0, {CounterOf(1), CounterOf(0)});
  EXPECT_EQ(response.results(0).error().code(), static_cast<int>(absl::StatusCode::kUnavailable));
  EXPECT_THAT(response.results(0).error().message(), HasSubstr("from the node node-1"));
  EXPECT_EQ(response.results(1).response().value(), 1);
  const auto stub = Stub(0);
  Stream stream(stub.get());
  stream.Write(CounterOf(1));
  stream.Write(CounterOf(0));
  EXPECT_THAT(stream.Read().error().message(), HasSubstr("from the node node-1"));
  EXPECT_EQ(stream.Read().response().value(), 2);
  EXPECT_EQ(stream.End(), absl::OkStatus());
}

TEST_F(ForwardItemsTest, AStreamKeepsItsOrderThroughEitherNode) {
  Start();
  constexpr int64_t kItems = 2000;
  for (size_t node = 0; node < 2; ++node) {
    const auto stub = Stub(node);
    Stream stream(stub.get());
    std::thread writer([&] {
      for (int i = 0; i < kItems; ++i) stream.Write(CounterOf(static_cast<size_t>(i % 2)));
    });
    for (int64_t i = 0; i < kItems; ++i) {
      ASSERT_EQ(stream.Read().response().value(), static_cast<int64_t>(node) * kItems / 2 + i / 2 + 1);
    }
    writer.join();
    EXPECT_EQ(stream.End(), absl::OkStatus());
  }
}

TEST_F(ForwardItemsTest, AStreamWhoseObjectsMoveKeepsItsOrder) {
  Start();
  // Node 0 takes all shards for its own at first, and learns better with the first item that fails.
  std::atomic<bool> learned = false;
  maps_[0].on_moved = [&] { learned = true; };
  maps_[0].here = [&](storage::ShardId shard) { return !learned || Has(0)(shard); };
  constexpr int64_t kItems = 200;
  const auto stub = Stub(0);
  Stream stream(stub.get());
  for (int i = 0; i < kItems; ++i) stream.Write(CounterOf(static_cast<size_t>(i % 2)));
  for (int64_t i = 0; i < kItems; ++i) ASSERT_EQ(stream.Read().response().value(), i / 2 + 1);
  EXPECT_EQ(stream.End(), absl::OkStatus());
}

TEST_F(ForwardItemsTest, AClientThatIsGoneEndsItsStreamOnTheOtherNode) {
  Start();
  const auto stub = Stub(0);
  {
    Stream stream(stub.get());
    stream.Write(CounterOf(1));
    EXPECT_EQ(stream.Read().response().value(), 1);
    AwaitStreams(1, 1);
    stream.context.TryCancel();
  }
  AwaitStreams(1, 0);
  EXPECT_EQ(Increment(0, CounterOf(1)).value, 2);
}

TEST_F(ForwardItemsTest, AStreamGoesOnWhereTheOtherNodeHasEndedItsPart) {
  configure_ = [](config::v1::Config* config) { config->mutable_server()->set_stream_idle_timeout_ms(500); };
  Start();
  const auto stub = Stub(0);
  Stream stream(stub.get());
  stream.Write(CounterOf(1));
  EXPECT_EQ(stream.Read().response().value(), 1);
  // Items of node 0 keep the stream in use, while its part on node 1 is idle, and ended.
  AwaitStreams(1, 1);
  int64_t near = 0;
  for (int i = 0; i < 1000 && Streams(1) > 0; ++i) {
    stream.Write(CounterOf(0));
    EXPECT_EQ(stream.Read().response().value(), ++near);
    absl::SleepFor(absl::Milliseconds(10));  // only asking again tells
  }
  EXPECT_EQ(Streams(1), 0);
  stream.Write(CounterOf(1));
  EXPECT_EQ(stream.Read().response().value(), 2);
  EXPECT_EQ(stream.End(), absl::OkStatus());
}

}  // namespace
}  // namespace holdfast::service
