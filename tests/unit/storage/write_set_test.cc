#include "storage/store/write_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/store/patch.h"
#include "tests/unit/storage/random.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::FieldsAre;
using testing::IsEmpty;
using testing::Pair;

// A plain model of a write set, with a state for every possible key; each operation visits all keys.
class Model {
 public:
  struct Says {
    bool touched = false;
    std::optional<std::string> value;
    bool operator==(const Says&) const = default;
  };

  Model() {
    for (const std::string& key : AllKeys()) says_[key];
  }
  void Put(const std::string& key, const std::string& value) { says_[key] = {true, value}; }
  void Delete(const std::string& key) { says_[key] = {true, std::nullopt}; }
  void DeleteRange(const KeyRange& range) {
    for (auto& [key, says] : says_) {
      if (range.Contains(key)) says = {true, std::nullopt};
    }
  }
  void Apply(const Model& newer, const KeyRange& within) {
    for (const auto& [key, says] : newer.says_) {
      if (says.touched && within.Contains(key)) says_[key] = says;
    }
  }
  const std::map<std::string, Says>& says() const { return says_; }

 private:
  std::map<std::string, Says> says_;
};

struct Both {
  WriteSet set;
  Model model;
  // The values below the set, for which its patches must be right. A key that is not in this map is never patched.
  std::map<std::string, std::string> below;
};

// All values have one length, so that patches are possible.
constexpr size_t kValueBytes = 64;
std::string RandomValue(Random& random) {
  std::string value(kValueBytes, 'v');
  value[random.Below(kValueBytes)] = static_cast<char>(random.Bits());
  return value;
}
std::map<std::string, std::string> RandomBelow(Random& random) {
  std::map<std::string, std::string> below;
  for (const std::string& key : AllKeys()) {
    if (random.OneIn(2)) below[key] = RandomValue(random);
  }
  return below;
}
// Returns the entries of `below` with the set on top.
std::map<std::string, std::string> Seen(const Both& both) {
  std::map<std::string, std::string> seen = both.below;
  for (const auto& [key, says] : both.model.says()) {
    if (!says.touched) continue;
    if (says.value) {
      seen[key] = *says.value;
    } else {
      seen.erase(key);
    }
  }
  return seen;
}

// Changes some bytes of an existing value.
void RandomChange(Random& random, Both* both) {
  const std::map<std::string, std::string> seen = Seen(*both);
  const std::string& key = RandomKey(random);
  const auto old = seen.find(key);
  if (old == seen.end()) return;
  std::string value = old->second;
  for (int i = 0; i < 3 && !value.empty(); ++i) value[random.Below(value.size())] = static_cast<char>(random.Bits());
  auto patch = MakePatch(old->second, value);
  if (!patch) return;
  both->model.Put(key, value);
  both->set.PutChanged(key, std::move(value), *std::move(patch));
}

void RandomStep(Random& random, Both* both) {
  switch (random.Below(12)) {
    case 0:
    case 1: {
      const KeyRange range = RandomRange(random);
      both->set.DeleteRange(range);
      both->model.DeleteRange(range);
      break;
    }
    case 2:
    case 3: {
      const std::string& key = RandomKey(random);
      both->set.Delete(key);
      both->model.Delete(key);
      break;
    }
    case 4:
    case 5:
    case 6:
    case 7:
      RandomChange(random, both);
      break;
    default: {
      const std::string& key = RandomKey(random);
      const std::string value = random.OneIn(2) ? random.Bytes(20) : RandomValue(random);
      both->set.Put(key, value);
      both->model.Put(key, value);
    }
  }
}

Both RandomSet(Random& random, size_t steps_max, std::map<std::string, std::string> below = {}) {
  Both both;
  both.below = std::move(below);
  for (uint64_t n = random.Below(steps_max + 1); n > 0; --n) RandomStep(random, &both);
  return both;
}

size_t Recount(const WriteSet& set) {
  WriteSet one_point;
  one_point.Delete("");
  WriteSet one_range;
  one_range.DeleteRange(KeyRange::All());
  size_t bytes = 0;
  for (const auto& [key, value] : set.points()) bytes += one_point.bytes() + key.size() + (value ? value->size() : 0);
  for (const auto& [key, patch] : set.patches()) bytes += one_point.bytes() + key.size() + patch.size();
  for (const KeyRange& range : set.removed()) bytes += one_range.bytes() + range.start.size() + range.end.size();
  return bytes;
}

void CheckInvariants(const WriteSet& set) {
  const std::vector<KeyRange>& removed = set.removed();
  for (size_t i = 0; i < removed.size(); ++i) {
    ASSERT_FALSE(removed[i].IsEmpty());
    if (i == 0) continue;
    ASSERT_FALSE(removed[i - 1].end.empty()) << "a range follows one without an end";
    ASSERT_LE(removed[i - 1].end, removed[i].start);
  }
  ASSERT_EQ(set.bytes(), Recount(set));
  ASSERT_EQ(set.empty(), set.points().empty() && set.removed().empty());
}

void CheckSame(const WriteSet& set, const Model& model) {
  for (const auto& [key, says] : model.says()) {
    const std::string* value = nullptr;
    const WriteSet::Verdict verdict = set.Find(key, &value);
    ASSERT_EQ(verdict != WriteSet::Verdict::kUnknown, says.touched) << testing::PrintToString(key);
    ASSERT_EQ(verdict == WriteSet::Verdict::kPresent, says.value.has_value()) << testing::PrintToString(key);
    if (says.value) ASSERT_EQ(*value, *says.value) << testing::PrintToString(key);
  }
  ASSERT_EQ(set.has_values(), std::any_of(model.says().begin(), model.says().end(),
                                          [](const auto& entry) { return entry.second.value.has_value(); }));
}

void CheckPatches(const Both& both) {
  for (const auto& [key, patch] : both.set.patches()) {
    const std::string* value = nullptr;
    ASSERT_EQ(both.set.Find(key, &value), WriteSet::Verdict::kPresent) << testing::PrintToString(key);
    ASSERT_FALSE(both.set.FindRemoved(key)) << testing::PrintToString(key);
    ASSERT_TRUE(both.below.contains(key)) << testing::PrintToString(key);
    // The patch is applied once and twice.
    std::string patched = both.below.at(key);
    for (int times = 0; times < 2; ++times) {
      ASSERT_TRUE(ApplyPatch(patch, &patched)) << testing::PrintToString(key);
      ASSERT_EQ(patched, *value) << testing::PrintToString(key);
    }
  }
}

void Check(const Both& both) {
  ASSERT_NO_FATAL_FAILURE(CheckInvariants(both.set));
  ASSERT_NO_FATAL_FAILURE(CheckPatches(both));
  ASSERT_NO_FATAL_FAILURE(CheckSame(both.set, both.model));
}

TEST(WriteSet, SaysWhatTheOperationsSaid) {
  ForEachSeed(50, [](Random& random) {
    Both both = RandomSet(random, 0, RandomBelow(random));
    for (int step = 0; step < 60; ++step) {
      RandomStep(random, &both);
      ASSERT_NO_FATAL_FAILURE(Check(both));
    }
  });
}

TEST(WriteSet, MergeIsTheNewerOnTop) {
  ForEachSeed(300, [](Random& random) {
    Both older = RandomSet(random, random.OneIn(4) ? 0 : 30, RandomBelow(random));
    Both newer = RandomSet(random, 30, Seen(older));
    older.set.Merge(std::move(newer.set));
    older.model.Apply(newer.model, KeyRange::All());
    ASSERT_NO_FATAL_FAILURE(Check(older));
    // The joined set works like any other.
    RandomStep(random, &older);
    ASSERT_NO_FATAL_FAILURE(Check(older));
  });
}

TEST(WriteSet, CopyOfARangeSaysNothingOfOtherKeys) {
  ForEachSeed(500, [](Random& random) {
    Both older = RandomSet(random, 20, RandomBelow(random));
    const Both newer = RandomSet(random, 30, Seen(older));
    KeyRange range = random.OneIn(5) ? KeyRange::All() : RandomRange(random);
    if (range.IsEmpty()) range = KeyRange::Single(range.start);
    newer.set.CopyRangeOnto(range, &older.set);
    older.model.Apply(newer.model, range);
    ASSERT_NO_FATAL_FAILURE(Check(older));
  });
}

TEST(WriteSet, CopyOfAnEmptyRangeIsNothing) {
  WriteSet set;
  for (const char* key : {"a", "b", "c", "d"}) set.Put(key, "value");
  for (const KeyRange& range : {KeyRange{"c", "c"}, KeyRange{"c", "b"}, KeyRange{"z", "a"}}) {
    WriteSet copy;
    set.CopyRangeOnto(range, &copy);
    EXPECT_TRUE(copy.empty()) << range.start << " to " << range.end;
  }
}

TEST(WriteSet, ApplyingItTwiceChangesNothing) {
  ForEachSeed(100, [](Random& random) {
    Both base = RandomSet(random, 30, RandomBelow(random));
    const Both once = RandomSet(random, 30, Seen(base));
    for (int times = 0; times < 2; ++times) {
      WriteSet copy = once.set;
      base.set.Merge(std::move(copy));
      base.model.Apply(once.model, KeyRange::All());
      ASSERT_NO_FATAL_FAILURE(Check(base));
      if (times == 1) break;
      base.model.Apply(once.model, KeyRange::All());
    }
  });
}

// The test can tell this value from the result of the patch.
void Change(WriteSet* set, const std::string& key) { set->PutChanged(key, "changed", "\x01\x01x"); }

TEST(WriteSet, ChangeOfWhatIsBelowKeepsItsPatch) {
  WriteSet set;
  Change(&set, "key");
  EXPECT_THAT(set.points(), ElementsAre(Pair("key", "changed")));
  EXPECT_THAT(set.patches(), ElementsAre(Pair("key", "\x01\x01x")));
  const size_t bytes = set.bytes();
  set.DropPatches();
  EXPECT_THAT(set.points(), ElementsAre(Pair("key", "changed")));
  EXPECT_THAT(set.patches(), IsEmpty());
  EXPECT_LT(set.bytes(), bytes);
}

TEST(WriteSet, ChangeOfWhatTheSetPutOrRemovedIsInFull) {
  WriteSet set;
  set.Put("put", "old");
  set.Delete("deleted");
  set.DeleteRange({"range", "range2"});
  for (const char* key : {"put", "deleted", "range"}) Change(&set, key);
  EXPECT_EQ(set.points().size(), 3u);
  EXPECT_THAT(set.patches(), IsEmpty());
}

TEST(WriteSet, WhatIsWrittenOverAChangeDropsItsPatch) {
  WriteSet set;
  for (const char* key : {"a", "b", "c", "d"}) Change(&set, key);
  set.Put("a", "full");
  set.Delete("b");
  set.DeleteRange({"c", "d"});
  EXPECT_THAT(set.patches(), ElementsAre(Pair("d", "\x01\x01x")));
  set.Clear();
  EXPECT_EQ(set.bytes(), 0u);
  EXPECT_THAT(set.patches(), IsEmpty());
}

TEST(WriteSet, CopyOfARangeIsInFull) {
  WriteSet set;
  Change(&set, "key");
  WriteSet copy;
  set.CopyRangeOnto(KeyRange::All(), &copy);
  EXPECT_THAT(copy.points(), ElementsAre(Pair("key", "changed")));
  EXPECT_THAT(copy.patches(), IsEmpty());
}

TEST(WriteSet, RemovedRangeDropsThePointsInIt) {
  WriteSet set;
  for (const char* key : {"a", "b", "c", "d"}) set.Put(key, key);
  set.DeleteRange({"b", "d"});
  EXPECT_THAT(set.points(), ElementsAre(Pair("a", "a"), Pair("d", "d")));
  EXPECT_TRUE(set.FindRemoved("b"));
  EXPECT_TRUE(set.FindRemoved("c\xff"));
  EXPECT_FALSE(set.FindRemoved("d"));
}

TEST(WriteSet, PointInARemovedRangeIsSeen) {
  WriteSet set;
  set.DeleteRange(KeyRange::All());
  set.Put("a", "1");
  const std::string* value = nullptr;
  EXPECT_EQ(set.Find("a", &value), WriteSet::Verdict::kPresent);
  EXPECT_EQ(*value, "1");
  EXPECT_TRUE(set.FindRemoved("a"));
  EXPECT_EQ(set.Find("b", &value), WriteSet::Verdict::kRemoved);
}

TEST(WriteSet, RangesThatMeetBecomeOne) {
  WriteSet set;
  set.DeleteRange({"b", "c"});
  set.DeleteRange({"f", "g"});
  set.DeleteRange({"d", "e"});
  EXPECT_THAT(set.removed(), ElementsAre(FieldsAre("b", "c"), FieldsAre("d", "e"), FieldsAre("f", "g")));
  set.DeleteRange({"c", "d"});
  EXPECT_THAT(set.removed(), ElementsAre(FieldsAre("b", "e"), FieldsAre("f", "g")));
  set.DeleteRange({"a", ""});
  EXPECT_THAT(set.removed(), ElementsAre(FieldsAre("a", "")));
  set.DeleteRange({"c", "d"});
  EXPECT_THAT(set.removed(), ElementsAre(FieldsAre("a", "")));
}

TEST(WriteSet, EmptyRangeRemovesNothing) {
  WriteSet set;
  set.Put("b", "1");
  set.DeleteRange({"b", "b"});
  set.DeleteRange({"c", "a"});
  EXPECT_EQ(set.points().size(), 1u);
  EXPECT_THAT(set.removed(), IsEmpty());
}

TEST(WriteSet, BytesCountKeysAndLastValues) {
  WriteSet set;
  set.Put("key", std::string(1000, 'x'));
  const size_t with_long_value = set.bytes();
  EXPECT_GE(with_long_value, 1003u);
  set.Put("key", "x");
  EXPECT_EQ(set.bytes(), with_long_value - 999);
  set.Delete("key");
  EXPECT_EQ(set.bytes(), with_long_value - 1000);
  set.Clear();
  EXPECT_EQ(set.bytes(), 0u);
  EXPECT_TRUE(set.empty());
}

TEST(WriteSet, TinyWritesCountToo) {
  WriteSet set;
  for (int i = 0; i < 100; ++i) set.DeleteRange(KeyRange::Single(std::string(1, static_cast<char>(2 * i))));
  EXPECT_GT(set.bytes(), 100u * 10);
}

}  // namespace
}  // namespace holdfast::storage
