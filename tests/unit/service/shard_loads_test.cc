// The loads of shards that a node tells its cluster.

#include "service/cluster/shard_loads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::service {
namespace {

using storage::kShardCount;
using storage::ShardId;
using storage::postgres::ClusterMap;
using storage::postgres::Member;
using storage::postgres::Membership;

constexpr absl::Duration kInterval = absl::Seconds(10);

// A node that has the shards 0 and 1 of two.
class ShardLoadsTest : public testing::Test {
 protected:
  ShardLoadsTest() {
    Member self{.owner = "self", .node = "a", .address = "a", .lease = {}, .rows = {{.id = 1, .lane = 0}}};
    self.rows.push_back({.id = 2, .lane = storage::postgres::kNoLane});
    map_.members["self"] = self;
    map_.shards[0].writer = 1;
    map_.shards[1].writer = 1;
    map_.shards[2].writer = 7;
    for (int shard : {0, 1}) loads_.Gained(ShardId(shard));
  }

  // Each shard has had so many more turns in the time. Returns what is told of shard 0; nothing is -1. The map has it
  // from then on.
  int64_t After(absl::Duration time, uint64_t turns) {
    now_ += time;
    for (uint64_t& all : turns_) all += turns;
    if (!loads_.due(now_)) return -1;
    int64_t told = -1;
    for (const Membership::Load& load : loads_.Count(
             now_, map_, map_.members["self"], [&](ShardId shard) { return turns_[static_cast<size_t>(shard)]; })) {
      EXPECT_NE(load.shard, ShardId(2)) << "the shard of another node";
      map_.shards[static_cast<size_t>(load.shard)].load = load.load;
      if (load.shard == ShardId(0)) told = load.load;
    }
    return told;
  }

  ClusterMap map_;
  ShardLoads loads_{kInterval};
  std::array<uint64_t, kShardCount> turns_ = {};
  absl::Duration now_ = absl::Hours(1);
};

TEST_F(ShardLoadsTest, LoadIsTheMeanOfWhatWasToldAndCounted) {
  EXPECT_EQ(After(absl::ZeroDuration(), 5000), -1) << "before a whole interval";
  EXPECT_FALSE(loads_.whole());
  EXPECT_EQ(After(absl::Seconds(9), 9000), -1) << "not due";
  EXPECT_EQ(After(absl::Seconds(1), 1000), 500);
  EXPECT_TRUE(loads_.whole());
  EXPECT_EQ(After(kInterval, 10000), 750);
  EXPECT_EQ(After(2 * kInterval, 20000), 875);
}

TEST_F(ShardLoadsTest, SmallChangesAreNotTold) {
  map_.shards[0].load = 1000;
  After(absl::ZeroDuration(), 0);
  EXPECT_EQ(After(kInterval, 12000), -1);
  EXPECT_EQ(After(kInterval, 8000), -1);
  EXPECT_EQ(After(kInterval, 13000), 1150);
}

TEST_F(ShardLoadsTest, ShardThatRestsEndsAtZero) {
  map_.shards[0].load = 3;
  After(absl::ZeroDuration(), 0);
  EXPECT_EQ(After(kInterval, 0), 1);
  EXPECT_EQ(After(kInterval, 0), 0);
  EXPECT_EQ(After(kInterval, 0), -1);
}

TEST_F(ShardLoadsTest, ShardThatHasComeKeepsItsLoadForAnInterval) {
  map_.shards[0].load = 700;
  After(absl::ZeroDuration(), 0);
  loads_.Gained(ShardId(0));
  EXPECT_EQ(After(kInterval, 100), -1);
  EXPECT_EQ(map_.shards[1].load, 5) << "the other one was there";
  EXPECT_EQ(After(kInterval, 5000), 600);
}

TEST_F(ShardLoadsTest, WithoutAnIntervalNothingIsDue) {
  EXPECT_FALSE(ShardLoads(absl::InfiniteDuration()).due(absl::Hours(1000)));
}

}  // namespace
}  // namespace holdfast::service
