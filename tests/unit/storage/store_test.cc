#include "storage/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;
using testing::UnorderedElementsAre;

using StoreTest = StoreParamTest;

TEST_P(StoreTest, CommitReachesFamiliesAndPrefixes) {
  const FamilyId own = *store().CreateFamily("own");
  ASSERT_THAT(Commit(store(), {{{FamilyId::kNode, ""}, Puts({{"n", "1"}})},
                               {{FamilyId::kCatalog, ""}, Puts({{"c", "2"}})},
                               {{FamilyId::kAlarms, ""}, Puts({{"a", "3"}})},
                               {{FamilyId::kPacked, "p/"}, Puts({{"k", "4"}})},
                               {{FamilyId::kPacked, "q/"}, Puts({{"k", "5"}})},
                               {{own, ""}, Puts({{"k", "6"}})}}),
              IsOk());
  EXPECT_THAT(Find(store(), FamilyId::kNode, "n"), Optional(std::string("1")));
  EXPECT_THAT(Dump(store(), FamilyId::kCatalog), ElementsAre(Pair("c", "2")));
  EXPECT_THAT(Dump(store(), FamilyId::kAlarms), ElementsAre(Pair("a", "3")));
  EXPECT_THAT(Dump(store(), FamilyId::kPacked), ElementsAre(Pair("p/k", "4"), Pair("q/k", "5")));
  EXPECT_THAT(Dump(store(), own), ElementsAre(Pair("k", "6")));
}

TEST_P(StoreTest, ValueComesBackByteForByte) {
  std::string every_byte;
  for (int c = 0; c < 256; ++c) every_byte.push_back(static_cast<char>(c));
  const std::string large(3 << 20, '\xff');
  ASSERT_THAT(
      Commit(store(), {{{FamilyId::kPacked, every_byte},
                        Puts({{"", "of the empty key"}, {every_byte, every_byte}, {"large", large}, {"0", ""}})}}),
      IsOk());
  EXPECT_THAT(Find(store(), FamilyId::kPacked, every_byte), Optional(std::string("of the empty key")));
  EXPECT_THAT(Find(store(), FamilyId::kPacked, every_byte + every_byte), Optional(every_byte));
  EXPECT_TRUE(Find(store(), FamilyId::kPacked, every_byte + "large") == large);
  EXPECT_THAT(Find(store(), FamilyId::kPacked, every_byte + "0"), Optional(std::string()));
  EXPECT_EQ(Find(store(), FamilyId::kPacked, "0"), std::nullopt);
}

TEST_P(StoreTest, DeletedKeyIsGone) {
  const Location packed{FamilyId::kPacked, "p/"};
  ASSERT_THAT(Commit(store(), {{packed, Puts({{"a", "1"}, {"b", "2"}})}}), IsOk());
  WriteSet set;
  set.Delete("a");
  set.Delete("never there");
  ASSERT_THAT(Commit(store(), {{packed, set}}), IsOk());
  EXPECT_THAT(Dump(store(), FamilyId::kPacked), ElementsAre(Pair("p/b", "2")));
}

TEST_P(StoreTest, RemovedRangeEndsWhereItSays) {
  const Location packed{FamilyId::kPacked, "p/"};
  ASSERT_THAT(Commit(store(), {{packed, Puts({{"a", ""}, {"b", ""}, {"b0", ""}, {"c", ""}, {"c0", ""}})}}), IsOk());
  ASSERT_THAT(Commit(store(), {{packed, Removes({"b", "c"})}}), IsOk());
  EXPECT_THAT(Dump(store(), FamilyId::kPacked), ElementsAre(Pair("p/a", ""), Pair("p/c", ""), Pair("p/c0", "")));
}

TEST_P(StoreTest, OpenEndedRangeStaysWithinItsPrefix) {
  for (const std::string& prefix : {std::string("o\xff"), std::string("p\xff\xff"), std::string("q")}) {
    ASSERT_THAT(
        Commit(store(), {{{FamilyId::kPacked, prefix}, Puts({{"", "1"}, {std::string("\0", 1), "2"}, {"a", "3"}})}}),
        IsOk());
  }
  ASSERT_THAT(Commit(store(), {{{FamilyId::kPacked, "p\xff\xff"}, Removes({"a", ""})}}), IsOk());
  EXPECT_EQ(Dump(store(), FamilyId::kPacked).size(), 8u);
  EXPECT_EQ(Find(store(), FamilyId::kPacked, "p\xff\xff" + std::string("a")), std::nullopt);
  ASSERT_THAT(Commit(store(), {{{FamilyId::kPacked, "p\xff\xff"}, Removes(KeyRange::All())}}), IsOk());
  EXPECT_THAT(Dump(store(), FamilyId::kPacked), ElementsAre(Pair("o\xff", "1"), Pair(std::string("o\xff\0", 3), "2"),
                                                            Pair("o\xff" + std::string("a"), "3"), Pair("q", "1"),
                                                            Pair(std::string("q\0", 2), "2"), Pair("qa", "3")));
}

TEST_P(StoreTest, OpenEndedRangeEmptiesAFamilyAndNoOther) {
  const FamilyId own = *store().CreateFamily("own");
  const FamilyId other = *store().CreateFamily("other");
  for (const FamilyId family : {own, other}) {
    ASSERT_THAT(Commit(store(), {{{family, ""}, Puts({{"", "1"}, {"a", "2"}, {"\xfe\xff\xff", "3"}})}}), IsOk());
  }
  ASSERT_THAT(Commit(store(), {{{own, ""}, Removes(KeyRange::All())}}), IsOk());
  EXPECT_THAT(Dump(store(), own), IsEmpty());
  EXPECT_EQ(Dump(store(), other).size(), 3u);
}

TEST_P(StoreTest, PointsOfACommitAreNewerThanItsRanges) {
  const Location packed{FamilyId::kPacked, "p/"};
  ASSERT_THAT(Commit(store(), {{packed, Puts({{"a", "old"}, {"b", "old"}, {"c", "old"}})}}), IsOk());
  WriteSet set = Removes(KeyRange::All());
  set.Put("b", "new");
  set.Put("d", "new");
  set.Delete("c");
  ASSERT_THAT(Commit(store(), {{packed, set}}), IsOk());
  EXPECT_THAT(Dump(store(), FamilyId::kPacked), ElementsAre(Pair("p/b", "new"), Pair("p/d", "new")));
}

TEST_P(StoreTest, CursorGoesBothWaysWithinItsBounds) {
  ASSERT_THAT(Commit(store(), {{{FamilyId::kPacked, ""}, Puts({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}})}}),
              IsOk());
  const auto keys = [&](KeyRange range, bool reverse) {
    std::string joined;
    for (const auto& [key, value] :
         Walk(*store().NewCursor(WholeFamily(FamilyId::kPacked), range, ReadTier::kDisk), reverse)) {
      joined += key;
    }
    return joined;
  };
  EXPECT_EQ(keys({"b", "d"}, false), "bc");
  EXPECT_EQ(keys({"b", "d"}, true), "cb");
  EXPECT_EQ(keys({"b", ""}, false), "bcd");
  EXPECT_EQ(keys({"b", ""}, true), "dcb");
  EXPECT_EQ(keys({"", "c"}, false), "ab");
  EXPECT_EQ(keys({"", "c"}, true), "ba");
  EXPECT_EQ(keys({"aa", "bb"}, true), "b");
  EXPECT_EQ(keys({"b", "b"}, false), "");
  EXPECT_EQ(keys({"b", "b"}, true), "");
  EXPECT_EQ(keys({"x", ""}, true), "");
  EXPECT_EQ(keys({"", "a"}, true), "");
  EXPECT_EQ(keys(KeyRange::All(), true), "dcba");
}

TEST_P(StoreTest, CursorSeeksWithinItsBounds) {
  ASSERT_THAT(Commit(store(), {{{FamilyId::kPacked, ""}, Puts({{"a", "1"}, {"b", "2"}, {"d", "4"}, {"e", "5"}})}}),
              IsOk());
  auto cursor = store().NewCursor(WholeFamily(FamilyId::kPacked), {"b", "e"}, ReadTier::kDisk);
  // The cursor seeks in any order: to an existing key, between two keys, before the range and behind it.
  for (const auto& [key, found] : std::vector<std::pair<std::string, std::string>>{
           {"d", "d"}, {"c", "d"}, {"b", "b"}, {"", "b"}, {"dd", ""}, {"e", ""}, {"z", ""}, {"b", "b"}}) {
    cursor->Seek(key);
    ASSERT_EQ(cursor->state(), found.empty() ? ReadResult::kAbsent : ReadResult::kFound) << key;
    if (!found.empty()) EXPECT_EQ(std::string(cursor->key()), found) << key;
  }
  cursor->Next();
  EXPECT_EQ(std::string(cursor->key()), "d");
}

TEST_P(StoreTest, CursorTurnsAround) {
  ASSERT_THAT(Commit(store(), {{{FamilyId::kPacked, ""}, Puts({{"a", "1"}, {"b", "2"}, {"c", "3"}})}}), IsOk());
  auto cursor = store().NewCursor(WholeFamily(FamilyId::kPacked), KeyRange::All(), ReadTier::kDisk);
  cursor->SeekToFirst();
  cursor->Next();
  cursor->Next();
  cursor->Prev();
  EXPECT_EQ(std::string(cursor->key()), "b");
  cursor->Prev();
  cursor->Prev();
  EXPECT_EQ(cursor->state(), ReadResult::kAbsent);
  cursor->SeekToLast();
  EXPECT_EQ(std::string(cursor->key()), "c");
  EXPECT_EQ(std::string(cursor->value()), "3");
}

TEST_P(StoreTest, CursorOfAnEmptyFamilyIsAtItsEnd) {
  auto cursor = store().NewCursor(WholeFamily(*store().CreateFamily("own")), KeyRange::All(), ReadTier::kDisk);
  EXPECT_THAT(Walk(*cursor, false), IsEmpty());
  EXPECT_THAT(Walk(*cursor, true), IsEmpty());
}

TEST_P(StoreTest, CursorKeepsWhatItSaw) {
  const FamilyId own = *store().CreateFamily("own");
  ASSERT_THAT(Commit(store(), {{{own, ""}, Puts({{"a", "1"}, {"b", "2"}, {"d", "4"}})}}), IsOk());
  auto cursor = store().NewCursor(WholeFamily(own), KeyRange::All(), ReadTier::kDisk);
  cursor->SeekToFirst();
  ASSERT_THAT(Commit(store(), {{{own, ""}, Puts({{"a", "changed"}, {"b", "changed"}, {"c", "new"}})}}), IsOk());
  EXPECT_EQ(std::string(cursor->value()), "1");
  cursor->Next();
  EXPECT_EQ(std::string(cursor->value()), "2");
  ASSERT_THAT(Commit(store(), {{{own, ""}, Removes(KeyRange::All())}}), IsOk());
  EXPECT_EQ(std::string(cursor->value()), "2");
  cursor->Next();
  EXPECT_EQ(std::string(cursor->key()), "d");
  EXPECT_THAT(Walk(*cursor, true), ElementsAre(Pair("d", "4"), Pair("b", "2"), Pair("a", "1")));
  EXPECT_THAT(Dump(store(), own), IsEmpty());
}

TEST_P(StoreTest, NewFamilyIsEmptyAndListed) {
  const FamilyId a = *store().CreateFamily("a");
  const FamilyId b = *store().CreateFamily("b");
  EXPECT_GE(a, FamilyId::kFirstOwn);
  EXPECT_NE(a, b);
  EXPECT_THAT(Dump(store(), a), IsEmpty());
  std::vector<std::pair<FamilyId, std::string>> list;
  for (const OwnFamily& family : store().ListOwnFamilies()) list.emplace_back(family.id, family.name);
  EXPECT_THAT(list, UnorderedElementsAre(Pair(a, "a"), Pair(b, "b")));
}

TEST_P(StoreTest, NodesFamiliesAreNotListed) { EXPECT_THAT(store().ListOwnFamilies(), IsEmpty()); }

TEST_P(StoreTest, DroppedFamilyIsGoneWithItsKeys) {
  const FamilyId first = *store().CreateFamily("own");
  const FamilyId other = *store().CreateFamily("other");
  ASSERT_THAT(Commit(store(), {{{first, ""}, Puts({{"k", "1"}})}, {{other, ""}, Puts({{"k", "2"}})}}), IsOk());
  ASSERT_THAT(store().DropFamily(first), IsOk());
  ASSERT_EQ(store().ListOwnFamilies().size(), 1u);
  EXPECT_EQ(store().ListOwnFamilies()[0].id, other);
  EXPECT_FALSE(store().DropFamily(first).ok());

  const FamilyId second = *store().CreateFamily("own");
  EXPECT_NE(second, first);
  EXPECT_THAT(Dump(store(), second), IsEmpty());
  EXPECT_THAT(Dump(store(), other), ElementsAre(Pair("k", "2")));
  EXPECT_THAT(Commit(store(), {{{second, ""}, Puts({{"k", "3"}})}}), IsOk());
}

TEST_P(StoreTest, ReadOfADroppedFamilyIsAnError) {
  const FamilyId own = *store().CreateFamily("own");
  ASSERT_THAT(store().DropFamily(own), IsOk());
  std::string value;
  absl::Status error;
  EXPECT_EQ(store().Get(WholeFamily(own), "k", ReadTier::kDisk, &value, &error), ReadResult::kError);
  EXPECT_THAT(error, IsStatus(absl::StatusCode::kInternal, "dropped"));
  auto cursor = store().NewCursor(WholeFamily(own), KeyRange::All(), ReadTier::kDisk);
  cursor->SeekToFirst();
  EXPECT_EQ(cursor->state(), ReadResult::kError);
  EXPECT_FALSE(cursor->error().ok());
}

TEST_P(StoreTest, NameOfAFamilyIsTakenOnce) {
  ASSERT_THAT(store().CreateFamily("own"), IsOk());
  EXPECT_FALSE(store().CreateFamily("own").ok());
  EXPECT_EQ(store().ListOwnFamilies().size(), 1u);
  EXPECT_THAT(Commit(store(), {{{FamilyId::kNode, ""}, Puts({{"k", "1"}})}}), IsOk());
}

using WarmStoreTest = StoreParamTest;

TEST_P(WarmStoreTest, WarmReadsNeedNoDisk) {
  ASSERT_THAT(Commit(store(), {{{FamilyId::kPacked, ""}, Puts({{"a", "1"}})}}), IsOk());
  // A store on another machine has in memory what was read once.
  EXPECT_THAT(FindAt(store(), WholeFamily(FamilyId::kPacked), "a"), Optional(std::string("1")));
  std::string value;
  absl::Status error;
  EXPECT_EQ(store().Get(WholeFamily(FamilyId::kPacked), "a", ReadTier::kMemory, &value, &error), ReadResult::kFound);
  EXPECT_EQ(value, "1");
  EXPECT_EQ(store().Get(WholeFamily(FamilyId::kPacked), "b", ReadTier::kMemory, &value, &error), ReadResult::kAbsent);
}

// Returns a change that the store keeps as a patch, not as a value.
WriteSet Change(const std::string& key, const std::string& old, const std::string& value) {
  WriteSet set;
  set.PutChanged(key, value, MakePatch(old, value).value());
  return set;
}

using StorePatchTest = StoreParamTest;
// No store in a database does.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StorePatchTest);

TEST_P(StorePatchTest, PatchesAreAppliedToWhatIsStored) {
  const std::string first(100, 'a');
  std::string second = first;
  second[20] = 'b';
  std::string third = second;
  third[21] = 'c';
  third[99] = 'd';
  const Location locations[] = {{FamilyId::kPacked, "p"}, {*store().CreateFamily("own"), ""}};
  for (const Location& at : locations) {
    ASSERT_THAT(Commit(store(), {{at, OnePut("k", first)}}), IsOk());
    ASSERT_THAT(Commit(store(), {{at, Change("k", first, second)}}), IsOk());
    EXPECT_THAT(Find(store(), at.family, at.prefix + "k"), Optional(second));
    // The same commit made twice has the effect of one.
    for (int times = 0; times < 2; ++times) {
      ASSERT_THAT(Commit(store(), {{at, Change("k", second, third)}}), IsOk());
      EXPECT_THAT(Dump(store(), at.family), ElementsAre(Pair(at.prefix + "k", third)));
    }
    // A new base shows that the store has kept a patch: with another base the value differs.
    ASSERT_THAT(Commit(store(), {{at, OnePut("k", std::string(100, 'x'))}}), IsOk());
    ASSERT_THAT(Commit(store(), {{at, Change("k", first, second)}}), IsOk());
    EXPECT_THAT(Find(store(), at.family, at.prefix + "k"), Optional(std::string(20, 'x') + "b" + std::string(79, 'x')));
  }
}

TEST_P(StorePatchTest, PatchThatDoesNotFitLeavesDamage) {
  const Location at{FamilyId::kPacked, "p"};
  const std::string base(100, 'a');
  std::string value = base;
  value[99] = 'b';
  WriteSet set;
  for (const char* key : {"garbled", "removed", "short"}) set.Put(key, base);
  set.Put("short", "a");
  set.Put("good", base);
  ASSERT_THAT(Commit(store(), {{at, set}}), IsOk());
  WriteSet removal;
  removal.Delete("removed");
  ASSERT_THAT(Commit(store(), {{at, removal}}), IsOk());
  WriteSet changes;
  for (const char* key : {"absent", "removed", "short", "good"}) {
    changes.PutChanged(key, value, *MakePatch(base, value));
  }
  changes.PutChanged("garbled", value, "\x63");
  ASSERT_THAT(Commit(store(), {{at, changes}}), IsOk());
  const std::string damaged(kDamagedValue);
  EXPECT_THAT(Dump(store(), FamilyId::kPacked),
              ElementsAre(Pair("pabsent", damaged), Pair("pgarbled", damaged), Pair("pgood", value),
                          Pair("premoved", damaged), Pair("pshort", damaged)));
  // The damage stays until the key gets a full value.
  ASSERT_THAT(Commit(store(), {{at, changes}}), IsOk());
  EXPECT_THAT(Find(store(), FamilyId::kPacked, "pabsent"), Optional(damaged));
  ASSERT_THAT(Commit(store(), {{at, OnePut("absent", base)}}), IsOk());
  EXPECT_THAT(Find(store(), FamilyId::kPacked, "pabsent"), Optional(base));
}

TEST_P(StoreTest, RandomCommitsAreThoseOfAPlainMap) {
  ForEachSeed(15, [](Random& random) {
    AnyStore store(GetParam());
    std::map<FamilyId, Entries> model = {{FamilyId::kCatalog, {}}, {FamilyId::kPacked, {}}};
    int families_made = 0;
    for (int step = 0; step < 40; ++step) {
      if (random.OneIn(6) && model.size() < 5) {
        const FamilyId made = *store->CreateFamily(absl::StrCat("family ", families_made++));
        ASSERT_TRUE(model.try_emplace(made).second);
      }
      if (random.OneIn(10) && model.size() > 2) {
        ASSERT_THAT(store->DropFamily(model.rbegin()->first), IsOk());
        model.erase(std::prev(model.end()));
      }
      std::vector<std::pair<Location, WriteSet>> parts;
      for (auto& [family, entries] : model) {
        std::vector<std::string> prefixes = {""};
        if (family == FamilyId::kPacked) prefixes = {"pa", "p\xff", std::string("q\0", 2), "q\xff\xff"};
        for (const std::string& prefix : prefixes) {
          if (random.OneIn(2)) continue;
          parts.emplace_back(Location{family, prefix}, RandomWrites(random, 12));
          AddRandomChanges(random, entries, prefix, &parts.back().second);
          Apply(parts.back().second, prefix, &entries);
        }
      }
      ASSERT_THAT(Commit(*store, parts), IsOk());
      for (const auto& [family, entries] : model) {
        ASSERT_EQ(Dump(*store, family), entries) << "step " << step;
        const KeyRange range = RandomRange(random);
        std::vector<std::pair<std::string, std::string>> expected;
        for (const auto& entry : entries) {
          if (range.Contains(entry.first)) expected.push_back(entry);
        }
        ASSERT_EQ(Walk(*store->NewCursor(WholeFamily(family), range, ReadTier::kDisk), false), expected);
        std::reverse(expected.begin(), expected.end());
        ASSERT_EQ(Walk(*store->NewCursor(WholeFamily(family), range, ReadTier::kDisk), true), expected);
        const std::string& key = RandomKey(random);
        const auto it = entries.find(key);
        ASSERT_EQ(Find(*store, family, key), it == entries.end() ? std::nullopt : std::optional(it->second));
      }
    }
  });
}

TEST_P(StoreTest, PrefetchIsNotSeen) {
  const FamilyId own = *store().CreateFamily("own");
  const FamilyId dropped = *store().CreateFamily("dropped");
  ASSERT_THAT(store().DropFamily(dropped), IsOk());
  ASSERT_THAT(
      Commit(store(), {{{FamilyId::kPacked, ""}, Puts({{"a", "1"}, {"b", "2"}})}, {{own, ""}, Puts({{"a", "3"}})}}),
      IsOk());
  const auto prefetch = [&] {
    for (const FamilyId family : {FamilyId::kPacked, FamilyId::kAlarms, own, dropped}) {
      for (const KeyRange& range :
           {KeyRange::All(), KeyRange::Single("a"), KeyRange::Prefix("none"), KeyRange{"b", "b"}, KeyRange{"b", "a"}}) {
        store().Prefetch(WholeFamily(family), range);
      }
    }
  };
  auto cursor = store().NewCursor(WholeFamily(FamilyId::kPacked), KeyRange::All(), ReadTier::kDisk);
  cursor->SeekToFirst();
  prefetch();
  ASSERT_THAT(Commit(store(), {{{FamilyId::kPacked, ""}, Puts({{"a", "changed"}})}}), IsOk());
  EXPECT_EQ(std::string(cursor->value()), "1");
  EXPECT_THAT(Dump(store(), FamilyId::kPacked), ElementsAre(Pair("a", "changed"), Pair("b", "2")));
  EXPECT_THAT(Find(store(), FamilyId::kPacked, "a"), Optional(std::string("changed")));
  prefetch();
  EXPECT_THAT(Dump(store(), FamilyId::kPacked), ElementsAre(Pair("a", "changed"), Pair("b", "2")));
  EXPECT_THAT(Dump(store(), own), ElementsAre(Pair("a", "3")));
  EXPECT_THAT(Dump(store(), FamilyId::kAlarms), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreTest, AllStores(), StoreName);
INSTANTIATE_TEST_SUITE_P(Stores, WarmStoreTest, WarmStores(), StoreName);
INSTANTIATE_TEST_SUITE_P(Stores, StorePatchTest, StoresThatApplyPatches(), StoreName);

TEST(MemoryStore, FailedCommitAppliesNothing) {
  MemoryStore store;
  ASSERT_THAT(Commit(store, {{{FamilyId::kPacked, "p"}, Puts({{"a", "1"}})}}), IsOk());
  store.set_commit_error(absl::InternalError("the disk is gone"));
  EXPECT_THAT(
      Commit(store, {{{FamilyId::kPacked, "p"}, Puts({{"a", "2"}})}, {{FamilyId::kNode, ""}, Puts({{"b", ""}})}}),
      IsStatus(absl::StatusCode::kInternal, "the disk is gone"));
  EXPECT_THAT(Dump(store, FamilyId::kPacked), ElementsAre(Pair("pa", "1")));
  EXPECT_THAT(Dump(store, FamilyId::kNode), IsEmpty());
}

TEST(MemoryStore, ColdReadsNeedTheDisk) {
  MemoryStore store;
  ASSERT_THAT(Commit(store, {{{FamilyId::kPacked, ""}, Puts({{"a", "1"}})}}), IsOk());
  store.set_cold(true);
  std::string value;
  absl::Status error;
  for (const char* key : {"a", "b"}) {
    EXPECT_EQ(store.Get(WholeFamily(FamilyId::kPacked), key, ReadTier::kMemory, &value, &error),
              ReadResult::kNeedsDisk);
  }
  auto cursor = store.NewCursor(WholeFamily(FamilyId::kPacked), KeyRange::All(), ReadTier::kMemory);
  cursor->SeekToFirst();
  EXPECT_EQ(cursor->state(), ReadResult::kNeedsDisk);
  cursor->SeekToLast();
  EXPECT_EQ(cursor->state(), ReadResult::kNeedsDisk);
  EXPECT_THAT(Find(store, FamilyId::kPacked, "a"), Optional(std::string("1")));
}

}  // namespace
}  // namespace holdfast::storage
