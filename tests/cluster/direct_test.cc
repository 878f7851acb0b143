// The C++ client of a cluster calls the nodes of its objects directly, and goes on when a node is gone.

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "storage/store/object_id.h"
#include "tests/cluster/cluster.h"
#include "tests/integration/http_get.h"

namespace holdfast::testing {
namespace {

using client::CallKind;
using client::Client;
using v1::CounterService;

constexpr absl::Duration kWait = absl::Seconds(30);
constexpr int kCounters = 100;

// Returns the number of requests that the node has sent on to others, by its metrics.
std::optional<int64_t> ForwardedBy(const Cluster& cluster, int node) {
  std::string endpoint;
  for (absl::string_view line : absl::StrSplit(cluster.Log(node), '\n')) {
    const size_t at = line.find("event=metrics listen=");
    if (at != line.npos) endpoint = std::string(line.substr(at + 21));
  }
  for (absl::string_view line : absl::StrSplit(HttpGet(endpoint, "/metrics"), '\n')) {
    double value;
    if (absl::StartsWith(line, "holdfast_cluster_forwarded_total ") &&
        absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) {
      return static_cast<int64_t>(value);
    }
  }
  return std::nullopt;
}

class DirectTest : public ::testing::Test {
 protected:
  DirectTest() { EXPECT_TRUE(cluster_.WaitUntilShared(kWait)); }

  // A client whose ordinary address is the node's.
  std::unique_ptr<Client> ClientOf(int node, bool direct) {
    return std::make_unique<Client>(client::ClientOptions{
        .address = absl::StrCat("127.0.0.1:", cluster_.from_peers(node).port()), .timeout = kWait, .direct = direct});
  }
  // Increments each counter once. Returns how many have this value then.
  static int Increment(Client* client, int64_t value) {
    int right = 0;
    for (int i = 0; i < kCounters; ++i) {
      v1::IncrementRequest request;
      request.mutable_object()->set_name(absl::StrCat("c", i));
      request.set_amount(1);
      const auto reply = client->Call(CallKind::kMutation, &CounterService::Stub::Increment, request);
      EXPECT_TRUE(reply.ok()) << reply.status();
      if (reply.ok() && reply->value() == value) ++right;
    }
    return right;
  }
  int64_t Forwarded() {
    // A server that was asked tells the same for 100 ms.
    absl::SleepFor(absl::Milliseconds(150));
    int64_t all = 0;
    for (int node = 0; node < cluster_.size(); ++node) {
      const std::optional<int64_t> forwarded = ForwardedBy(cluster_, node);
      EXPECT_TRUE(forwarded.has_value()) << cluster_.Log(node);
      all += forwarded.value_or(0);
    }
    return all;
  }

  Cluster cluster_{{.nodes = 3, .config = "metrics { listen: \"127.0.0.1:0\" }"}};
};

TEST_F(DirectTest, NoNodeSendsOnWhatADirectClientCalls) {
  const auto direct = ClientOf(0, true);
  ASSERT_TRUE(direct->AwaitDirect(kWait));
  // Until its connections are up, calls go the ordinary way.
  EXPECT_EQ(Increment(direct.get(), 1), kCounters);
  const int64_t before = Forwarded();
  EXPECT_EQ(Increment(direct.get(), 2), kCounters);
  EXPECT_EQ(Forwarded(), before);
  // The same calls of another client are sent on: the metric counts them.
  const auto ordinary = ClientOf(0, false);
  EXPECT_EQ(Increment(ordinary.get(), 3), kCounters);
  const int64_t forwarded = Forwarded() - before;
  EXPECT_GT(forwarded, kCounters / 3);
  EXPECT_LT(forwarded, kCounters);
}

// A node that is killed refuses its calls; one that is stopped answers none, until the others have taken its shards.
TEST_F(DirectTest, CallsGoOnWhenANodeIsKilledOrStopped) {
  const auto direct = ClientOf(0, true);
  ASSERT_TRUE(direct->AwaitDirect(kWait));
  EXPECT_EQ(Increment(direct.get(), 1), kCounters);
  cluster_.Kill(1);
  EXPECT_EQ(Increment(direct.get(), 2), kCounters);
  cluster_.Start(1);
  EXPECT_TRUE(cluster_.WaitUntilShared(kWait));
  cluster_.Freeze(2);
  EXPECT_EQ(Increment(direct.get(), 3), kCounters);
  cluster_.Kill(2);
}

}  // namespace
}  // namespace holdfast::testing
