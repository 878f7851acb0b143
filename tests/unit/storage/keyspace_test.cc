#include "storage/object/keyspace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/commit/commit_pipeline.h"
#include "tests/simulation/manual_background.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Returns at most `entries_max` entries.
Pairs Scan(View& view, const KeyRange& range, bool reverse, size_t entries_max = SIZE_MAX) {
  Pairs found;
  EXPECT_THAT(view.Scan(range, reverse,
                        [&](absl::string_view key, absl::string_view value) {
                          found.emplace_back(std::string(key), std::string(value));
                          return found.size() < entries_max;
                        }),
              IsOk());
  return found;
}

Pairs Expected(const Entries& model, const KeyRange& range, bool reverse, size_t entries_max) {
  Pairs expected;
  for (const auto& entry : model) {
    if (range.Contains(entry.first)) expected.push_back(entry);
  }
  if (reverse) std::reverse(expected.begin(), expected.end());
  if (expected.size() > entries_max) expected.resize(entries_max);
  return expected;
}

using ViewTest = StoreParamTest;

// A keyspace holds the store's entries under its prefix, and over them the layers, the oldest first.
TEST_P(ViewTest, ReadsAreThoseOfAPlainMap) {
  ForEachSeed(20, [](Random& random) {
    AnyStore store(GetParam());
    const FamilyId own = *store->CreateFamily("own");
    const Location locations[] = {{own, ""}, {FamilyId::kPacked, "p"}, {FamilyId::kPacked, "p\xff"}};
    const Location& location = locations[random.Below(3)];

    Entries model;
    for (int commits = 0; commits < 3; ++commits) {
      const WriteSet stored = RandomWrites(random, 30);
      ASSERT_THAT(Commit(*store, {{location, stored}}), IsOk());
      Apply(stored, "", &model);
    }
    // Neighbours must never be seen. No prefix of an object begins with the prefix of another.
    WriteSet neighbour;
    for (const char* key : {"o", "o\xff", "q", "r"}) neighbour.Put(key, "of another");
    if (location.family == FamilyId::kPacked) {
      ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, neighbour}}), IsOk());
    }

    for (int round = 0; round < 10; ++round) {
      Entries seen = model;
      std::vector<WriteSet> sets;
      for (uint64_t layers = random.Below(4); layers > 0; --layers) {
        sets.push_back(RandomWrites(random, 25));
        Apply(sets.back(), "", &seen);
      }
      std::vector<const WriteSet*> layers;
      for (auto set = sets.rbegin(); set != sets.rend(); ++set) layers.push_back(&*set);

      // A value that was read from the disk is in memory then.
      for (const ReadTier tier : {ReadTier::kDisk, ReadTier::kMemory}) {
        if (tier == ReadTier::kMemory && !RowOf(GetParam()).warm) continue;
        View view(store.get(), &location, layers, tier);
        for (const std::string& key : AllKeys()) {
          const auto it = seen.find(key);
          ASSERT_THAT(view.Get(key), IsOkAnd(it == seen.end() ? std::nullopt : std::optional(it->second)))
              << testing::PrintToString(key);
        }
        ASSERT_FALSE(view.needs_disk());
      }
      for (int scan = 0; scan < 10; ++scan) {
        const KeyRange range = random.OneIn(5) ? KeyRange::All() : RandomRange(random);
        const bool reverse = random.OneIn(2);
        const size_t entries_max = random.OneIn(2) ? SIZE_MAX : 1 + random.Below(5);
        View view(store.get(), &location, layers, ReadTier::kDisk);
        ASSERT_EQ(Scan(view, range, reverse, entries_max), Expected(seen, range, reverse, entries_max))
            << testing::PrintToString(range.start) << " to " << testing::PrintToString(range.end)
            << (reverse ? ", reverse" : "");
        ASSERT_FALSE(view.needs_disk());
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Stores, ViewTest, AllStores(), StoreName);

class KeyspaceTest : public testing::Test {
 protected:
  void Store(int entries) {
    WriteSet set;
    for (int i = 0; i < entries; ++i) set.Put(absl::StrCat(10'000 + i), "stored");
    ASSERT_THAT(Commit(store_, {{keyspace_.location(), set}}), IsOk());
  }
  void Join(const std::string& key, std::optional<std::string> value) {
    WriteSet set;
    value ? set.Put(key, *value) : set.Delete(key);
    pipeline_.Join(&keyspace_, &set);
  }
  View MakeView(const WriteSet* turn, ReadTier tier = ReadTier::kMemory) {
    return View(&store_, &keyspace_.location(), keyspace_.Layers(turn), tier);
  }
  std::optional<std::string> Get(const std::string& key, const WriteSet* turn) {
    View view = MakeView(turn);
    auto value = view.Get(key);
    EXPECT_THAT(value, IsOk());
    EXPECT_FALSE(view.needs_disk());
    return *value;
  }

  MemoryStore store_;
  simulation::ManualBackground committer_;
  CommitPipeline pipeline_{&store_, &committer_, [](const absl::Status& status) { ADD_FAILURE() << status; }};
  Keyspace keyspace_{{FamilyId::kPacked, "p"}};
};

TEST_F(KeyspaceTest, NewestLayerCounts) {
  Join("key", "in flight");
  pipeline_.Submit();
  EXPECT_THAT(Get("key", nullptr), Optional(std::string("in flight")));
  Join("key", "filling");
  EXPECT_THAT(Get("key", nullptr), Optional(std::string("filling")));
  WriteSet turn;
  turn.Put("key", "turn");
  EXPECT_THAT(Get("key", &turn), Optional(std::string("turn")));
  turn.Delete("key");
  EXPECT_EQ(Get("key", &turn), std::nullopt);
  EXPECT_EQ(keyspace_.Layers(&turn).size(), 3u);
}

TEST_F(KeyspaceTest, RemovalInANewerLayerHidesOlderOnes) {
  Join("a", "in flight");
  Join("b", "in flight");
  pipeline_.Submit();
  Join("a", std::nullopt);
  EXPECT_EQ(Get("a", nullptr), std::nullopt);
  WriteSet turn;
  turn.DeleteRange(KeyRange::All());
  turn.Put("c", "turn");
  EXPECT_EQ(Get("b", &turn), std::nullopt);
  View view = MakeView(&turn);
  EXPECT_THAT(Scan(view, KeyRange::All(), false), ElementsAre(testing::Pair("c", "turn")));
}

TEST_F(KeyspaceTest, LayersGoAsBatchesBecomeDurable) {
  EXPECT_THAT(keyspace_.Layers(nullptr), IsEmpty());
  Join("key", "1");
  EXPECT_EQ(keyspace_.Layers(nullptr).size(), 1u);
  pipeline_.Submit();
  EXPECT_EQ(keyspace_.Layers(nullptr).size(), 1u);
  Join("key", "2");
  EXPECT_EQ(keyspace_.Layers(nullptr).size(), 2u);
  committer_.RunOne();
  EXPECT_EQ(keyspace_.Layers(nullptr).size(), 1u);
  EXPECT_THAT(Find(store_, FamilyId::kPacked, "pkey"), Optional(std::string("1")));
  pipeline_.Submit();
  committer_.RunOne();
  EXPECT_THAT(keyspace_.Layers(nullptr), IsEmpty());
  EXPECT_THAT(Get("key", nullptr), Optional(std::string("2")));
}

TEST_F(KeyspaceTest, EmptyTurnIsNoLayer) {
  const WriteSet turn;
  EXPECT_THAT(keyspace_.Layers(&turn), IsEmpty());
}

TEST_F(KeyspaceTest, ColdReadNeedsTheDisk) {
  Store(1);
  store_.set_cold(true);
  View get = MakeView(nullptr);
  EXPECT_THAT(get.Get("10000"), IsOk());
  EXPECT_TRUE(get.needs_disk());
  for (const bool reverse : {false, true}) {
    View scan = MakeView(nullptr);
    Scan(scan, KeyRange::All(), reverse);
    EXPECT_TRUE(scan.needs_disk());
  }
  View disk = MakeView(nullptr, ReadTier::kDisk);
  EXPECT_THAT(disk.Get("10000"), IsOkAnd(Optional(std::string("stored"))));
  EXPECT_FALSE(disk.needs_disk());
}

TEST_F(KeyspaceTest, WhatALayerSaysNeedsNoDisk) {
  store_.set_cold(true);
  Join("put", "pending");
  Join("deleted", std::nullopt);
  EXPECT_THAT(Get("put", nullptr), Optional(std::string("pending")));
  EXPECT_EQ(Get("deleted", nullptr), std::nullopt);
}

TEST_F(KeyspaceTest, EmptyRangeNeedsNoDisk) {
  store_.set_cold(true);
  View view = MakeView(nullptr);
  EXPECT_THAT(Scan(view, {"b", "a"}, false), IsEmpty());
  EXPECT_FALSE(view.needs_disk());
}

TEST_F(KeyspaceTest, LongScanNeedsTheDisk) {
  Store(View::kInlineEntriesMax + 1);
  for (const bool reverse : {false, true}) {
    View view = MakeView(nullptr);
    Scan(view, KeyRange::All(), reverse);
    EXPECT_TRUE(view.needs_disk());

    View first_ones = MakeView(nullptr);
    EXPECT_EQ(Scan(first_ones, KeyRange::All(), reverse, View::kInlineEntriesMax).size(),
              static_cast<size_t>(View::kInlineEntriesMax));
    EXPECT_FALSE(first_ones.needs_disk());

    View disk = MakeView(nullptr, ReadTier::kDisk);
    EXPECT_EQ(Scan(disk, KeyRange::All(), reverse).size(), static_cast<size_t>(View::kInlineEntriesMax + 1));
    EXPECT_FALSE(disk.needs_disk());
  }
}

TEST_F(KeyspaceTest, LongestScanInlineIsOfTheBound) {
  Store(View::kInlineEntriesMax);
  View view = MakeView(nullptr);
  EXPECT_EQ(Scan(view, KeyRange::All(), false).size(), static_cast<size_t>(View::kInlineEntriesMax));
  EXPECT_FALSE(view.needs_disk());
}

TEST_F(KeyspaceTest, EntriesThatAreHiddenCountToo) {
  Store(View::kInlineEntriesMax + 1);
  WriteSet turn;
  for (int i = 0; i <= View::kInlineEntriesMax; ++i) turn.Delete(absl::StrCat(10'000 + i));
  View view = MakeView(&turn);
  Scan(view, KeyRange::All(), false);
  EXPECT_TRUE(view.needs_disk());
}

TEST_F(KeyspaceTest, ARemovedRangeCountsAsOneEntry) {
  Store(View::kInlineEntriesMax + 1);
  WriteSet turn;
  turn.DeleteRange(KeyRange::All());
  View view = MakeView(&turn);
  Scan(view, KeyRange::All(), false);
  EXPECT_FALSE(view.needs_disk());
}

TEST_F(KeyspaceTest, PendingEntriesCountToo) {
  WriteSet turn;
  for (int i = 0; i <= View::kInlineEntriesMax; ++i) turn.Put(absl::StrCat(i), "");
  View view = MakeView(&turn);
  Scan(view, KeyRange::All(), false);
  EXPECT_TRUE(view.needs_disk());
}

TEST_F(KeyspaceTest, BoundIsOfOneViewNotOfOneScan) {
  Store(View::kInlineEntriesMax / 2 + 1);
  View view = MakeView(nullptr);
  Scan(view, KeyRange::All(), false);
  EXPECT_FALSE(view.needs_disk());
  Scan(view, KeyRange::All(), false);
  EXPECT_TRUE(view.needs_disk());
}

}  // namespace
}  // namespace holdfast::storage
