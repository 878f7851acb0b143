// A client that calls the nodes of a cluster directly, and the ordinary way wherever it can't.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "client/shard.h"
#include "client/status.h"
#include "tests/client_cli/fake_server.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using v1::CounterService;
using v1::GetValueRequest;
using v1::GetValueResponse;
using v1::IncrementRequest;
using v1::IncrementResponse;
using v1::WatchPlacementRequest;
using v1::WatchPlacementResponse;

constexpr char kGetValue[] = "/holdfast.v1.CounterService/GetValue";
constexpr char kIncrement[] = "/holdfast.v1.CounterService/Increment";
constexpr char kWatch[] = "/holdfast.v1.PlacementService/WatchPlacement";
constexpr absl::Duration kWait = absl::Seconds(30);

// A map in which the node at `address` has all shards.
WatchPlacementResponse MapTo(const std::string& address) {
  WatchPlacementResponse map;
  map.set_protocol_version(1);
  map.add_nodes()->set_name("n1");
  map.mutable_nodes(0)->set_address(address);
  for (size_t shard = 0; shard < kShardCount; ++shard) map.add_node_of_shard(0);
  return map;
}

class DirectTest : public testing::Test {
 protected:
  DirectTest() {
    Serve(&ordinary_, &ordinary_calls_, 1);
    Serve(&node_, &node_calls_, 2);
  }
  // Answers with `value`, or with the error of the node.
  void Serve(FakeServer* server, std::atomic<int>* calls, int64_t value) {
    const auto answer = [=, this](auto* response) {
      ++*calls;
      response->set_value(value);
      return value == 2 ? error_ : grpc::Status::OK;
    };
    server->On<GetValueRequest, GetValueResponse>(kGetValue,
                                                  [=](const auto&, auto* response) { return answer(response); });
    server->On<IncrementRequest, IncrementResponse>(kIncrement,
                                                    [=](const auto&, auto* response) { return answer(response); });
  }
  void TellMap(const WatchPlacementResponse& map) {
    ordinary_.OnStream<WatchPlacementRequest, WatchPlacementResponse>(
        kWatch, [map](const WatchPlacementRequest&, std::vector<WatchPlacementResponse>* maps) {
          maps->push_back(map);
          return grpc::Status::OK;
        });
  }
  ClientOptions Options() const {
    return {.address = ordinary_.address(),
            .timeout = kWait,
            .retry = {.retries = 4, .backoff_initial = absl::Milliseconds(1)},
            .direct = true};
  }
  // Returns which server has answered: 1 the ordinary one, 2 the node.
  static absl::StatusOr<int64_t> Get(Client& client) {
    GetValueRequest request;
    request.mutable_object()->set_name("a");
    const auto response = client.Call(CallKind::kIdempotent, &CounterService::Stub::GetValue, request);
    if (!response.ok()) return response.status();
    return response->value();
  }
  static absl::StatusOr<int64_t> Increment(Client& client) {
    IncrementRequest request;
    request.mutable_object()->set_name("a");
    const auto response = client.Call(CallKind::kMutation, &CounterService::Stub::Increment, request);
    if (!response.ok()) return response.status();
    return response->value();
  }

  grpc::Status error_ = grpc::Status::OK;  // set it before the client is made
  std::atomic<int> ordinary_calls_ = 0;
  std::atomic<int> node_calls_ = 0;
  FakeServer ordinary_;
  FakeServer node_;
};

TEST_F(DirectTest, CallsTheNodeOfTheMap) {
  TellMap(MapTo(node_.address()));
  Client client(Options());
  ASSERT_TRUE(client.AwaitDirect(kWait));
  EXPECT_EQ(Get(client).value(), 2);
  EXPECT_EQ(Increment(client).value(), 2);
  EXPECT_EQ(ordinary_calls_, 0);
}

TEST_F(DirectTest, WhoDoesNotAskForItUsesNoMap) {
  TellMap(MapTo(node_.address()));
  ClientOptions options = Options();
  options.direct = false;
  Client client(options);
  EXPECT_FALSE(client.AwaitDirect(kWait));
  EXPECT_EQ(Get(client).value(), 1);
}

TEST_F(DirectTest, AServerWithoutMapsIsCalledItself) {
  Client client(Options());
  EXPECT_FALSE(client.AwaitDirect(kWait));
  EXPECT_EQ(Get(client).value(), 1);
}

TEST_F(DirectTest, AServerAloneIsCalledItself) {
  TellMap(MapTo(""));
  Client client(Options());
  EXPECT_FALSE(client.AwaitDirect(kWait));
  EXPECT_EQ(Get(client).value(), 1);
}

TEST_F(DirectTest, AMapOfAnotherProtocolIsNotUsed) {
  WatchPlacementResponse map = MapTo(node_.address());
  map.set_protocol_version(2);
  TellMap(map);
  Client client(Options());
  EXPECT_FALSE(client.AwaitDirect(kWait));
  EXPECT_EQ(Get(client).value(), 1);
}

TEST_F(DirectTest, AMapOfNonsenseIsNotUsed) {
  WatchPlacementResponse map = MapTo(node_.address());
  for (size_t shard = 0; shard < kShardCount; ++shard) {
    map.set_node_of_shard(static_cast<int>(shard), shard % 2 == 0 ? 7 : -3);
  }
  TellMap(map);
  Client client(Options());
  (void)client.AwaitDirect(kWait);
  EXPECT_EQ(Get(client).value(), 1);
  map.mutable_node_of_shard()->RemoveLast();
  TellMap(map);
  Client other(Options());
  (void)other.AwaitDirect(kWait);
  EXPECT_EQ(Get(other).value(), 1);
}

TEST_F(DirectTest, ANodeThatCanNotBeReachedIsNotWaitedFor) {
  TellMap(MapTo("127.0.0.1:1"));
  Client client(Options());
  EXPECT_FALSE(client.AwaitDirect(absl::Milliseconds(50)));
  EXPECT_EQ(Get(client).value(), 1);
}

// Nothing has happened, so even a call that may not be repeated takes the ordinary way.
TEST_F(DirectTest, TheOrdinaryWayTakesWhatANodeRefuses) {
  error_ = Error(grpc::StatusCode::UNAVAILABLE, "moving", "WRONG_OWNER", RetryAfterMs(60'000));
  TellMap(MapTo(node_.address()));
  ClientOptions options = Options();
  options.retry.retries = 0;
  Client client(options);
  ASSERT_TRUE(client.AwaitDirect(kWait));
  EXPECT_EQ(Increment(client).value(), 1);
  EXPECT_EQ(node_calls_, 1);
  EXPECT_EQ(ordinary_calls_, 1);
}

TEST_F(DirectTest, ACallThatMayHaveHappenedIsRepeatedOnlyIfItMayBe) {
  error_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the connection is lost");
  TellMap(MapTo(node_.address()));
  {
    Client client(Options());
    ASSERT_TRUE(client.AwaitDirect(kWait));
    EXPECT_EQ(Increment(client).value(), 1);
    EXPECT_EQ(node_calls_, 1);
  }
  ClientOptions options = Options();
  options.retry.retries = 0;
  Client client(options);
  ASSERT_TRUE(client.AwaitDirect(kWait));
  const auto failed = Increment(client);
  EXPECT_TRUE(OutcomeUnknown(failed.status())) << failed.status();
  EXPECT_EQ(ordinary_calls_, 1);
  EXPECT_EQ(Get(client).value(), 1);  // a read may
}

TEST_F(DirectTest, AnErrorOfTheObjectIsItsAnswer) {
  error_ = Error(grpc::StatusCode::NOT_FOUND, "none", "NOT_FOUND");
  TellMap(MapTo(node_.address()));
  Client client(Options());
  ASSERT_TRUE(client.AwaitDirect(kWait));
  EXPECT_EQ(Get(client).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ordinary_calls_, 0);
}

// The credentials go to the nodes, too; without TLS to local ones only.
TEST_F(DirectTest, TheTokenGoesToLocalNodesOnly) {
  TellMap(MapTo(node_.address()));
  ClientOptions options = Options();
  options.token = [] { return "word"; };
  {
    Client client(options);
    ASSERT_TRUE(client.AwaitDirect(kWait));
    EXPECT_EQ(Get(client).value(), 2);
    EXPECT_EQ(node_.authorizations(), std::vector<std::string>{"Bearer word"});
  }
  TellMap(MapTo("node.invalid:50051"));
  Client client(options);
  EXPECT_FALSE(client.AwaitDirect(kWait));
  EXPECT_EQ(Get(client).value(), 1);
}

// A stopped node answers nothing. When the map no longer has it, its calls are repeated the ordinary way.
TEST_F(DirectTest, CallsOfANodeThatLeavesTheMapAreRepeated) {
  std::promise<void> asked;
  const std::shared_future<void> was_asked = asked.get_future().share();
  node_.OnStream<GetValueRequest, GetValueResponse>(kGetValue, [&](const auto&, auto*) {
    asked.set_value();
    return grpc::Status::OK;  // and no reply
  });
  // The first watch ends after its map. The next one comes soon, and its map no longer has the node.
  std::atomic<int> watches = 0;
  ordinary_.OnStream<WatchPlacementRequest, WatchPlacementResponse>(
      kWatch, [&](const WatchPlacementRequest&, std::vector<WatchPlacementResponse>* maps) {
        const bool first = ++watches == 1;
        if (!first) was_asked.wait();
        maps->push_back(MapTo(first ? node_.address() : ""));
        return first ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "idle") : grpc::Status::OK;
      });
  Client client(Options());
  ASSERT_TRUE(client.AwaitDirect(kWait));
  EXPECT_EQ(Get(client).value(), 1);
  EXPECT_GE(watches, 2);
}

// A command waits for the map, since it makes one call and ends.
TEST_F(DirectTest, TheToolGoesToTheNodeWithDirect) {
  setenv("HOLDFAST_CONFIG", "/nonexistent/config", 1);  // not the contexts of whoever runs the tests
  TellMap(MapTo(node_.address()));
  const std::vector<std::string> words = {"--server", ordinary_.address(), "counter", "get", "a"};
  EXPECT_EQ(Tool(words).out, "1\n");
  std::vector<std::string> direct = words;
  direct.push_back("--direct");
  const Result result = Tool(direct);
  EXPECT_EQ(result.out, "2\n") << result.err;
  unsetenv("HOLDFAST_CONFIG");
}

}  // namespace
}  // namespace holdfast::client
