// The plan of shards: each node carries out its own part of it, and all parts together are a fair map.

#include "service/cluster/shard_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

using storage::kShardCount;
using storage::ShardId;
using storage::postgres::DatabasePart;
using storage::postgres::kNoLane;
using storage::postgres::MemberState;

constexpr int64_t kLoadMin = 100;

bool Nobody(const Member&) { return false; }

// Carries out moves as the database does.
class Cluster {
 public:
  // The map of one of several databases.
  explicit Cluster(const DatabasePart& part = {}) { map_.part = part; }
  void Add(const std::string& owner, int executors = 1, MemberState state = MemberState::kNode) {
    Member member{.owner = owner, .state = state, .node = owner, .address = owner, .lease = {}, .rows = {}};
    member.part = map_.part;
    for (int lane = 0; lane < executors; ++lane) member.rows.push_back({++writers_, lane, 1, 0, 0});
    member.rows.push_back({++writers_, kNoLane, 1, 0, 0});
    map_.members[owner] = member;
  }
  void Remove(const std::string& owner) { map_.members.erase(owner); }
  ClusterMap& map() { return map_; }
  void TellLoads() {
    for (auto& [owner, member] : map_.members) member.tells_loads = true;
  }
  int64_t& load(uint32_t shard) { return map_.shards[shard].load; }
  int64_t LoadOf(const std::string& owner) {
    int64_t load = 0;
    for (const ShardId shard : map_.ShardsOf(map_.members.at(owner))) load += this->load(static_cast<uint32_t>(shard));
    return load;
  }
  size_t Count(const std::string& owner) { return map_.ShardsOf(map_.members.at(owner)).size(); }

  size_t Carry(const std::vector<ShardMove>& moves) {
    for (const ShardMove& move : moves) {
      auto& place = map_.shards[static_cast<size_t>(move.shard)];
      if (place.epoch == move.epoch) place = {.writer = move.to, .epoch = place.epoch + 1, .load = place.load};
    }
    return moves.size();
  }
  // Each node plans by the same map. Returns the number of moves.
  size_t Round(size_t moves_max = kShardCount, IsSilent is_silent = Nobody) {
    const ClusterMap seen = map_;
    size_t moves = 0;
    for (const auto& [owner, member] : seen.members) {
      const ShardPlan plan = PlanShards(seen, member, is_silent, {moves_max, kLoadMin});
      EXPECT_LE(plan.give.size(), moves_max);
      moves += Carry(plan.take) + Carry(plan.give);
    }
    return moves;
  }

 private:
  ClusterMap map_;
  int64_t writers_ = 0;
};

TEST(ShardPlan, OneNodeTakesAll) {
  Cluster cluster;
  cluster.Add("a", 3);
  EXPECT_EQ(cluster.Round(), kShardCount);
  EXPECT_EQ(cluster.Count("a"), kShardCount);
  // Each shard is of the executor that runs it.
  const Member& a = cluster.map().members.at("a");
  for (uint32_t shard = 0; shard < kShardCount; ++shard) {
    EXPECT_EQ(cluster.map().shards[shard].writer, a.rows[shard % 3].id);
  }
  EXPECT_EQ(cluster.Round(), 0u);
}

TEST(ShardPlan, OfSeveralDatabasesEachHasItsShards) {
  for (uint32_t database = 0; database < 3; ++database) {
    Cluster cluster({database, 3});
    cluster.Add("a", 2);
    const size_t shards = database == 0 ? 86 : 85;
    EXPECT_EQ(cluster.Round(), shards);
    const Member& a = cluster.map().members.at("a");
    for (uint32_t shard = 0; shard < kShardCount; ++shard) {
      // The node has six executors: two for each database, in turn.
      const int64_t writer = shard % 3 == database ? a.rows[shard % 6 / 3].id : 0;
      EXPECT_EQ(cluster.map().shards[shard].writer, writer);
    }
    cluster.Add("b");
    EXPECT_EQ(cluster.Round(), shards / 2);
    EXPECT_EQ(cluster.Round(), 0u);
    cluster.map().members.at("a").state = MemberState::kLeaving;
    cluster.Carry(PlanLeaving(cluster.map(), cluster.map().members.at("a"), Nobody, kShardCount));
    EXPECT_EQ(cluster.Count("b"), shards);
  }
}

TEST(ShardPlan, NodesThatStartTogetherTakeDifferentShards) {
  Cluster cluster;
  for (const char* node : {"a", "b", "c"}) cluster.Add(node);
  EXPECT_EQ(cluster.Round(), kShardCount);
  EXPECT_EQ(cluster.Count("a") + cluster.Count("b") + cluster.Count("c"), kShardCount);
  for (const char* node : {"a", "b", "c"}) EXPECT_GE(cluster.Count(node), 85u);
  EXPECT_EQ(cluster.Round(), 0u);
}

TEST(ShardPlan, NewNodeGetsItsShareAndNoMoreThanThatMoves) {
  Cluster cluster;
  cluster.Add("a");
  cluster.Add("b");
  cluster.Round();
  cluster.Add("c", 4);
  EXPECT_EQ(cluster.Round(), 85u);
  for (const char* node : {"a", "b"}) EXPECT_GE(cluster.Count(node), 85u);
  EXPECT_EQ(cluster.Count("c"), 85u);
  EXPECT_EQ(cluster.Round(), 0u);
}

TEST(ShardPlan, FewMoveAtATime) {
  Cluster cluster;
  cluster.Add("a");
  cluster.Round();
  cluster.Add("b");
  int rounds = 0;
  while (cluster.Round(16) > 0) ++rounds;
  EXPECT_EQ(rounds, 8);
  EXPECT_EQ(cluster.Count("a"), 128u);
}

TEST(ShardPlan, NobodyGivesToANodeThatIsSilentOrLeaves) {
  Cluster cluster;
  cluster.Add("a");
  cluster.Round();
  cluster.Add("b");
  cluster.Add("c", 1, MemberState::kLeaving);
  cluster.Add("d", 1, MemberState::kRecovery);
  const auto b_is_silent = [](const Member& member) { return member.owner == "b"; };
  EXPECT_EQ(cluster.Round(kShardCount, b_is_silent), 0u);
  EXPECT_EQ(cluster.Count("a"), kShardCount);
}

TEST(ShardPlan, ShardsOfASilentNodeStayUntilItIsTakenOver) {
  Cluster cluster;
  cluster.Add("a");
  cluster.Add("b");
  cluster.Round();
  const auto b_is_silent = [](const Member& member) { return member.owner == "b"; };
  EXPECT_EQ(cluster.Round(kShardCount, b_is_silent), 0u);
  EXPECT_EQ(cluster.Count("b"), 128u);
  // A member that has left, or is not in the map, has none.
  cluster.Remove("b");
  EXPECT_EQ(cluster.Round(), 128u);
  EXPECT_EQ(cluster.Count("a"), kShardCount);
}

TEST(ShardPlan, NodeThatLeavesGivesToThoseWithTheFewest) {
  Cluster cluster;
  for (const char* node : {"a", "b", "c"}) cluster.Add(node);
  cluster.Round();
  cluster.map().members.at("b").state = MemberState::kLeaving;
  while (cluster.Carry(PlanLeaving(cluster.map(), cluster.map().members.at("b"), Nobody, 10)) > 0) {
    EXPECT_EQ(cluster.Round(), 0u);
  }
  EXPECT_EQ(cluster.Count("a"), 128u);
  EXPECT_EQ(cluster.Count("c"), 128u);
  // The last ones have nobody to give to.
  cluster.Remove("c");
  cluster.map().members.at("a").state = MemberState::kLeaving;
  EXPECT_TRUE(PlanLeaving(cluster.map(), cluster.map().members.at("a"), Nobody, 10).empty());
}

// Nodes come and go in any order; in the end the map is fair, and stays as it is.
TEST(ShardPlan, EndsInAFairMap) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    uint32_t state = seed * 2654435761u;
    const auto random = [&](uint32_t n) { return (state = state * 1664525u + 1013904223u) / 65536 % n; };
    Cluster cluster;
    std::set<std::string> nodes;
    for (int step = 0; step < 12; ++step) {
      if (nodes.empty() || random(3) > 0) {
        nodes.insert(absl::StrCat("node", step));
        cluster.Add(absl::StrCat("node", step), 1 + static_cast<int>(random(4)));
      } else {
        auto gone = std::next(nodes.begin(), random(static_cast<uint32_t>(nodes.size())));
        cluster.Remove(*gone);
        nodes.erase(gone);
      }
      for (uint32_t round = random(4); round > 0; --round) cluster.Round(1 + random(40));
    }
    int rounds = 0;
    while (cluster.Round(16) > 0) ASSERT_LT(++rounds, 100);
    if (nodes.empty()) continue;
    size_t fewest = kShardCount;
    size_t most = 0;
    size_t all = 0;
    for (const std::string& node : nodes) {
      fewest = std::min(fewest, cluster.Count(node));
      most = std::max(most, cluster.Count(node));
      all += cluster.Count(node);
    }
    EXPECT_EQ(all, kShardCount);
    EXPECT_LE(most - fewest, 1u);
  }
}

TEST(ShardPlan, BusyNodeGivesUntilTheLoadsAreEven) {
  Cluster cluster;
  for (const char* node : {"a", "b", "c"}) cluster.Add(node);
  cluster.Round();
  cluster.TellLoads();
  // The nodes take free shards in turn, so this is the load of a alone.
  for (uint32_t shard = 0; shard < 30; shard += 3) cluster.load(shard) = 100;
  ASSERT_EQ(cluster.LoadOf("a"), 1000);
  while (cluster.Round(2) > 0) {
  }
  EXPECT_LE(cluster.LoadOf("a"), 400);
  EXPECT_LE(cluster.LoadOf("b"), 400);
  EXPECT_LE(cluster.LoadOf("c"), 400);
}

TEST(ShardPlan, LoadsMoveNothingWhileANodeDoesNotTellThem) {
  Cluster cluster;
  for (const char* node : {"a", "b"}) cluster.Add(node);
  cluster.Round();
  for (uint32_t shard = 0; shard < 30; shard += 2) cluster.load(shard) = 1000;
  cluster.map().members.at("a").tells_loads = true;
  EXPECT_EQ(cluster.Round(), 0u);
  cluster.map().members.at("b").tells_loads = true;
  EXPECT_GT(cluster.Round(), 0u);
}

TEST(ShardPlan, SmallLoadsAndSmallDifferencesMoveNothing) {
  Cluster cluster;
  for (const char* node : {"a", "b"}) cluster.Add(node);
  cluster.Round();
  cluster.TellLoads();
  for (uint32_t shard = 0; shard < 18; shard += 2) cluster.load(shard) = 11;
  ASSERT_EQ(cluster.LoadOf("a"), kLoadMin - 1);
  EXPECT_EQ(cluster.Round(), 0u);
  for (uint32_t shard = 0; shard < 20; ++shard) cluster.load(shard) = shard % 2 == 0 ? 1200 : 800;
  EXPECT_EQ(cluster.Round(), 0u);
}

TEST(ShardPlan, OneShardThatIsBusierThanAllOthersStaysAndOthersMakeRoom) {
  Cluster cluster;
  for (const char* node : {"a", "b"}) cluster.Add(node);
  cluster.Round();
  cluster.TellLoads();
  for (uint32_t shard = 0; shard < kShardCount; ++shard) cluster.load(shard) = 1;
  cluster.load(0) = 100000;
  while (cluster.Round() > 0) {
  }
  EXPECT_EQ(cluster.Count("a"), 64u);
  EXPECT_EQ(cluster.LoadOf("a"), 100063);
}

TEST(ShardPlan, NewNodeGetsItsShareOfTheLoad) {
  Cluster cluster;
  cluster.Add("a");
  cluster.Round();
  cluster.Add("b");
  for (uint32_t shard = 0; shard < kShardCount; ++shard) cluster.load(shard) = shard % 16 == 0 ? 1000 : 10;
  while (cluster.Round(16) > 0) {
  }
  EXPECT_EQ(cluster.Count("b"), 128u);
  EXPECT_NEAR(static_cast<double>(cluster.LoadOf("b")), static_cast<double>(cluster.LoadOf("a")), 2000);
}

// Loads of any kind are evened out in a few rounds, and then, though they vary, next to nothing moves.
TEST(ShardPlan, WeighedShardsComeToRest) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    std::minstd_rand random(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random()) % n; };
    Cluster cluster;
    const uint32_t nodes = 2 + below(6);
    for (uint32_t node = 0; node < nodes; ++node) cluster.Add(absl::StrCat("node", node));
    while (cluster.Round() > 0) {
    }
    cluster.TellLoads();
    std::array<int64_t, kShardCount> loads;
    const bool few_busy = below(2) == 0;
    for (int64_t& load : loads) load = few_busy && below(8) > 0 ? below(10) : 100 + below(2000);
    for (uint32_t shard = 0; shard < kShardCount; ++shard) cluster.load(shard) = loads[shard];
    int rounds = 0;
    while (cluster.Round(16) > 0) ASSERT_LT(++rounds, 50) << "seed " << seed;

    int64_t most = 0;
    int64_t all = 0;
    for (uint32_t node = 0; node < nodes; ++node) {
      const std::string owner = absl::StrCat("node", node);
      most = std::max(most, cluster.LoadOf(owner));
      all += cluster.LoadOf(owner);
      const auto share = static_cast<double>(kShardCount) / nodes;
      EXPECT_NEAR(static_cast<double>(cluster.Count(owner)), share, share / 2 + 1) << "seed " << seed;
    }
    EXPECT_LE(static_cast<double>(most), 1.25 * static_cast<double>(all) / nodes) << "seed " << seed;

    size_t moves = 0;
    for (int i = 0; i < 100; ++i) {
      for (uint32_t shard = 0; shard < kShardCount; ++shard) {
        cluster.load(shard) = loads[shard] * (90 + static_cast<int64_t>(below(21))) / 100;
      }
      moves += cluster.Round(16);
    }
    EXPECT_LE(moves, 4u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace holdfast::service
