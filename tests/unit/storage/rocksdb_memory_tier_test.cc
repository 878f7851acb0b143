// The answers of RocksDB to reads that must not touch the disk.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/node/families.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "storage/store/patch.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/raw_rocksdb.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::Optional;
using testing::Pair;

class RocksDbMemoryTierTest : public testing::Test {
 protected:
  const std::string& dir() const { return dir_.path(); }
  // The caller closes the store before it opens it again.
  std::unique_ptr<Store> Open() { return OpenOrDie(SmallOptions(dir())); }

 private:
  TempDir dir_;
};

TEST_F(RocksDbMemoryTierTest, ColdKeysNeedTheDisk) {
  FamilyId own;
  {
    auto store = Open();
    own = *store->CreateFamily("own");
    ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, "p/"}, OnePut("k", "packed")}, {{own, ""}, OnePut("k", "own")}}),
                IsOk());
    std::string value;
    absl::Status error;
    EXPECT_EQ(store->Get(WholeFamily(own), "k", ReadTier::kMemory, &value, &error), ReadResult::kFound);
  }
  RawFlush(dir());
  auto store = Open();
  own = store->ListOwnFamilies().at(0).id;
  for (const auto& [family, key, expected] :
       {std::tuple(FamilyId::kPacked, "p/k", "packed"), std::tuple(own, "k", "own")}) {
    std::string value;
    absl::Status error;
    EXPECT_EQ(store->Get(WholeFamily(family), key, ReadTier::kMemory, &value, &error), ReadResult::kNeedsDisk);
    EXPECT_THAT(Find(*store, family, key), Optional(std::string(expected)));
    // The block is now in the cache.
    EXPECT_EQ(store->Get(WholeFamily(family), key, ReadTier::kMemory, &value, &error), ReadResult::kFound);
    EXPECT_EQ(value, expected);
    EXPECT_EQ(store->Get(WholeFamily(family), "none", ReadTier::kMemory, &value, &error), ReadResult::kAbsent);
  }
}

TEST_F(RocksDbMemoryTierTest, ColdKeysAreFoundUnderNewerOnes) {
  {
    auto store = Open();
    WriteSet set;
    for (const char* key : {"a", "b", "c"}) set.Put(key, "flushed");
    ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, "p/"}, set}}), IsOk());
  }
  RawFlush(dir());
  auto store = Open();
  WriteSet set;
  set.DeleteRange({"b", "c"});
  set.Put("a", "new");
  ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, "p/"}, set}}), IsOk());
  std::string value;
  absl::Status error;
  EXPECT_EQ(store->Get(WholeFamily(FamilyId::kPacked), "p/a", ReadTier::kMemory, &value, &error), ReadResult::kFound);
  EXPECT_EQ(value, "new");
  EXPECT_THAT(Dump(*store, FamilyId::kPacked), ElementsAre(Pair("p/a", "new"), Pair("p/c", "flushed")));
}

// RocksDB opens the first sixteen tables along with the store. A read that must not block finds "found" without a value
// in the other tables.
TEST_F(RocksDbMemoryTierTest, WhatIsInATableThatIsNotOpenYetNeedsTheDisk) {
  constexpr int kFamilies = 40;
  {
    auto store = Open();
    for (int i = 0; i < kFamilies; ++i) {
      const auto family = store->CreateFamily(FamilyName({"default", "Object", absl::StrCat(i)}, 1));
      ASSERT_TRUE(family.ok());
      WriteSet writes = OnePut("key", absl::StrCat(i));
      writes.Put("empty", "");
      ASSERT_THAT(Commit(*store, {{{*family, ""}, writes}}), IsOk());
    }
  }
  RawFlush(dir());
  auto store = Open();
  int needed_disk = 0;
  for (const OwnFamily& family : store->ListOwnFamilies()) {
    ObjectId id;
    uint64_t generation;
    ASSERT_TRUE(ParseFamilyName(family.name, &id, &generation));
    std::string value;
    absl::Status error;
    EXPECT_NE(store->Get(WholeFamily(family.id), "absent", ReadTier::kMemory, &value, &error), ReadResult::kFound)
        << id.name;
    const ReadResult found = store->Get(WholeFamily(family.id), "key", ReadTier::kMemory, &value, &error);
    if (found == ReadResult::kNeedsDisk) {
      ++needed_disk;
    } else {
      EXPECT_EQ(found, ReadResult::kFound);
      EXPECT_EQ(value, id.name);
    }
    EXPECT_THAT(Find(*store, family.id, "key"), Optional(id.name));
    // The table is in memory from now on.
    ASSERT_EQ(store->Get(WholeFamily(family.id), "empty", ReadTier::kMemory, &value, &error), ReadResult::kFound);
    EXPECT_EQ(value, "");
  }
  EXPECT_GT(needed_disk, 0);
}

// Returns one of few keys, most of them adjacent.
std::string FewKey(Random& random) {
  return absl::StrCat(random.OneIn(4) ? "a" : "k", random.Below(4), "/", random.Below(6));
}

// Returns commits that make many small tables, some of whose blocks are in a small cache.
WriteSet LargeWrites(Random& random) {
  WriteSet set;
  if (random.OneIn(20)) set.DeleteRange(KeyRange::All());
  const bool puts = !random.OneIn(3);
  for (uint64_t n = 1 + random.Below(5); n > 0; --n) {
    puts ? set.Put(FewKey(random), std::string(random.Below(6000), 'v')) : set.Delete(FewKey(random));
  }
  return set;
}

// Changes some bytes of existing values. The changes may be patches over tables that are not in memory.
void AddChanges(Random& random, Store& store, const Location& at, WriteSet* set) {
  const ReadTier tier = random.OneIn(3) ? ReadTier::kDisk : ReadTier::kMemory;
  for (uint64_t n = random.Below(5); n > 0; --n) {
    const std::string key = FewKey(random);
    const std::string* written = nullptr;
    if (set->Find(key, &written) != WriteSet::Verdict::kUnknown) continue;
    std::string old;
    absl::Status error;
    if (store.Get(at, key, tier, &old, &error) != ReadResult::kFound || old.empty()) continue;
    std::string value = old;
    for (int i = 0; i < 2; ++i) value[random.Below(value.size())] = static_cast<char>('a' + random.Below(26));
    if (auto patch = MakePatch(old, value)) set->PutChanged(key, std::move(value), *std::move(patch));
  }
}

// Returns the first entries of a range, in either direction; nothing where the tier cannot tell.
std::optional<std::vector<std::pair<std::string, std::string>>> FirstOnes(Store& store, FamilyId family,
                                                                          const KeyRange& range, bool reverse,
                                                                          size_t entries_max, ReadTier tier) {
  std::vector<std::pair<std::string, std::string>> entries;
  auto cursor = store.NewCursor(WholeFamily(family), range, tier);
  reverse ? cursor->SeekToLast() : cursor->SeekToFirst();
  while (cursor->state() == ReadResult::kFound && entries.size() < entries_max) {
    entries.emplace_back(std::string(cursor->key()), std::string(cursor->value()));
    reverse ? cursor->Prev() : cursor->Next();
  }
  if (cursor->state() == ReadResult::kNeedsDisk) return std::nullopt;
  return entries;
}

Entries ValuesOf(const WriteSet& writes) {
  Entries values;
  for (const auto& [key, value] : writes.points()) {
    if (value) values[key] = *value;
  }
  return values;
}

TEST_F(RocksDbMemoryTierTest, PatchOverAColdValueNeedsTheDisk) {
  const std::string base(100, 'a');
  std::string value = base;
  value[50] = 'b';
  {
    auto store = Open();
    // There are many families, since the first sixteen tables are opened along with the store.
    for (int i = 0; i < 40; ++i) {
      const FamilyId family = *store->CreateFamily(absl::StrCat("own ", i));
      ASSERT_THAT(Commit(*store, {{{family, ""}, OnePut("k", base)}}), IsOk());
    }
  }
  RawFlush(dir());
  auto store = Open();
  int needed_disk = 0;
  for (const OwnFamily& family : store->ListOwnFamilies()) {
    WriteSet writes;
    writes.PutChanged("k", value, MakePatch(base, value).value());
    ASSERT_THAT(Commit(*store, {{{family.id, ""}, std::move(writes)}}), IsOk());
    std::string found;
    absl::Status error;
    const ReadResult result = store->Get(WholeFamily(family.id), "k", ReadTier::kMemory, &found, &error);
    if (result == ReadResult::kNeedsDisk) {
      ++needed_disk;
    } else {
      ASSERT_EQ(result, ReadResult::kFound);
      ASSERT_EQ(found, value);
    }
    EXPECT_THAT(Find(*store, family.id, "k"), Optional(value));
    EXPECT_EQ(store->Get(WholeFamily(family.id), "k", ReadTier::kMemory, &found, &error), ReadResult::kFound);
    EXPECT_EQ(found, value);
  }
  EXPECT_GT(needed_disk, 0);
}

TEST_F(RocksDbMemoryTierTest, WhatItKnowsIsRight) {
  ForEachSeed(2, [](Random& random) {
    TempDir dir;
    RocksDbOptions options = SmallOptions(dir.path());
    options.memtable_bytes = 256 << 10;
    options.wal_bytes_max = 1 << 20;
    options.sync = false;
    int known = 0;
    for (int life = 0; life < 10; ++life) {
      options.block_cache_bytes = random.OneIn(2) ? 64 << 10 : 8 << 20;
      auto store = OpenOrDie(options);
      std::vector<Location> locations;
      for (const OwnFamily& family : store->ListOwnFamilies()) locations.push_back({family.id, ""});
      while (locations.size() < 25) {
        locations.push_back({*store->CreateFamily(absl::StrCat("own ", random.Bits())), ""});
      }
      for (int i = 0; i < 25; ++i) locations.push_back({FamilyId::kPacked, absl::StrCat("p", 10 + i, "/")});
      for (int step = 0; step < 3000; ++step) {
        const Location& at = random.Pick(locations);
        if (random.OneIn(2)) {
          WriteSet writes = random.OneIn(3) ? LargeWrites(random) : WriteSet();
          AddChanges(random, *store, at, &writes);
          const Entries changed = ValuesOf(writes);
          ASSERT_THAT(Commit(*store, {{at, std::move(writes)}}), IsOk());
          for (const auto& [key, value] : changed) {
            std::string found;
            absl::Status error;
            const ReadResult result = store->Get(at, key, ReadTier::kMemory, &found, &error);
            if (result == ReadResult::kNeedsDisk) continue;
            ASSERT_EQ(result, ReadResult::kFound);
            ASSERT_EQ(found, value);
          }
          continue;
        }
        KeyRange range{at.prefix + FewKey(random), at.prefix + (random.OneIn(2) ? "z" : FewKey(random))};
        const bool reverse = random.OneIn(2);
        const size_t entries_max = 1 + random.Below(6);
        if (!range.IsEmpty()) {
          const auto inline_ones = FirstOnes(*store, at.family, range, reverse, entries_max, ReadTier::kMemory);
          if (inline_ones) {
            ++known;
            ASSERT_EQ(inline_ones, FirstOnes(*store, at.family, range, reverse, entries_max, ReadTier::kDisk));
          } else if (random.OneIn(2)) {
            FirstOnes(*store, at.family, range, reverse, entries_max, ReadTier::kDisk);
          }
        }
        std::string value;
        absl::Status error;
        const ReadResult found = store->Get(WholeFamily(at.family), range.start, ReadTier::kMemory, &value, &error);
        if (found == ReadResult::kNeedsDisk) continue;
        ++known;
        ASSERT_EQ(found == ReadResult::kFound ? std::optional(value) : std::nullopt,
                  Find(*store, at.family, range.start));
      }
    }
    EXPECT_GT(known, 1000);
  });
}

TEST_F(RocksDbMemoryTierTest, WalksNeedTheDisk) {
  auto store = Open();
  ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, "p/"}, OnePut("k", "v")}}), IsOk());
  for (const bool reverse : {false, true}) {
    auto cursor = store->NewCursor(WholeFamily(FamilyId::kPacked), KeyRange::All(), ReadTier::kMemory);
    reverse ? cursor->SeekToLast() : cursor->SeekToFirst();
    EXPECT_EQ(cursor->state(), ReadResult::kNeedsDisk);
  }
}

}  // namespace
}  // namespace holdfast::storage
