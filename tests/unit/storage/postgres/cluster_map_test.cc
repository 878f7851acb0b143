// The map of a cluster, the moves of shards in it, and who is silent.

#include "storage/postgres/cluster_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "storage/postgres/membership.h"
#include "tests/unit/storage/postgres/test_cluster.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage::postgres {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class MembershipTest : public testing::Test {
 protected:
  std::unique_ptr<PostgresStore> Join(const std::string& node, int executors = 1, bool joins = true) {
    auto store = TryToJoin(node, executors, joins);
    EXPECT_THAT(store, IsOk());
    return *std::move(store);
  }
  absl::StatusOr<std::unique_ptr<PostgresStore>> TryToJoin(const std::string& node, int executors = 1,
                                                           bool joins = true) {
    PostgresOptions options = cluster_.NewProcess();
    options.node = node;
    options.executors = executors;
    options.joins = joins;
    options.lease = absl::Milliseconds(900);
    return OpenPostgresStore(options);
  }
  static ClusterMap MapOf(PostgresStore& store) {
    const auto map = store.membership().Look();
    EXPECT_THAT(map, IsOk());
    return *map;
  }
  static const Member& SelfOf(const ClusterMap& map, PostgresStore& store) {
    return *map.Find(store.membership().owner());
  }
  // Moves shards, as they are in the map, to a member.
  static absl::Status Move(PostgresStore& by, const ClusterMap& map, std::vector<int> shards, const Member& to) {
    std::vector<Membership::Move> moves;
    for (int shard : shards) {
      moves.push_back({ShardId(shard), map.shards[static_cast<size_t>(shard)].epoch, to.WriterOf(ShardId(shard))});
    }
    return by.membership().MoveShards(moves);
  }

  TestCluster cluster_;
};

TEST_F(MembershipTest, EachMemberHasWritersOfItsOwn) {
  const auto a = Join("a", 2);
  const auto b = Join("b", 3);
  const ClusterMap map = MapOf(*a);
  ASSERT_EQ(map.members.size(), 2u);
  const Member& first = SelfOf(map, *a);
  const Member& second = SelfOf(map, *b);
  EXPECT_EQ(first.node, "a");
  EXPECT_EQ(first.state, MemberState::kNode);
  EXPECT_EQ(first.rows.size(), 3u);
  EXPECT_EQ(second.rows.size(), 4u);
  EXPECT_EQ(second.WriterOf(ShardId(5)), b->first_log() + 2);
  EXPECT_EQ(map.OwnerOf(ShardId(0)), nullptr);
}

TEST(MembershipInOneOfSeveralDatabases, HasTheShardsOfThatDatabase) {
  TestDatabases databases(2);
  PostgresOptions options = databases.Init().NewProcess()[1];
  options.executors = 3;
  const auto store = OpenOrDie(options);
  const auto map = store->membership().Look();
  ASSERT_THAT(map, IsOk());
  EXPECT_EQ(map->part, options.part);
  const Member& self = *map->Find(options.owner);
  // The node has six executors, of which every other one works here.
  for (const int shard : {1, 3, 5, 7, 255}) {
    EXPECT_EQ(self.WriterOf(ShardId(shard)), store->first_log() + shard % 6 / 2) << shard;
  }
  std::vector<Membership::Move> moves;
  for (const ShardId shard : options.part.Shards()) moves.push_back({shard, 0, self.WriterOf(shard)});
  // A shard of the other database is not there.
  moves.push_back({ShardId(0), 0, self.WriterOf(ShardId(1))});
  ASSERT_THAT(store->membership().MoveShards(moves), IsOk());
  EXPECT_EQ(store->membership().Look()->ShardsOf(self), options.part.Shards());
}

TEST_F(MembershipTest, ShardsMoveFromNobodyAndFromTheirOwnerOnly) {
  const auto a = Join("a");
  const auto b = Join("b");
  const ClusterMap free = MapOf(*a);
  ASSERT_THAT(Move(*a, free, {1, 2, 3}, SelfOf(free, *a)), IsOk());
  ClusterMap map = MapOf(*b);
  EXPECT_THAT(map.ShardsOf(SelfOf(map, *a)), ElementsAre(ShardId(1), ShardId(2), ShardId(3)));
  // Neither with an old map nor with a new one does another member take them.
  ASSERT_THAT(Move(*b, free, {1}, SelfOf(free, *b)), IsOk());
  ASSERT_THAT(Move(*b, map, {2}, SelfOf(map, *b)), IsOk());
  EXPECT_EQ(MapOf(*b).ShardsOf(SelfOf(map, *a)).size(), 3u);
  ASSERT_THAT(Move(*a, map, {1, 2}, SelfOf(map, *b)), IsOk());
  // A move by an old map has no effect.
  ASSERT_THAT(Move(*a, map, {1}, SelfOf(map, *a)), IsOk());
  map = MapOf(*a);
  EXPECT_THAT(map.ShardsOf(SelfOf(map, *a)), ElementsAre(ShardId(3)));
  EXPECT_THAT(map.ShardsOf(SelfOf(map, *b)), ElementsAre(ShardId(1), ShardId(2)));
}

TEST_F(MembershipTest, ShardsOfAMemberThatHasLeftAreFree) {
  const auto a = Join("a");
  auto b = Join("b");
  ClusterMap map = MapOf(*a);
  ASSERT_THAT(Move(*b, map, {7}, SelfOf(map, *b)), IsOk());
  const Member gone = SelfOf(map, *b);
  b = nullptr;
  // One that was given to it just then is free, too.
  ASSERT_THAT(Move(*a, MapOf(*a), {8}, gone), IsOk());
  map = MapOf(*a);
  for (int shard : {7, 8}) EXPECT_EQ(map.OwnerOf(ShardId(shard)), nullptr);
  ASSERT_THAT(Move(*a, map, {7, 8}, SelfOf(map, *a)), IsOk());
  map = MapOf(*a);
  EXPECT_THAT(map.ShardsOf(SelfOf(map, *a)), ElementsAre(ShardId(7), ShardId(8)));
}

TEST_F(MembershipTest, StateIsSeenByOthers) {
  const auto a = Join("a");
  const auto b = Join("b");
  ASSERT_THAT(a->membership().SetState(MemberState::kLeaving), IsOk());
  const ClusterMap map = MapOf(*b);
  EXPECT_EQ(SelfOf(map, *a).state, MemberState::kLeaving);
  EXPECT_EQ(SelfOf(map, *b).state, MemberState::kNode);
}

TEST_F(MembershipTest, LoadsAreSeenByOthersAndStayWithTheirShards) {
  auto a = Join("a");
  auto b = Join("b");
  ClusterMap map = MapOf(*b);
  ASSERT_THAT(Move(*a, map, {0, 255}, SelfOf(map, *a)), IsOk());
  EXPECT_FALSE(SelfOf(MapOf(*b), *a).tells_loads);
  ASSERT_THAT(a->membership().TellLoads({{{ShardId(0), 7}, {ShardId(255), 1'000'000}}}), IsOk());
  ASSERT_THAT(a->membership().TellLoads({{{ShardId(0), 8}}}), IsOk());

  map = MapOf(*b);
  EXPECT_TRUE(SelfOf(map, *a).tells_loads);
  EXPECT_FALSE(SelfOf(map, *b).tells_loads);
  EXPECT_EQ(map.shards[0].load, 8);
  EXPECT_EQ(map.shards[1].load, 0);
  EXPECT_EQ(map.shards[255].load, 1'000'000);

  ASSERT_THAT(Move(*a, map, {255}, SelfOf(map, *b)), IsOk());
  EXPECT_EQ(MapOf(*b).shards[255].load, 1'000'000);
  EXPECT_EQ(MapOf(*b).OwnerOf(ShardId(255))->node, "b");
}

TEST_F(MembershipTest, MarkOfAMemberGoesWithIt) {
  auto a = Join("a");
  auto b = Join("b");
  ASSERT_THAT(a->membership().TellLoads({}), IsOk());
  ASSERT_THAT(b->membership().TellLoads({}), IsOk());
  const auto marks = [&] {
    const TripResult counted = cluster_.Execute("SELECT count(*) FROM hf_entry WHERE family = 0 AND key >= 'load'");
    return counted.rows.back().Int(0, 0);
  };
  EXPECT_EQ(marks(), 2);
  a = nullptr;
  EXPECT_EQ(marks(), 1);
  std::vector<int64_t> of_b;
  for (const WriterRow& row : SelfOf(MapOf(*b), *b).rows) of_b.push_back(row.id);
  a = Join("a");
  ASSERT_THAT(a->membership().RemoveWriters(of_b), IsOk());
  EXPECT_EQ(marks(), 0);
}

TEST_F(MembershipTest, NameOfANodeThatIsAliveIsTaken) {
  const auto a = Join("a");
  EXPECT_THAT(TryToJoin("a").status(), IsStatus(absl::StatusCode::kFailedPrecondition, "by the node \"a\""));
  EXPECT_THAT(TryToJoin("b"), IsOk());
}

TEST_F(MembershipTest, ClockThatIsFarFromTheDatabaseIsRefused) {
  const auto joins_at = [this](absl::Duration apart) {
    PostgresOptions options = cluster_.NewProcess();
    options.wall_clock = [apart] { return absl::Now() + apart; };
    return OpenPostgresStore(options).status();
  };
  EXPECT_THAT(joins_at(absl::Hours(1)),
              IsStatus(absl::StatusCode::kFailedPrecondition, "ahead of that of the database"));
  EXPECT_THAT(joins_at(-absl::Hours(1)),
              IsStatus(absl::StatusCode::kFailedPrecondition, "behind that of the database"));
  EXPECT_EQ(cluster_.Execute("SELECT count(*) FROM hf_writer").rows[0].Int(0, 0), 0);
  EXPECT_THAT(joins_at(absl::Seconds(1)), IsOk());
}

TEST_F(MembershipTest, ServerThatIsAloneStaysAlone) {
  const auto alone = Join("a", 1, /*joins=*/false);
  EXPECT_THAT(TryToJoin("b").status(), IsStatus(absl::StatusCode::kFailedPrecondition, "in use by the node \"a\""));
  TestCluster with_node;
  PostgresOptions node = with_node.NewProcess();
  node.joins = true;
  node.lease = absl::Milliseconds(900);
  const auto joined = OpenOrDie(node);
  EXPECT_THAT(OpenPostgresStore(with_node.NewProcess()).status(),
              IsStatus(absl::StatusCode::kFailedPrecondition, "in use by the node"));
}

TEST_F(MembershipTest, NodeOfAnotherClusterIsRefused) {
  const auto with_mark = [this](const std::string& node, const std::string& mark) {
    PostgresOptions options = cluster_.NewProcess();
    options.node = node;
    options.joins = true;
    options.cluster_mark = mark;
    return OpenPostgresStore(options);
  };
  {
    const auto a = with_mark("a", "one");
    ASSERT_THAT(a, IsOk());
    EXPECT_THAT(with_mark("b", "one"), IsOk());
    EXPECT_THAT(with_mark("c", "two").status(),
                IsStatus(absl::StatusCode::kFailedPrecondition, "nodes with another secret"));
    EXPECT_EQ(MapOf(**a).members.size(), 1u);
  }
  EXPECT_THAT(with_mark("c", "two"), IsOk());
}

TEST_F(MembershipTest, ServerThatDoesNotKnowTheLastCommitsIsNotAsked) {
  const auto a = Join("a");
  const ClusterMap map = MapOf(*a);
  ASSERT_THAT(Move(*a, map, {1}, SelfOf(map, *a)), IsOk());
  cluster_.Execute("UPDATE hf_writer SET batch = 0 WHERE lane = -1");
  EXPECT_THAT(a->membership().Look().status(), IsStatus(absl::StatusCode::kUnavailable, "it was replaced"));
}

// --- Silence, without a database.

ClusterMap MapWith(const std::string& owner, int64_t beat, absl::Duration lease = absl::Seconds(5)) {
  ClusterMap map;
  map.members[owner] = {.owner = owner,
                        .state = MemberState::kNode,
                        .node = owner,
                        .address = "",
                        .lease = lease,
                        .rows = {{.id = 1, .lane = 0, .epoch = 1, .batch = 0, .beat = beat}}};
  return map;
}

class SilenceTest : public testing::Test {
 protected:
  void Look(double at, int64_t beat) {
    map_ = MapWith("a", beat);
    watch_.Look(map_, absl::Seconds(at), absl::Seconds(at + 0.05));
  }
  bool silent() const { return watch_.IsSilent(map_.members.begin()->second); }

  SilenceWatch watch_{absl::Seconds(1)};
  ClusterMap map_;
};

TEST_F(SilenceTest, MemberIsSilentALittleAfterItsLease) {
  for (double at = 0; at < 5.1; at += 0.5) {
    Look(at, 7);
    EXPECT_FALSE(silent()) << at;
  }
  // It was seen first at 0.05 s, and its lease is 5 s: 5.05 s and 50 ms.
  Look(5.14, 7);
  EXPECT_FALSE(silent());
  Look(5.16, 7);
  EXPECT_TRUE(silent());
  Look(5.2, 8);
  EXPECT_FALSE(silent());
}

TEST_F(SilenceTest, NobodyIsSilentWhileNobodyLooks) {
  Look(0, 7);
  Look(0.5, 7);
  // As after an outage of the database.
  Look(20, 7);
  EXPECT_FALSE(silent());
  for (double at = 20.5; at < 25; at += 0.5) Look(at, 7);
  EXPECT_FALSE(silent());
  watch_.Forget();
  for (double at = 25; at < 30; at += 0.5) Look(at, 7);
  EXPECT_FALSE(silent());
  for (double at = 30; at < 31; at += 0.5) Look(at, 7);
  EXPECT_TRUE(silent());
}

}  // namespace
}  // namespace holdfast::storage::postgres
