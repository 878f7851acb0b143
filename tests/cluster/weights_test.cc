// Nodes share out their shards by load: a node whose objects are all the busy ones gives some of them away, and loses
// no request with that.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "storage/store/object_id.h"
#include "tests/cluster/cluster.h"

namespace holdfast::testing {
namespace {

using client::CallKind;
using client::Client;
using v1::CounterService;

constexpr absl::Duration kWait = absl::Seconds(60);
constexpr int kClients = 4;
// In so many shards, all of one node at first.
constexpr size_t kCounters = 24;

TEST(WeightsTest, BusyNodeGivesShardsAway) {
  Cluster cluster({.nodes = 2, .cluster_config = "load_interval_ms: 300 moved_load_min: 20"});
  ASSERT_TRUE(cluster.WaitUntilShared(kWait));
  std::vector<std::string> names;
  std::map<storage::ShardId, std::string> by_shard;
  const auto key_of = [](const std::string& name) { return storage::ObjectKey("default", "Counter", name); };
  for (int i = 0; names.size() < kCounters; ++i) {
    const std::string name = absl::StrCat("busy", i);
    if (cluster.OwnerOf(key_of(name)) != 0 || !by_shard.emplace(key_of(name).shard(), name).second) continue;
    names.push_back(name);
  }

  std::atomic<bool> ended = false;
  std::vector<int> acknowledged(kCounters);
  std::vector<std::thread> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      Client client({.address = absl::StrCat("127.0.0.1:", cluster.from_peers(static_cast<int>(i % 2)).port()),
                     .timeout = kWait});
      while (!ended) {
        for (size_t counter = i; counter < kCounters; counter += kClients) {
          v1::IncrementRequest request;
          request.mutable_object()->set_name(names[counter]);
          const auto reply = client.Call(CallKind::kMutation, &CounterService::Stub::Increment, request);
          EXPECT_TRUE(reply.ok()) << reply.status();
          if (reply.ok()) ++acknowledged[counter];
        }
      }
    });
  }
  const auto of_first = [&] {
    return std::count_if(names.begin(), names.end(),
                         [&](const auto& name) { return cluster.OwnerOf(key_of(name)) == 0; });
  };
  // A busier node gives shards away while it has more than 1.25 of the mean: 15 of these 24, if they are equally busy.
  const absl::Time until = absl::Now() + kWait;
  while (of_first() > 16 && absl::Now() < until) {
    absl::SleepFor(absl::Milliseconds(100));  // nothing tells of a move
  }
  EXPECT_LE(of_first(), 16);
  EXPECT_GE(of_first(), 8);
  ended = true;
  for (std::thread& thread : clients) thread.join();

  Client client({.address = absl::StrCat("127.0.0.1:", cluster.from_peers(0).port()), .timeout = kWait});
  for (size_t counter = 0; counter < kCounters; ++counter) {
    v1::GetValueRequest request;
    request.mutable_object()->set_name(names[counter]);
    const auto reply = client.Call(CallKind::kIdempotent, &CounterService::Stub::GetValue, request);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->value(), acknowledged[counter]) << names[counter];
  }
}

}  // namespace
}  // namespace holdfast::testing
