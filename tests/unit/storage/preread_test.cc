// The reads of packed objects before they are loaded, and the views that use them.

#include "storage/object/preread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/object/keyspace.h"
#include "tests/unit/storage/damaged_tables.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Entries = std::vector<std::pair<std::string, std::string>>;

Location At(const std::string& prefix) { return {FamilyId::kPacked, prefix}; }

void Commit(Store* store, const std::string& prefix, const Entries& entries) {
  const Location location = At(prefix);
  WriteSet set = Puts(entries);
  const KeyspaceWrites writes[] = {{&location, &set}};
  ASSERT_TRUE(store->CommitSync(writes).ok());
}

// Reads the objects with these prefixes, up to the key `last`.
std::vector<PrereadOrder> Read(Store* store, const std::vector<std::string>& prefixes, const std::string& last = "") {
  std::vector<PrereadOrder> orders;
  for (const std::string& prefix : prefixes) orders.push_back({.location = At(prefix), .last = last, .read = nullptr});
  ReadAhead(store, absl::MakeSpan(orders));
  return orders;
}

Entries AllOf(const Preread& preread, const KeyRange& range) {
  Entries entries;
  const auto cursor = preread.NewCursor(range);
  for (cursor->SeekToFirst(); cursor->state() == ReadResult::kFound; cursor->Next()) {
    entries.emplace_back(std::string(cursor->key()), std::string(cursor->value()));
  }
  return entries;
}

class PrereadTest : public testing::Test {
 protected:
  MemoryStore store;
};

TEST_F(PrereadTest, EachObjectGetsItsOwnKeysInWhateverOrderTheyAreAskedFor) {
  Commit(&store, "b/", {{"1", "b one"}, {"2", "b two"}});
  Commit(&store, "a/", {{"1", "a one"}});
  Commit(&store, "d/", {{"3", "d three"}});
  const auto orders = Read(&store, {"d/", "b/", "c/", "a/"});
  for (const PrereadOrder& order : orders) {
    ASSERT_NE(order.read, nullptr) << order.location.prefix;
    EXPECT_TRUE(order.read->Covers(KeyRange::All())) << order.location.prefix;
  }
  EXPECT_THAT(AllOf(*orders[0].read, KeyRange::All()), ElementsAre(std::pair("3", "d three")));
  EXPECT_THAT(AllOf(*orders[1].read, KeyRange::All()), ElementsAre(std::pair("1", "b one"), std::pair("2", "b two")));
  EXPECT_THAT(AllOf(*orders[2].read, KeyRange::All()), IsEmpty());
  EXPECT_THAT(AllOf(*orders[3].read, KeyRange::All()), ElementsAre(std::pair("1", "a one")));
}

TEST_F(PrereadTest, OneThatIsAskedForTwiceIsReadTwice) {
  Commit(&store, "a/", {{"1", "one"}, {"2", "two"}});
  const auto orders = Read(&store, {"a/", "a/"});
  EXPECT_THAT(AllOf(*orders[0].read, KeyRange::All()), SizeIs(2));
  EXPECT_THAT(AllOf(*orders[1].read, KeyRange::All()), SizeIs(2));
}

TEST_F(PrereadTest, ItEndsAtTheLastKeyThatIsWanted) {
  Commit(&store, "a/", {{"1", "one"}, {"2", "two"}, {"3", "three"}});
  const auto orders = Read(&store, {"a/"}, "2");
  const Preread& read = *orders[0].read;
  EXPECT_TRUE(read.Covers("0") && read.Covers("1") && read.Covers("2"));
  EXPECT_FALSE(read.Covers("3"));
  EXPECT_FALSE(read.Covers(KeyRange::All()));
  EXPECT_TRUE(read.Covers(KeyRange::Single("2")));
  EXPECT_EQ(read.Find("0"), nullptr);
  EXPECT_EQ(*read.Find("2"), "two");
}

TEST_F(PrereadTest, ItIsBoundedInEntriesAndBytes) {
  Entries many;
  for (int i = 0; i < 100; ++i) many.emplace_back(absl::StrCat("k", 100 + i), "v");
  Commit(&store, "a/", many);
  Commit(&store, "b/", {{"1", "small"}, {"2", std::string(Preread::kBytesMax, 'x')}, {"3", "small"}});
  Commit(&store, "c/", {{"1", std::string(2 << 20, 'x')}});
  const auto orders = Read(&store, {"a/", "b/", "c/"});
  EXPECT_THAT(AllOf(*orders[0].read, KeyRange::All()), SizeIs(Preread::kEntriesMax));
  EXPECT_FALSE(orders[0].read->Covers(many[Preread::kEntriesMax].first));
  EXPECT_TRUE(orders[1].read->Covers("1"));
  EXPECT_FALSE(orders[1].read->Covers("2"));
  EXPECT_EQ(orders[2].read, nullptr);
}

TEST_F(PrereadTest, AllTogetherAreBoundedToo) {
  std::vector<std::string> prefixes;
  for (int i = 0; i < 1000; ++i) {
    prefixes.push_back(absl::StrCat(1000 + i, "/"));
    Commit(&store, prefixes.back(), {{"1", std::string(Preread::kBytesMax - 1, 'x')}});
  }
  size_t read = 0;
  for (const PrereadOrder& order : Read(&store, prefixes)) read += order.read != nullptr ? 1 : 0;
  EXPECT_EQ(read, Preread::kAllBytesMax / Preread::kBytesMax);
}

TEST_F(PrereadTest, AViewReadsWhatIsCoveredUnderItsLayersAndTheRestFromTheStore) {
  Commit(&store, "a/", {{"1", "one"}, {"2", "two"}, {"3", "three"}, {"4", "four"}});
  const auto orders = Read(&store, {"a/"}, "3");
  // The store has gone on, which shows where a read comes from.
  Commit(&store, "a/", {{"1", "newer"}, {"4", "newer"}});
  WriteSet layer = Puts({{"2", "layer"}});
  layer.Delete("3");
  const Location location = At("a/");
  View view(&store, &location, {&layer}, ReadTier::kMemory, orders[0].read.get());
  store.set_cold(true);
  EXPECT_EQ(*view.Get("1"), "one");
  EXPECT_EQ(*view.Get("2"), "layer");
  EXPECT_EQ(*view.Get("3"), std::nullopt);
  for (const bool reverse : {false, true}) {
    Entries seen;
    ASSERT_TRUE(view.Scan({"0", KeyRange::Single("3").end}, reverse,
                          [&](absl::string_view key, absl::string_view value) {
                            seen.emplace_back(std::string(key), std::string(value));
                            return true;
                          })
                    .ok());
    if (reverse) std::reverse(seen.begin(), seen.end());
    EXPECT_THAT(seen, ElementsAre(std::pair("1", "one"), std::pair("2", "layer")));
  }
  EXPECT_FALSE(view.needs_disk());
  (void)view.Get("4");
  EXPECT_TRUE(view.needs_disk());
}

// --- In RocksDB

class PrereadDamageTest : public DamagedTablesTest {};

TEST_F(PrereadDamageTest, ADamagedBlockLeavesOutItsObjectsAndNoOther) {
  constexpr int kObjects = 400;
  std::vector<std::string> prefixes;
  auto store = Sound();
  for (int i = 0; i < kObjects; ++i) {
    prefixes.push_back(absl::StrCat(1000 + i, "/"));
    Commit(store.get(), prefixes.back(), {{"1", std::string(50, 'x')}, {"2", absl::StrCat("two of ", i)}});
  }
  store.reset();
  const std::string table = TableOf("packed");
  const size_t middle = BytesOf(table) / 3;
  auto damaged = Damaged(table, middle);
  ASSERT_TRUE(damaged.ok()) << damaged.status();
  int left_out = 0;
  const auto orders = Read(damaged->get(), prefixes);
  for (int i = 0; i < kObjects; ++i) {
    const auto& read = orders[static_cast<size_t>(i)].read;
    if (read == nullptr) {
      ++left_out;
      continue;
    }
    EXPECT_THAT(AllOf(*read, KeyRange::All()),
                ElementsAre(std::pair("1", std::string(50, 'x')), std::pair("2", absl::StrCat("two of ", i))));
  }
  EXPECT_GE(left_out, 1) << "the bit hit nothing";
  EXPECT_LE(left_out, kObjects / 2);
}

}  // namespace
}  // namespace holdfast::storage
