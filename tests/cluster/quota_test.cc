// The quotas of objects hold over the nodes of a cluster, while clients of all nodes make objects at once, and when
// nodes go and come.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "storage/store/object_id.h"
#include "tests/cluster/cluster.h"
#include "tests/integration/rpc.h"

namespace holdfast::testing {
namespace {

using Counters = v1::CounterService::Stub;
using Objects = v1::ObjectService::Stub;

constexpr int kQuota = 50;
constexpr int kNodes = 3;
constexpr int kClientsOfNode = 2;
constexpr int kTriesOfClient = 40;
constexpr absl::Duration kWait = absl::Seconds(30);
// Longer than nodes take to tell each other what they have, on a busy machine, too.
constexpr absl::Duration kTold = absl::Seconds(3);

// By which docs/cluster.md says that a quota may be passed, from a moment at which there was so much room: a third of
// the room, one for each node, and the turns of these clients that are under way at once.
constexpr int PassedMax(int room, int clients) { return room / 3 + kNodes + clients; }

// With one database, and with two.
class QuotaTest : public ::testing::TestWithParam<int> {
 protected:
  QuotaTest() {
    EXPECT_TRUE(cluster_.WaitUntilShared(kWait));
    for (int node = 0; node < kNodes; ++node) {
      counters_.push_back(v1::CounterService::NewStub(cluster_.NewChannel(node)));
      objects_.push_back(v1::ObjectService::NewStub(cluster_.NewChannel(node)));
    }
  }

  grpc::Status Increment(int node, const std::string& name) {
    v1::IncrementRequest request;
    request.mutable_object()->set_namespace_("shop");
    request.mutable_object()->set_name(name);
    request.set_request_id(name);
    return Invoke(*counters_[Index(node)], &Counters::Increment, request).status;
  }
  // Tries to make an object. A node that has just lost a shard, or does not know its new owner yet, is asked again.
  bool Make(int node, const std::string& name) {
    const absl::Time until = absl::Now() + kWait;
    while (true) {
      const grpc::Status status = Increment(node, name);
      if (status.ok()) return true;
      if (ReasonOf(status) == "NAMESPACE_QUOTA") {
        EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
        EXPECT_TRUE(absl::StrContains(status.error_message(), "namespace.objects_max")) << status.error_message();
        return false;
      }
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
      if (status.error_code() != grpc::StatusCode::UNAVAILABLE || absl::Now() > until) return false;
      absl::SleepFor(absl::Milliseconds(50));  // a client waits before it tries again
    }
  }
  // Makes objects one after the other, at all nodes that run in turn, until there are so many. Returns whether there
  // are before kWait.
  bool MakeUntil(int count) {
    const absl::Time until = absl::Now() + kWait;
    for (int i = 0; made_ < count && absl::Now() < until; ++i) {
      const int node = i % kNodes;
      if (!cluster_.runs(node)) continue;
      const std::string name = absl::StrCat("late", named_++);
      if (Make(node, name)) {
        names_.push_back(name);
        ++made_;
      }
    }
    return made_ >= count;
  }
  // Every node that runs refuses another object for lack of room, not of its part of it.
  void ExpectFull() {
    absl::SleepFor(kTold);  // they tell each other meanwhile
    for (int node = 0; node < kNodes; ++node) {
      if (!cluster_.runs(node)) continue;
      // Ten names are objects of several nodes.
      for (int i = 0; i < 10; ++i) {
        EXPECT_FALSE(Make(node, absl::StrCat("more", named_++))) << "n" << node;
      }
      EXPECT_TRUE(Increment(node, names_.front()).ok());
    }
  }
  // Waits until the databases have as many objects of the namespace as were made.
  void ExpectCounted() {
    const absl::Time until = absl::Now() + kWait;
    int count = 0;
    do {
      absl::SleepFor(absl::Milliseconds(100));  // nothing tells that all is folded
      count = 0;
      for (int database = 0; database < GetParam(); ++database) {
        const auto rows = cluster_.Query(
            "SELECT count(*)::text FROM hf_entry WHERE family = 1 AND key >= 'shop'::bytea AND key < 'shoq'::bytea",
            database);
        int part = 0;
        EXPECT_TRUE(absl::SimpleAtoi(rows[0][0], &part));
        count += part;
      }
    } while (count != made_ && absl::Now() < until);
    EXPECT_EQ(count, made_);
  }

  static size_t Index(int node) { return static_cast<size_t>(node); }

  Cluster cluster_{
      {.nodes = kNodes,
       .config = absl::StrCat("actors { executors: 2 } namespace { name: 'shop' objects_max: ", kQuota, " }"),
       .more_databases = GetParam() - 1}};
  std::vector<std::unique_ptr<Counters>> counters_;
  std::vector<std::unique_ptr<Objects>> objects_;
  std::vector<std::string> names_;  // of objects that were made
  int made_ = 0;
  int named_ = 0;
};

TEST_P(QuotaTest, ObjectsOfANamespaceOverAllNodes) {
  // Clients of all nodes at once.
  std::vector<std::thread> clients;
  std::vector<std::vector<std::string>> made(kNodes * kClientsOfNode);
  for (int client = 0; client < kNodes * kClientsOfNode; ++client) {
    clients.emplace_back([this, client, names = &made[Index(client)]] {
      for (int i = 0; i < kTriesOfClient; ++i) {
        const std::string name = absl::StrCat("c", client, "-", i);
        if (Make(client % kNodes, name)) names->push_back(name);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  for (const auto& names : made) names_.insert(names_.end(), names.begin(), names.end());
  made_ = static_cast<int>(names_.size());
  const int at_once = made_;
  EXPECT_LE(at_once, kQuota + PassedMax(kQuota, kNodes * kClientsOfNode));
  // The room that is left is given in the next rounds.
  EXPECT_TRUE(MakeUntil(kQuota));
  ExpectFull();
  ExpectCounted();

  // The objects of a node that is killed count on, and can be removed at those that have them then.
  ASSERT_EQ(names_.size(), Index(made_));
  cluster_.Kill(1);
  EXPECT_TRUE(cluster_.WaitUntilShared(kWait));
  ExpectFull();
  constexpr int kLeft = 30;
  for (int i = 0; made_ > kLeft; ++i) {
    v1::DeleteAllRequest request;
    request.mutable_object()->set_namespace_("shop");
    request.mutable_object()->set_object_class("Counter");
    request.mutable_object()->set_name(names_.back());
    const grpc::Status status = Invoke(*objects_[i % 2 == 0 ? 0 : 2], &Objects::DeleteAll, request).status;
    EXPECT_TRUE(status.ok()) << status.error_message();
    names_.pop_back();
    --made_;
  }
  EXPECT_TRUE(MakeUntil(kQuota)) << made_;
  EXPECT_LE(made_, kQuota + PassedMax(kQuota - kLeft, 1));
  ExpectFull();
  ExpectCounted();

  // A node that comes counts what it gets, and those that give forget it.
  cluster_.Start(1);
  EXPECT_TRUE(cluster_.WaitUntilShared(kWait));
  ExpectFull();
  EXPECT_EQ(cluster_.Terminate(2), 0) << cluster_.Log(2);
  EXPECT_TRUE(cluster_.WaitUntilShared(kWait));
  ExpectFull();
  ExpectCounted();
  std::printf("objects_max %d: %d made by %d clients at once, %d after all but %d were removed\n", kQuota, at_once,
              kNodes * kClientsOfNode, made_, kLeft);
  for (int node = 0; HasFailure() && node < kNodes; ++node) std::printf("n%d\n%s\n", node, cluster_.Log(node).c_str());
}

INSTANTIATE_TEST_SUITE_P(Databases, QuotaTest, ::testing::Values(1, 2));

}  // namespace
}  // namespace holdfast::testing
