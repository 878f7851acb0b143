// Nothing that a cluster has acknowledged is lost or done twice when a node is killed and another one is drained. The
// long form, with every kind of fault, is faults_test.cc.

#include "tests/cluster/cluster.h"

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "storage/store/object_id.h"
#include "tests/cluster/load.h"
#include "tests/containment/wire_client.h"
#include "tests/crash/rounds.h"

namespace holdfast::testing {
namespace {

// The load needs a while to reach all objects, and to go on after a fault.
constexpr absl::Duration kLoaded = absl::Seconds(2);
constexpr absl::Duration kSharedMax = absl::Seconds(30);
// Far above what either takes, since the machine may be busy.
constexpr absl::Duration kOutageMax = absl::Seconds(10);

// Waits, and returns the longest call since.
absl::Duration LongestAfter(const Load& load, int64_t since_us, absl::Duration wait) {
  absl::SleepFor(wait);  // the load works meanwhile
  return absl::Microseconds(load.history().LongestUs(since_us));
}

TEST(ClusterTest, NothingIsLostOrDoubledByAKillAndADrain) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  Cluster cluster({.nodes = 3});
  ASSERT_TRUE(cluster.WaitUntilShared(kSharedMax));
  Load load(cluster, seed);
  load.Begin();
  absl::SleepFor(kLoaded);  // the load works meanwhile

  const std::optional<int> owner = cluster.OwnerOf(storage::ObjectKey("default", "Counter", "shared0"));
  ASSERT_TRUE(owner.has_value());
  const int64_t killed_us = NowUs();
  cluster.Kill(*owner);
  const absl::Duration take_over = LongestAfter(load, killed_us, cluster.options().lease + kLoaded);
  EXPECT_LT(take_over, kOutageMax);
  cluster.Start(*owner);
  EXPECT_TRUE(cluster.WaitUntilShared(kSharedMax));

  const int drained = (*owner + 1) % cluster.size();
  const int64_t drained_us = NowUs();
  EXPECT_EQ(cluster.Terminate(drained), 0) << cluster.Log(drained);
  const absl::Duration hand_over = LongestAfter(load, drained_us, kLoaded);
  EXPECT_LT(hand_over, kOutageMax);
  EXPECT_TRUE(cluster.WaitUntilShared(kSharedMax));

  load.End();
  for (const Finding& finding : load.Verify()) ADD_FAILURE() << finding.what;
  for (int node = 0; ::testing::Test::HasFailure() && node < cluster.size(); ++node)
    std::printf("n%d\n%s\n", node, cluster.Log(node).c_str());
  std::printf(
      "%lld calls acknowledged, %lld alarms handled, none lost or doubled; longest outage %.2f s after a kill"
      " (lease %.1f s), %.2f s after a drain\n",
      static_cast<long long>(load.acknowledged()), static_cast<long long>(load.alarms().handled()),
      absl::ToDoubleSeconds(take_over), absl::ToDoubleSeconds(cluster.options().lease),
      absl::ToDoubleSeconds(hand_over));
}

// gRPC ends a process that sends metadata with other bytes than printable ASCII, and takes them from a client.
TEST(ClusterTest, WhatGrpcDoesNotSendIsNotSentOn) {
  Cluster cluster({.nodes = 2});
  ASSERT_TRUE(cluster.WaitUntilShared(kSharedMax));
  for (const char* value : {"\xff", "a\tb", "00-\x80"}) {
    WireClient client(absl::StrCat("127.0.0.1:", cluster.from_peers(0).port()));
    client.Greet();
    // Some of these objects are the other node's.
    for (int i = 0; i < 10; ++i) {
      v1::IncrementRequest request;
      request.mutable_object()->set_name(absl::StrCat("c", i));
      request.set_amount(1);
      client.Send(client.Open("/holdfast.v1.CounterService/Increment", {{"traceparent", value}, {"tracestate", value}}),
                  request);
    }
    int answered = 0;
    for (const absl::Time until = absl::Now() + kSharedMax; answered < 10 && !client.closed() && absl::Now() < until;) {
      for (const WireClient::Frame& frame : client.Read(absl::Seconds(1), 1)) {
        if (frame.type == WireClient::kHeaders && (frame.flags & WireClient::kEndStream) != 0) ++answered;
      }
    }
    EXPECT_EQ(answered, 10) << absl::CHexEscape(value);
  }
  EXPECT_FALSE(cluster.Wait(0, absl::ZeroDuration()).has_value()) << cluster.Log(0);
  const auto stub = v1::CounterService::NewStub(cluster.NewChannel(0));
  for (int i = 0; i < 10; ++i) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kSharedMax));
    v1::GetValueRequest request;
    request.mutable_object()->set_name(absl::StrCat("c", i));
    v1::GetValueResponse reply;
    const grpc::Status status = stub->GetValue(&context, request, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
}

}  // namespace
}  // namespace holdfast::testing
