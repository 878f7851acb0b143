// WatchPlacement, and the map that it sends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "holdfast/v1/placement_service.grpc.pb.h"
#include "service/call/placement_map.h"
#include "service/cluster/cluster_placement.h"
#include "storage/store/object_id.h"
#include "tests/unit/service/two_nodes.h"

namespace holdfast::service {
namespace {

using storage::kShardCount;
using storage::ShardId;
using storage::postgres::ClusterMap;
using storage::postgres::Member;
using storage::postgres::MemberState;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;

// A map in which the first node has the shards below `shards`, and the second has the others.
PlacementMap MapOf(size_t shards) {
  PlacementMap map{.nodes = {{"a", "1.1.1.1:1"}, {"b", "2.2.2.2:2"}}, .node_of_shard = {}};
  for (size_t shard = 0; shard < kShardCount; ++shard) map.node_of_shard[shard] = shard < shards ? 0 : 1;
  return map;
}
size_t ShardsOfFirst(const v1::WatchPlacementResponse& map) {
  return static_cast<size_t>(std::count(map.node_of_shard().begin(), map.node_of_shard().end(), 0));
}

// The examples of placement_service.proto.
TEST(PlacementShardTest, TheExamplesOfTheContractAreTrue) {
  const storage::ObjectKey visits("default", "Counter", "visits");
  EXPECT_EQ(visits.hash(), 0x9f20ad028af4a15f);
  EXPECT_EQ(visits.shard(), ShardId(95));
  const storage::ObjectKey cart("shop", "Object", "cart/\xc3\xa9t\xc3\xa9");
  EXPECT_EQ(cart.hash(), 0x180f7c02e8a82a5a);
  EXPECT_EQ(cart.shard(), ShardId(90));
}

TEST(PlacementMapsTest, TellsOfEachChangeAndOfNothingElse) {
  PlacementMaps maps;
  EXPECT_EQ(maps.Newest().map, nullptr);
  int told = 0;
  const PlacementMaps::WatcherId watcher = maps.Watch([&told] { ++told; });
  maps.Set(MapOf(1));
  const uint64_t first = maps.Newest().number;
  maps.Set(MapOf(1));
  EXPECT_EQ(maps.Newest().number, first);
  EXPECT_EQ(told, 1);
  maps.Set(MapOf(2));
  EXPECT_GT(maps.Newest().number, first);
  EXPECT_EQ(*maps.Newest().map, MapOf(2));
  EXPECT_EQ(told, 2);
  maps.Remove(watcher);
  maps.Set(MapOf(3));
  EXPECT_EQ(told, 2);
}

TEST(PlacementMapsTest, TheMapOfAClusterHasTheNodesThatAreAliveAndTheirShards) {
  ClusterMap cluster;
  int64_t writers = 0;
  const auto add = [&](const std::string& owner, const std::string& node, MemberState state = MemberState::kNode) {
    cluster.members[owner] = Member{.owner = owner,
                                    .state = state,
                                    .node = node,
                                    .address = absl::StrCat(node, ":1"),
                                    .lease = {},
                                    .rows = {{++writers, 0, 1, 0, 0}}};
    return writers;
  };
  const int64_t self = add("2", "b");
  const int64_t other = add("7", "a", MemberState::kLeaving);
  const int64_t dead = add("3", "dead");
  const int64_t recovery = add("4", "a", MemberState::kRecovery);
  cluster.shards[0].writer = self;
  cluster.shards[1].writer = other;
  cluster.shards[2].writer = dead;
  cluster.shards[3].writer = recovery;
  cluster.shards[4].writer = 0;

  ClusterPlacement placement({.secret = "s", .credentials = grpc::InsecureChannelCredentials(), .server_name = ""});
  placement.Update(cluster, "2", [](const Member& member) { return member.node == "dead"; });
  const auto map = placement.maps().Newest().map;
  ASSERT_NE(map, nullptr);
  using Node = PlacementMap::Node;
  EXPECT_THAT(map->nodes, ElementsAre(Node{"a", "a:1"}, Node{"b", "b:1"}));
  EXPECT_THAT(std::vector<int32_t>(map->node_of_shard.begin(), map->node_of_shard.begin() + 5),
              ElementsAre(1, 0, -1, -1, -1));
}

// A node may be gone from one database and alive in another.
TEST(PlacementMapsTest, TheMapsOfAllDatabasesAreOne) {
  const auto member = [](const std::string& owner, int64_t writer) {
    return Member{.owner = owner,
                  .node = absl::StrCat("node", owner),
                  .address = absl::StrCat(owner, ":1"),
                  .lease = {},
                  .rows = {{writer, 0, 1, 0, 0}}};
  };
  ClusterMap first;
  first.part = {.database = 0, .databases = 2};
  ClusterMap second;
  second.part = {.database = 1, .databases = 2};
  for (const std::string owner : {"1", "2", "3"}) {
    first.members[owner] = member(owner, owner[0] - '0');
    second.members[owner] = member(owner, 10 + owner[0] - '0');
  }
  first.shards[0].writer = 1;
  first.shards[2].writer = 2;
  first.shards[4].writer = 3;
  second.shards[1].writer = 12;
  second.shards[3].writer = 13;

  ClusterPlacement placement({.secret = "s", .credentials = grpc::InsecureChannelCredentials(), .server_name = ""});
  const auto nobody = [](const Member&) { return false; };
  const auto without = [](const std::string& owner) {
    return [owner](const Member& each) { return each.owner == owner; };
  };
  const auto shards = [&] {
    const auto map = placement.maps().Newest().map;
    return std::vector<int32_t>(map->node_of_shard.begin(), map->node_of_shard.begin() + 6);
  };
  placement.Update(first, "1", nobody);
  EXPECT_THAT(shards(), ElementsAre(0, -1, 1, -1, 2, -1));
  placement.Update(second, "1", nobody);
  EXPECT_THAT(shards(), ElementsAre(0, 1, 1, 2, 2, -1));
  EXPECT_THAT(placement.Peers(), SizeIs(2));
  const auto peer = placement.PeerFor(ShardId(1));
  ASSERT_NE(peer, nullptr);
  EXPECT_EQ(placement.PeerFor(ShardId(2)), peer) << "a node is one peer in all databases";
  EXPECT_EQ(placement.PeerFor(ShardId(0)), nullptr);

  placement.Update(second, "1", without("2"));
  EXPECT_THAT(shards(), ElementsAre(0, -1, 1, 2, 2, -1));
  EXPECT_EQ(placement.PeerFor(ShardId(1)), nullptr);
  EXPECT_EQ(placement.PeerFor(ShardId(2)), peer);
  EXPECT_THAT(placement.Peers(), SizeIs(2));
  placement.Update(first, "1", without("2"));
  EXPECT_THAT(shards(), ElementsAre(0, -1, -1, 1, 1, -1));
  EXPECT_THAT(placement.Peers(), SizeIs(1));
}

class PlacementTest : public TwoNodesTest {
 protected:
  struct Watch {
    explicit Watch(const std::shared_ptr<grpc::Channel>& channel) : stub(v1::PlacementService::NewStub(channel)) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
      reader = stub->WatchPlacement(&context, {});
    }
    ~Watch() {
      context.TryCancel();
      v1::WatchPlacementResponse dropped;
      while (reader->Read(&dropped)) {
      }
      if (!finished) (void)reader->Finish();
    }
    v1::WatchPlacementResponse Next() {
      v1::WatchPlacementResponse map;
      EXPECT_TRUE(reader->Read(&map));
      return map;
    }
    absl::Status Finish() {
      finished = true;
      return FromGrpc(reader->Finish());
    }
    const std::unique_ptr<v1::PlacementService::Stub> stub;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::WatchPlacementResponse>> reader;
    bool finished = false;
  };
};

TEST_F(PlacementTest, SendsTheMapAndEachNewerOne) {
  Start();
  maps_[0].maps().Set(MapOf(100));
  Watch watch(channels_[0]);
  const v1::WatchPlacementResponse first = watch.Next();
  EXPECT_EQ(first.protocol_version(), 1);
  ASSERT_THAT(first.nodes(), SizeIs(2));
  EXPECT_EQ(first.nodes(0).name(), "a");
  EXPECT_EQ(first.nodes(1).address(), "2.2.2.2:2");
  EXPECT_THAT(first.node_of_shard(), SizeIs(kShardCount));
  EXPECT_EQ(ShardsOfFirst(first), 100u);
  PlacementMap none = MapOf(50);
  none.node_of_shard.fill(PlacementMap::kNobody);
  maps_[0].maps().Set(none);
  EXPECT_THAT(watch.Next().node_of_shard(), Each(-1));
  maps_[0].maps().Set(MapOf(7));
  EXPECT_EQ(ShardsOfFirst(watch.Next()), 7u);
}

// The map comes once the node has one.
TEST_F(PlacementTest, AWatchThatCameBeforeTheMapGetsIt) {
  Start();
  Watch watch(channels_[0]);
  AwaitStreams(0, 1);
  maps_[0].maps().Set(MapOf(3));
  EXPECT_EQ(ShardsOfFirst(watch.Next()), 3u);
}

// Many changes in a row are a few maps, the last of which is the newest.
TEST_F(PlacementTest, ChangesInARowAreSentTogether) {
  Start();
  maps_[0].maps().Set(MapOf(0));
  Watch watch(channels_[0]);
  EXPECT_EQ(ShardsOfFirst(watch.Next()), 0u);
  const absl::Time began = absl::Now();
  for (size_t shards = 1; shards <= 200; ++shards) maps_[0].maps().Set(MapOf(shards));
  int64_t maps = 0;
  size_t newest = 0;
  for (; newest != 200; ++maps) newest = ShardsOfFirst(watch.Next());
  EXPECT_LE(maps, absl::ToInt64Milliseconds(absl::Now() - began) / 100 + 1);
}

TEST_F(PlacementTest, WatchesEndWithTheirClientsAndWhenTheServerDrains) {
  Start();
  maps_[0].maps().Set(MapOf(0));
  {
    Watch watch(channels_[0]);
    watch.Next();
    AwaitStreams(0, 1);
  }
  AwaitStreams(0, 0);
  maps_[0].maps().Set(MapOf(1));  // nobody is told
  Watch watch(channels_[0]);
  watch.Next();
  servers_[0]->Drain();
  v1::WatchPlacementResponse map;
  EXPECT_FALSE(watch.reader->Read(&map));
  EXPECT_EQ(actors::ReasonOf(watch.Finish()), v1::ERROR_REASON_DRAINING);
}

TEST_F(PlacementTest, AWatchOfAMapThatDoesNotChangeIsIdle) {
  configure_ = [](config::v1::Config* config) { config->mutable_server()->set_stream_idle_timeout_ms(1000); };
  Start();
  maps_[0].maps().Set(MapOf(0));
  Watch watch(channels_[0]);
  watch.Next();
  v1::WatchPlacementResponse map;
  EXPECT_FALSE(watch.reader->Read(&map));
  EXPECT_EQ(actors::ReasonOf(watch.Finish()), v1::ERROR_REASON_STREAM_IDLE);
}

TEST(PlacementAloneTest, AServerAloneHasAllShards) {
  storage::TempDir directory;
  config::v1::Config config;
  config.set_listen("127.0.0.1:0");
  config.set_data_dir(directory.path());
  ASSERT_EQ(CompleteConfig(&config), absl::OkStatus());
  auto server = Server::Start(config, [](const absl::Status& status) { ADD_FAILURE() << status; });
  ASSERT_TRUE(server.ok()) << server.status();
  const auto stub =
      v1::PlacementService::NewStub(grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  const auto reader = stub->WatchPlacement(&context, {});
  v1::WatchPlacementResponse map;
  ASSERT_TRUE(reader->Read(&map));
  ASSERT_THAT(map.nodes(), SizeIs(1));
  EXPECT_EQ(map.nodes(0).address(), "");
  EXPECT_THAT(map.node_of_shard(), SizeIs(kShardCount));
  EXPECT_THAT(map.node_of_shard(), Each(0));
  (*server)->Drain();
  EXPECT_FALSE(reader->Read(&map));
  EXPECT_EQ(actors::ReasonOf(FromGrpc(reader->Finish())), v1::ERROR_REASON_DRAINING);
}

}  // namespace
}  // namespace holdfast::service
