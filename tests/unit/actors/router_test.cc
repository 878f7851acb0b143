#include "actors/runtime/router.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/store/memory_store.h"
#include "tests/simulation/node.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

// Runs on the test's thread, but reports that it runs on another.
class ForeignExecutor : public simulation::ManualExecutor {
 public:
  using ManualExecutor::ManualExecutor;
  bool IsCurrent() const override { return current; }
  bool current = false;
};

class Ping : public Delivery {
 public:
  explicit Ping(const std::string& name) : key("default", "Scripted", name) {}
  Task<absl::Status> Run(Object& object) override { return Answer(static_cast<ScriptedObject&>(object)); }
  void Done(const absl::Status& status) override { outcome = status; }

  const storage::ObjectKey key;
  std::string answered_by;
  std::optional<absl::Status> outcome;

 private:
  Task<absl::Status> Answer(ScriptedObject& object) {
    answered_by = object.name;
    co_return absl::OkStatus();
  }
};

class RouterTest : public ::testing::Test {
 protected:
  struct Lane {
    Lane(RouterTest* test)
        : executor(&test->clock),
          reads(EndOn(&executor)),
          sql(EndOn(&executor)),
          commits(EndOn(&executor)),
          family_changes(EndOn(&executor)),
          random(1) {
      host = std::make_unique<ShardHost>(
          HostServices{&executor, &test->store, &test->families, &test->run_clocks, &reads, &sql, nullptr, &commits,
                       &family_changes, &random, &test->classes, &test->watchers, nullptr},
          HostOptions());
    }
    ForeignExecutor executor;
    simulation::ManualBackground reads;
    simulation::ManualBackground sql;
    simulation::ManualBackground commits;
    simulation::ManualBackground family_changes;
    SeededRandom random;
    std::unique_ptr<ShardHost> host;
  };

  RouterTest() {
    ScriptedObject::board() = {};
    std::vector<Router::Host> hosts;
    for (int i = 0; i < 3; ++i) {
      lanes.push_back(std::make_unique<Lane>(this));
      hosts.push_back({&lanes.back()->executor, lanes.back()->host.get()});
    }
    router = std::make_unique<Router>(hosts);
  }

  simulation::VirtualClock clock;
  storage::MemoryStore store;
  storage::Families families{&store, 0};
  storage::RunClocks run_clocks{&store};
  ObjectClass scripted = MakeScriptedClass();
  ClassRegistry classes{{&scripted}};
  AlarmWatchers watchers;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::unique_ptr<Router> router;
};

TEST_F(RouterTest, EachShardHasExactlyOneHostAndTheyShareThemEvenly) {
  std::map<const ShardHost*, int> shards;
  for (uint32_t shard = 0; shard < storage::kShardCount; ++shard) {
    int owners = 0;
    for (const auto& lane : lanes) {
      if (!lane->host->Owns(storage::ShardId(shard))) continue;
      ++owners;
      ++shards[lane->host.get()];
    }
    EXPECT_EQ(owners, 1) << shard;
  }
  for (const auto& [host, count] : shards) EXPECT_NEAR(count, storage::kShardCount / 3.0, 1);
}

TEST_F(RouterTest, ADeliveryRunsOnTheExecutorOfItsShard) {
  for (int i = 0; i < 50; ++i) {
    Ping ping(absl::StrCat("object", i));
    const Router::Host& host = router->HostOf(ping.key);
    EXPECT_TRUE(host.shards->Owns(ping.key.shard()));
    router->Deliver(ping.key, &scripted, &ping);
    EXPECT_FALSE(ping.outcome) << "ran on a thread that is not the executor's";
    static_cast<ForeignExecutor*>(host.executor)->RunUntilIdle();
    ASSERT_TRUE(ping.outcome);
    EXPECT_EQ(ping.answered_by, absl::StrCat("object", i));
    EXPECT_NE(host.shards->Find(ping.key), nullptr);
  }
}

TEST_F(RouterTest, DeliveriesThatComeTogetherRunOnTheExecutorsOfTheirObjects) {
  std::vector<std::unique_ptr<Ping>> pings;
  std::vector<Addressed> together;
  for (int i = 0; i < 200; ++i) {
    pings.push_back(std::make_unique<Ping>(absl::StrCat("object", i)));
    together.push_back({&pings.back()->key, &scripted, pings.back().get()});
  }
  const Router::Host& own = router->HostOf(pings[0]->key);
  static_cast<ForeignExecutor*>(own.executor)->current = true;
  router->Deliver(std::move(together));
  for (const auto& ping : pings) {
    const bool is_own = router->HostOf(ping->key).executor == own.executor;
    EXPECT_EQ(ping->outcome.has_value(), is_own) << "ran on a thread that is not the executor's";
  }
  for (const auto& lane : lanes) {
    lane->executor.RunUntilIdle();
    for (const auto& ping : pings) {
      if (router->HostOf(ping->key).executor == &lane->executor) EXPECT_TRUE(ping->outcome);
    }
  }
  for (int i = 0; i < 200; ++i) EXPECT_EQ(pings[i]->answered_by, absl::StrCat("object", i));
}

TEST_F(RouterTest, OnTheExecutorItselfADeliveryIsNotHandedOver) {
  Ping ping("a");
  const Router::Host& host = router->HostOf(ping.key);
  static_cast<ForeignExecutor*>(host.executor)->current = true;
  router->Deliver(ping.key, &scripted, &ping);
  EXPECT_TRUE(ping.outcome);
}

}  // namespace
}  // namespace holdfast::actors
