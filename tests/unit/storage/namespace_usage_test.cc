// The usage of namespaces, their quotas, and what nodes of a cluster tell each other of them.

#include "storage/node/namespace_usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/store/memory_store.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using Reached = NamespaceUsage::Reached;
using Usage = NamespaceUsage::Usage;
using Counts = NamespaceUsage::Counts;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// Returns an object of the namespace; one of `shard` if that is given.
ObjectKey ObjectIn(const std::string& ns, int shard = -1) {
  for (int i = 0;; ++i) {
    ObjectKey key(ns, "Counter", absl::StrCat("o", i));
    if (shard < 0 || key.shard() == ShardId(shard)) return key;
  }
}

Reached Check(const NamespaceUsage& usage, const std::string& ns, bool new_object, int64_t more_bytes = 0) {
  return usage.Check(ns, new_object, more_bytes).reached;
}

TEST(NamespaceUsageTest, WithoutQuotasNothingIsReached) {
  NamespaceUsage usage({});
  usage.Add(ObjectIn("a"), 1000, 1000);
  EXPECT_EQ(Check(usage, "a", true, 1'000'000), Reached::kNo);
}

TEST(NamespaceUsageTest, ObjectsAndBytes) {
  NamespaceUsage usage({{"a", {.objects_max = 2, .bytes_max = 100}}, {"", {.objects_max = 1}}, {"free", {}}});
  EXPECT_EQ(Check(usage, "a", true, 100), Reached::kNo);
  EXPECT_EQ(Check(usage, "a", true, 101), Reached::kBytes);
  usage.Add(ObjectIn("a"), 1, 60);
  usage.Add(ObjectIn("a"), 1, 40);
  EXPECT_EQ(Check(usage, "a", true), Reached::kObjects);
  EXPECT_FALSE(usage.Check("a", true, 0).until_next_round);
  EXPECT_EQ(Check(usage, "a", false), Reached::kNo);
  EXPECT_EQ(Check(usage, "a", false, 1), Reached::kBytes);
  EXPECT_EQ(Check(usage, "a", false, -10), Reached::kNo);
  usage.Add(ObjectIn("a"), -1, -60);
  EXPECT_EQ(Check(usage, "a", true, 60), Reached::kNo);
  EXPECT_EQ(Check(usage, "b", true, 1'000), Reached::kNo);
  usage.Add(ObjectIn("b"), 1, 0);
  EXPECT_EQ(Check(usage, "b", true), Reached::kObjects);
  usage.Add(ObjectIn("free"), 10, 10);
  EXPECT_EQ(Check(usage, "free", true, 10), Reached::kNo);
}

TEST(NamespaceUsageTest, ANamespaceWithoutObjectsIsForgotten) {
  for (uint64_t run : {0, 1}) {
    NamespaceUsage usage({{"a", {.bytes_max = 100}}}, run);
    usage.Add(ObjectIn("a"), 1, 60);
    usage.Add(ObjectIn("a"), -1, -50);
    EXPECT_EQ(usage.Of("a"), Usage());
  }
}

// A store with so many objects of 10 bytes.
std::unique_ptr<Store> StoreOf(const std::string& ns, int objects) {
  auto store = std::make_unique<MemoryStore>();
  WriteSet catalog;
  v1::CatalogRecord record;
  record.set_size_bytes(10);
  for (int i = 0; i < objects; ++i) {
    catalog.Put(ObjectKey(ns, "Counter", absl::StrCat("o", i)).encoded(), record.SerializeAsString());
  }
  EXPECT_THAT(Commit(*store, {{WholeFamily(FamilyId::kCatalog), std::move(catalog)}}), IsOk());
  return store;
}

TEST(NamespaceUsageTest, CountsTheCatalogAtTheStart) {
  const auto store = StoreOf("a", 30);
  for (uint64_t run : {0, 1}) {
    NamespaceUsage usage({{"a", {.objects_max = 30}}}, run);
    ASSERT_THAT(usage.Count(store.get()), IsOk());
    EXPECT_EQ(usage.Of("a"), (Usage{30, 300}));
    EXPECT_EQ(Check(usage, "a", true), Reached::kObjects);
  }
}

TEST(NamespaceUsageTest, AShardThatComesReplacesWhatWasKnownOfIt) {
  NamespaceUsage usage({{"a", {.objects_max = 100}}}, 1);
  usage.Hear({.shard = ShardId(3), .epoch = 5, .whole = true, .namespaces = {{"a", {7, 70}}}});
  usage.Hear({.shard = ShardId(4), .epoch = 5, .whole = true, .namespaces = {{"a", {1, 10}}}});
  EXPECT_EQ(usage.Of("a"), (Usage{8, 80}));
  usage.Gain(ShardId(3), 6, {{"a", {9, 90}}, {"without a quota", {1000, 1000}}});
  EXPECT_EQ(usage.Of("a"), (Usage{10, 100}));
  EXPECT_EQ(usage.Of("without a quota"), Usage());
  // The others' word for it is old now.
  usage.Hear({.shard = ShardId(3), .epoch = 5, .whole = true, .namespaces = {{"a", {1, 1}}}});
  EXPECT_EQ(usage.Of("a"), (Usage{10, 100}));
  usage.Add(ObjectIn("a", 3), 1, 5);
  // It keeps its numbers when it goes, until its new node tells others.
  usage.Lose(ShardId(3));
  EXPECT_EQ(usage.Of("a"), (Usage{11, 105}));
  usage.Hear({.shard = ShardId(3), .epoch = 5, .whole = true, .namespaces = {}});
  EXPECT_EQ(usage.Of("a"), (Usage{11, 105}));
  usage.Hear({.shard = ShardId(3), .epoch = 7, .whole = true, .namespaces = {{"a", {12, 120}}}});
  EXPECT_EQ(usage.Of("a"), (Usage{13, 130}));
  usage.Hear({.shard = ShardId(3), .epoch = 7, .whole = true, .namespaces = {}});
  EXPECT_EQ(usage.Of("a"), (Usage{1, 10}));
}

TEST(NamespaceUsageTest, TellsWhatHasChangedInItsShards) {
  NamespaceUsage usage({{"", {.objects_max = 100}}}, 9);
  usage.Hear({.shard = ShardId(1), .epoch = 1, .whole = true, .namespaces = {{"a", {1, 1}}}});
  usage.Gain(ShardId(3), 2, {{"a", {1, 10}}, {"b", {2, 20}}});
  usage.Gain(ShardId(4), 5, {});
  NamespaceUsage::News news = usage.Tell(0, 0);
  EXPECT_EQ(news.run, 9u);
  EXPECT_EQ(news.next, 0u);
  ASSERT_THAT(news.shards, SizeIs(2));
  EXPECT_EQ(news.shards[0].shard, ShardId(3));
  EXPECT_EQ(news.shards[0].epoch, 2);
  EXPECT_TRUE(news.shards[0].whole);
  EXPECT_THAT(news.shards[0].namespaces, UnorderedElementsAre(Pair("a", Usage{1, 10}), Pair("b", Usage{2, 20})));
  EXPECT_TRUE(news.shards[1].whole);
  EXPECT_THAT(news.shards[1].namespaces, IsEmpty());

  const uint64_t version = news.version;
  EXPECT_THAT(usage.Tell(9, version).shards, IsEmpty());
  usage.Add(ObjectIn("a", 3), 1, 1);
  news = usage.Tell(9, version);
  ASSERT_THAT(news.shards, SizeIs(1));
  EXPECT_FALSE(news.shards[0].whole);
  EXPECT_THAT(news.shards[0].namespaces, UnorderedElementsAre(Pair("a", Usage{2, 11})));
  // Who knows another process knows nothing.
  EXPECT_THAT(usage.Tell(8, version).shards, SizeIs(2));

  // A namespace that goes can't be told: the shard is.
  usage.Add(ObjectIn("a", 3), -2, -11);
  news = usage.Tell(9, version);
  ASSERT_THAT(news.shards, SizeIs(1));
  EXPECT_TRUE(news.shards[0].whole);
  EXPECT_THAT(news.shards[0].namespaces, UnorderedElementsAre(Pair("b", Usage{2, 20})));

  usage.Lose(ShardId(3));
  ASSERT_THAT(usage.Tell(9, 0).shards, SizeIs(1));
}

TEST(NamespaceUsageTest, ManyNamespacesAreToldInParts) {
  NamespaceUsage teller({{"", {.objects_max = 100}}}, 1);
  NamespaceUsage hearer({{"", {.objects_max = 100}}}, 2);
  constexpr int kShards = 5;
  constexpr int kNamespaces = 6000;
  for (int shard = 0; shard < kShards; ++shard) {
    Counts counts;
    for (int i = 0; i < kNamespaces; ++i) counts[absl::StrCat("ns", i)] = {1, 2};
    teller.Gain(ShardId(shard), 1, counts);
  }
  int parts = 0;
  size_t first = 0;
  do {
    const NamespaceUsage::News news = teller.Tell(0, 0, first);
    EXPECT_LE(news.shards.size(), 2u);
    for (const auto& shard : news.shards) hearer.Hear(shard);
    first = news.next;
    ++parts;
  } while (first != 0);
  EXPECT_EQ(parts, 3);
  for (int i = 0; i < kNamespaces; ++i) EXPECT_EQ(hearer.Of(absl::StrCat("ns", i)), (Usage{kShards, 2 * kShards}));
}

// Three nodes, each of which gives a third of the room in a round.
TEST(NamespaceUsageTest, ANodeGivesItsPartOfTheRoomInARound) {
  NamespaceUsage usage({{"a", {.objects_max = 100, .bytes_max = 1000}}}, 1);
  usage.Gain(ShardId(3), 1, {});
  usage.Hear({.shard = ShardId(4), .epoch = 1, .whole = true, .namespaces = {{"a", {40, 0}}}});
  const ObjectKey object = ObjectIn("a", 3);
  // Nobody knows yet how many nodes there are.
  EXPECT_EQ(Check(usage, "a", true), Reached::kNo);
  usage.Add(object, 1, 0);
  EXPECT_EQ(Check(usage, "a", true), Reached::kObjects);
  EXPECT_TRUE(usage.Check("a", true, 0).until_next_round);

  usage.EndRound(3);
  for (int i = 0; i < 20; ++i) {  // a third of 59, rounded up
    EXPECT_EQ(Check(usage, "a", true), Reached::kNo) << i;
    usage.Add(object, 1, 0);
  }
  EXPECT_TRUE(usage.Check("a", true, 0).until_next_round);
  // News of another node change nothing before all have told what they have.
  usage.Hear({.shard = ShardId(4), .epoch = 1, .whole = false, .namespaces = {{"a", {1, 0}}}});
  EXPECT_EQ(Check(usage, "a", true), Reached::kNo);  // a third of 98 is 33
  for (int i = 0; i < 13; ++i) usage.Add(object, 1, 0);
  EXPECT_EQ(Check(usage, "a", true), Reached::kObjects);

  // Where another node has come, the part is smaller at once; where one has gone, once the others have told.
  usage.EndRound(3);
  for (int i = 0; i < 8; ++i) usage.Add(object, 1, 0);  // of 22, a third of 65
  EXPECT_EQ(Check(usage, "a", true), Reached::kNo);
  usage.SetTakers(9);
  EXPECT_EQ(Check(usage, "a", true), Reached::kObjects);
  usage.SetTakers(2);
  EXPECT_EQ(Check(usage, "a", true), Reached::kNo);
  usage.Add(object, -8, 0);

  // The first turn of a round may take all bytes that are left.
  usage.EndRound(3);
  EXPECT_EQ(Check(usage, "a", false, 1001), Reached::kBytes);
  EXPECT_EQ(Check(usage, "a", false, 1000), Reached::kNo);
  usage.Add(object, 0, 300);
  EXPECT_EQ(Check(usage, "a", false, 33), Reached::kNo);
  EXPECT_EQ(Check(usage, "a", false, 35), Reached::kBytes);
  EXPECT_TRUE(usage.Check("a", false, 35).until_next_round);
  // As much as was removed here may be added here again.
  usage.Add(object, 0, -300);
  EXPECT_EQ(Check(usage, "a", false, 1000), Reached::kNo);

  usage.EndRound(1);
  for (int i = 0; i < 65; ++i) usage.Add(object, 1, 0);
  EXPECT_EQ(Check(usage, "a", true), Reached::kObjects);
  EXPECT_FALSE(usage.Check("a", true, 0).until_next_round);
}

// --- Nodes that tell each other in rounds, at moments of their own.

class Nodes {
 public:
  Nodes(int nodes, int64_t objects_max) {
    for (int i = 0; i < nodes; ++i) {
      const uint64_t run = static_cast<uint64_t>(i) + 1;
      nodes_.push_back(std::make_unique<Node>(NamespaceUsage::Quotas{{"a", {.objects_max = objects_max}}}, run));
      nodes_.back()->usage.Gain(ShardId(i), 1, {});
      objects_.push_back(ObjectIn("a", i));
    }
  }
  void Round(int number) {
    Node& node = *nodes_[Index(number)];
    for (const auto& other : nodes_) {
      if (other.get() == &node) continue;
      auto& [run, version] = node.known[other.get()];
      const NamespaceUsage::News news = other->usage.Tell(run, version);
      run = news.run;
      version = news.version;
      for (const auto& shard : news.shards) node.usage.Hear(shard);
    }
    node.usage.EndRound(nodes_.size());
  }
  // Makes as many objects as the node lets.
  void Fill(int number, int64_t most = INT64_MAX) {
    NamespaceUsage& usage = nodes_[Index(number)]->usage;
    for (int64_t i = 0; i < most && usage.Check("a", true, 0).reached == Reached::kNo; ++i) {
      usage.Add(objects_[Index(number)], 1, 0);
      ++total_;
    }
  }
  int64_t total() const { return total_; }
  Usage Known(int number) const { return nodes_[Index(number)]->usage.Of("a"); }

 private:
  struct Node {
    Node(NamespaceUsage::Quotas quotas, uint64_t run) : usage(std::move(quotas), run) {}
    NamespaceUsage usage;
    std::map<const Node*, std::pair<uint64_t, uint64_t>> known;
  };
  static size_t Index(int number) { return static_cast<size_t>(number); }

  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<ObjectKey> objects_;
  int64_t total_ = 0;
};

TEST(NamespaceUsageTest, NodesFillAQuotaTogether) {
  for (int count : {1, 2, 3, 10}) {
    Nodes nodes(count, 1000);
    int rounds = 0;
    for (; nodes.total() < 1000 && rounds < 200; ++rounds) {
      for (int i = 0; i < count; ++i) nodes.Round(i);
      for (int i = 0; i < count; ++i) nodes.Fill(i);
    }
    EXPECT_GE(nodes.total(), 1000) << count;
    EXPECT_LT(nodes.total(), 1000 + count) << count;  // each rounds up
    EXPECT_LE(rounds, 2) << count;
    for (int i = 0; i < count; ++i) nodes.Round(i);
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(nodes.Known(i).objects, nodes.total());
      nodes.Fill(i);
    }
    EXPECT_LT(nodes.total(), 1000 + count) << count;
  }
}

// A quota is passed by the third of the room at most, in whatever order nodes begin rounds and use their parts.
TEST(NamespaceUsageTest, TheBoundByWhichAQuotaMayBePassed) {
  constexpr int64_t kQuota = 9000;
  int64_t most = 0;
  // The worst order: all hold their parts; one after the other uses its part, learns the room, and uses that part.
  for (int count : {2, 3, 4, 10, 50}) {
    Nodes nodes(count, kQuota);
    for (int i = 0; i < count; ++i) nodes.Round(i);
    for (int i = 0; i < count; ++i) {
      nodes.Fill(i);
      nodes.Round(i);
      nodes.Fill(i);
    }
    EXPECT_LE(nodes.total(), kQuota + kQuota / 3 + count) << count;
    most = std::max(most, nodes.total());
  }
  // It is no bound that is never reached.
  EXPECT_GT(most, kQuota + kQuota / 4);
  Random random(1);
  for (int life = 0; life < 50; ++life) {
    const int count = static_cast<int>(2 + random.Below(6));
    Nodes nodes(count, kQuota);
    // In each second each node has a round, at a moment of its own.
    std::vector<int> order;
    for (int i = 0; i < count; ++i) order.push_back(i);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
    for (int second = 0; second < 20; ++second) {
      for (int node : order) {
        nodes.Round(node);
        for (int i = 0; i < count; ++i) {
          if (random.Below(2) == 0) nodes.Fill(i, static_cast<int64_t>(random.Below(kQuota)));
        }
      }
    }
    for (int i = 0; i < 100; ++i) {
      nodes.Round(i % count);
      nodes.Fill(i % count);
    }
    EXPECT_GE(nodes.total(), kQuota);
    EXPECT_LE(nodes.total(), kQuota + kQuota / 3 + count);
  }
}

// Nodes that can't tell each other give the parts that they have begun, and no more.
TEST(NamespaceUsageTest, NodesThatAreCutOffPassNoQuota) {
  Nodes nodes(3, 900);
  for (int i = 0; i < 3; ++i) nodes.Round(i);
  for (int i = 0; i < 3; ++i) nodes.Fill(i);
  EXPECT_EQ(nodes.total(), 900);
}

}  // namespace
}  // namespace holdfast::storage
