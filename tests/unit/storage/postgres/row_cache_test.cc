#include "storage/postgres/row_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage::postgres {
namespace {

using testing::ElementsAre;
using testing::Pair;
using Found = std::vector<std::pair<std::string, std::string>>;

const Location kObject = {FamilyId::kPacked, std::string("\0\1object", 8)};

class RowCacheTest : public testing::Test {
 protected:
  // Returns the value, "-" for a key that is absent, or "?" where the cache does not know.
  std::string Get(absl::string_view key, const Location& location = kObject) {
    std::string value;
    switch (cache_.Get(location, key, &value)) {
      case ReadResult::kFound:
        return value;
      case ReadResult::kAbsent:
        return "-";
      default:
        return "?";
    }
  }
  void Read(const KeyRange& range, const Found& found, const Location& location = kObject) {
    cache_.Add(location, cache_.BeginRead(location), range, found);
  }
  void Begin(WriteSet* set, const Location& location = kObject) {
    const KeyspaceWrites writes = {&location, set};
    cache_.BeginCommit({&writes, 1});
  }
  void End(WriteSet* set, bool ok = true, const Location& location = kObject) {
    const KeyspaceWrites writes = {&location, set};
    cache_.EndCommit({&writes, 1}, ok);
  }

  RowCache cache_{{.bytes_max = 16 << 20, .location_bytes_max = 64 << 10}};
};

TEST_F(RowCacheTest, KnowsWhatWasReadAndWhatIsNotThere) {
  EXPECT_EQ(Get("b"), "?");
  Read({"b", "d"}, {{"b", "1"}});
  EXPECT_EQ(Get("a"), "?");
  EXPECT_EQ(Get("b"), "1");
  EXPECT_EQ(Get("c"), "-");
  EXPECT_EQ(Get("d"), "?");
  EXPECT_EQ(Get("b", {FamilyId::kPacked, "another"}), "?");
}

TEST_F(RowCacheTest, CursorNeedsTheWholeRange) {
  Read({"b", "d"}, {{"b", "1"}, {"c", "2"}});
  EXPECT_EQ(cache_.NewCursor(kObject, {"b", "e"}), nullptr);
  EXPECT_EQ(cache_.NewCursor(kObject, KeyRange::All()), nullptr);
  // Two reads in a row make one range.
  Read({"d", ""}, {{"x", "3"}});
  const auto cursor = cache_.NewCursor(kObject, {"bb", ""});
  ASSERT_NE(cursor, nullptr);
  EXPECT_THAT(Walk(*cursor, false), ElementsAre(Pair("c", "2"), Pair("x", "3")));
  EXPECT_THAT(Walk(*cursor, true), ElementsAre(Pair("x", "3"), Pair("c", "2")));
}

TEST_F(RowCacheTest, CommitChangesWhatIsKnownWhenItHasEnded) {
  Read(KeyRange::All(), {{"a", "1"}, {"b", "2"}});
  const auto before = cache_.NewCursor(kObject, KeyRange::All());
  WriteSet set = Removes({"b", "c"});
  set.Put("a", "changed");
  set.Put("new", "3");
  Begin(&set);
  EXPECT_EQ(Get("a"), "1");
  End(&set);
  EXPECT_EQ(Get("a"), "changed");
  EXPECT_EQ(Get("b"), "-");
  EXPECT_EQ(Get("new"), "3");
  EXPECT_THAT(Walk(*before, false), ElementsAre(Pair("a", "1"), Pair("b", "2")));
}

TEST_F(RowCacheTest, CommitThatMayHaveHappenedForgetsTheLocation) {
  Read(KeyRange::All(), {{"a", "1"}});
  WriteSet set = OnePut("a", "2");
  Begin(&set);
  End(&set, /*ok=*/false);
  EXPECT_EQ(Get("a"), "?");
}

TEST_F(RowCacheTest, ReadThatACommitHasOvertakenIsNotKept) {
  WriteSet set = OnePut("a", "2");
  {
    // The commit begins and ends between the question and the answer.
    const auto ticket = cache_.BeginRead(kObject);
    Begin(&set);
    End(&set);
    cache_.Add(kObject, ticket, KeyRange::All(), Found{{"a", "1"}});
    EXPECT_EQ(Get("a"), "?");
  }
  {
    // The question comes within the commit; the answer comes before its end, or after it.
    for (const bool late : {false, true}) {
      Begin(&set);
      const auto ticket = cache_.BeginRead(kObject);
      if (late) End(&set);
      cache_.Add(kObject, ticket, KeyRange::All(), Found{{"a", "1"}});
      if (!late) End(&set);
      EXPECT_EQ(Get("a"), "?");
    }
  }
  {
    const auto ticket = cache_.BeginRead(kObject);
    Begin(&set);
    cache_.Add(kObject, ticket, KeyRange::All(), Found{{"a", "1"}});
    End(&set);
    EXPECT_EQ(Get("a"), "?");
  }
}

TEST_F(RowCacheTest, FamiliesAreNotCached) {
  for (const FamilyId family : {FamilyId::kNode, FamilyId::kCatalog, FamilyId::kAlarms, FamilyId::kRequests}) {
    Read(KeyRange::All(), {{"a", "1"}}, WholeFamily(family));
    EXPECT_EQ(Get("a", WholeFamily(family)), "?");
  }
}

TEST_F(RowCacheTest, ShardThatGoesIsForgotten) {
  const Location of_shard_1 = {FamilyId::kPacked, std::string("\0\1a", 3)};
  const Location of_shard_2 = {FamilyId::kPacked, std::string("\0\2a", 3)};
  for (const Location& each : {of_shard_1, of_shard_2}) Read(KeyRange::All(), {{"k", "1"}}, each);
  const auto ticket = cache_.BeginRead(of_shard_1);
  cache_.Forget(ShardId(1));
  EXPECT_EQ(Get("k", of_shard_1), "?");
  EXPECT_EQ(Get("k", of_shard_2), "1");
  cache_.Add(of_shard_1, ticket, KeyRange::All(), Found{{"k", "1"}});
  EXPECT_EQ(Get("k", of_shard_1), "?");
}

TEST_F(RowCacheTest, BytesAreBounded) {
  const std::string value(1000, 'v');
  for (int i = 0; i < 100'000; ++i) {
    Read(KeyRange::All(), {{"k", value}}, {FamilyId::kPacked, absl::StrCat("object", i)});
    ASSERT_LE(cache_.bytes(), cache_.bytes_max());
  }
  EXPECT_GT(cache_.bytes(), cache_.bytes_max() / 2);
  EXPECT_EQ(Get("k", {FamilyId::kPacked, "object99999"}), value);
  EXPECT_EQ(Get("k", {FamilyId::kPacked, "object0"}), "?");
}

TEST_F(RowCacheTest, LargeLocationIsForgotten) {
  Read({"a", "b"}, {{"a", std::string(40 << 10, 'v')}});
  EXPECT_NE(Get("a"), "?");
  Read({"b", "c"}, {{"b", std::string(40 << 10, 'v')}});
  EXPECT_EQ(Get("a"), "?");
  EXPECT_EQ(Get("b"), "?");
  EXPECT_EQ(cache_.bytes(), 0u);
}

// Reads and commits of some objects, of which the server has a plain map each: whatever the cache says is true.
TEST(RowCache, NeverSaysWhatIsNotTrue) {
  ForEachSeed(50, [](Random& random) {
    RowCache cache({.bytes_max = 64 << 10, .location_bytes_max = 2 << 10});
    const std::vector<Location> locations = {{FamilyId::kPacked, "a"}, {FamilyId::kPacked, "b"}};
    std::map<std::string, Entries> server;
    for (int step = 0; step < 400; ++step) {
      const Location& location = random.Pick(locations);
      Entries& entries = server[location.prefix];
      const KeyRange range = random.OneIn(4) ? KeyRange::All() : RandomRange(random);
      // A read that another thread's commit may overtake.
      const auto ticket = cache.BeginRead(location);
      Found found;
      for (const auto& entry : entries) {
        if (range.Contains(entry.first)) found.push_back(entry);
      }
      if (random.OneIn(2)) {
        WriteSet set = RandomWrites(random, 6);
        const KeyspaceWrites writes = {&location, &set};
        cache.BeginCommit({&writes, 1});
        if (random.OneIn(3)) cache.Add(location, ticket, range, found);
        if (random.OneIn(10)) {
          // Nobody knows whether it has happened.
          if (random.OneIn(2)) Apply(set, "", &entries);
          cache.EndCommit({&writes, 1}, false);
        } else {
          Apply(set, "", &entries);
          cache.EndCommit({&writes, 1}, true);
        }
      }
      if (!range.IsEmpty()) cache.Add(location, ticket, range, found);
      for (const Location& each : locations) {
        const Entries& truth = server[each.prefix];
        for (const std::string& key : AllKeys()) {
          std::string value;
          const ReadResult said = cache.Get(each, key, &value);
          if (said == ReadResult::kNeedsDisk) continue;
          const auto it = truth.find(key);
          ASSERT_EQ(said, it == truth.end() ? ReadResult::kAbsent : ReadResult::kFound) << step;
          if (it != truth.end()) ASSERT_EQ(value, it->second);
        }
        const KeyRange walked = RandomRange(random);
        if (const auto cursor = cache.NewCursor(each, walked)) {
          Found expected;
          for (const auto& entry : truth) {
            if (walked.Contains(entry.first)) expected.push_back(entry);
          }
          ASSERT_EQ(Walk(*cursor, false), expected);
        }
      }
    }
    EXPECT_GT(cache.hits(), 100u);
  });
}

}  // namespace
}  // namespace holdfast::storage::postgres
