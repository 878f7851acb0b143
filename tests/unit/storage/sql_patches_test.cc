// Applies the writes of SQL turns to RocksDB turn by turn, patches included, through flushes, compactions and restarts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/raw_rocksdb.h"
#include "tests/unit/storage/sql_harness.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage::sql {
namespace {

// Returns the changes of the object's keys by the statement; the turn has ended.
WriteSet WritesOf(SqlObject& object, const std::string& sql, std::vector<Value> params = {}) {
  EXPECT_THAT(object.connection()->Begin(Where::kWorker), IsOk());
  EXPECT_THAT(object.connection()->Execute(sql, params), IsOk()) << sql;
  EXPECT_THAT(object.connection()->Commit(), IsOk());
  object.JoinTurn();
  WriteSet writes = object.object().storage().writes();
  object.EndTurn();
  return writes;
}

void Compact(const std::string& dir) {
  RawFlush(dir);
  RawRocksDb db(dir);
  rocksdb::CompactRangeOptions all;
  all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  for (const auto& [name, handle] : db.families()) {
    ASSERT_TRUE(db->CompactRange(all, handle, nullptr, nullptr).ok());
  }
}

TEST(SqlPatches, RocksDbHasWhatTheObjectHas) {
  ForEachSeed(3, [](Random& random) {
    TempDir dir;
    RocksDbOptions options = SmallOptions(dir.path());
    options.memtable_bytes = 128 << 10;
    options.sync = false;
    std::unique_ptr<Store> store = OpenOrDie(options);
    Location at{FamilyId::kPacked, "object/"};
    const bool own = random.OneIn(2);
    if (own) at = {*store->CreateFamily("own"), ""};

    SqlObject object;
    ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)"), IsOk());
    ASSERT_THAT(object.Do("CREATE INDEX i ON t (w)"), IsOk());
    WriteSet first;
    for (const auto& [key, value] : object.object().All()) first.Put(key, value);
    ASSERT_THAT(Commit(*store, {{at, first}}), IsOk());
    size_t patches = 0;
    for (int turn = 0; turn < 300; ++turn) {
      const auto id = static_cast<int64_t>(random.Below(60));
      const auto w = static_cast<int64_t>(random.Below(1000));
      WriteSet writes;
      switch (random.Below(8)) {
        case 0:
          writes = WritesOf(object, "DELETE FROM t WHERE id = ?", {id});
          break;
        case 1:
        case 2:
          writes = WritesOf(object, "INSERT OR REPLACE INTO t VALUES (?, zeroblob(?), 1)", {id, 3 * w});
          break;
        case 3:
          writes = WritesOf(object, random.OneIn(4) ? "DELETE FROM t" : "DELETE FROM t WHERE id % 2");
          break;
        default:
          writes = WritesOf(object, "UPDATE t SET w = ? WHERE id = ?", {w, id});
      }
      patches += writes.patches().size();
      ASSERT_THAT(Commit(*store, {{at, writes}}), IsOk());
      if (random.OneIn(10)) object.Settle();
      if (!random.OneIn(30)) continue;
      store = nullptr;
      if (random.OneIn(2)) random.OneIn(2) ? RawFlush(dir.path()) : Compact(dir.path());
      store = OpenOrDie(options);
      if (own) at.family = store->ListOwnFamilies().at(0).id;
      Entries expected;
      for (const auto& [key, value] : object.object().All()) expected[at.prefix + key] = value;
      ASSERT_TRUE(Dump(*store, at.family) == expected);
    }
    EXPECT_GT(patches, 200u);
  });
}

uint64_t LogBytes(const std::string& dir) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() == ".log") bytes += entry.file_size();
  }
  return bytes;
}

TEST(SqlPatches, AnUpdateOfOneRowIsFewBytesOfLog) {
  constexpr int kUpdates = 1000;
  TempDir dir;
  auto store = OpenOrDie(SmallOptions(dir.path()));
  const Location at{FamilyId::kPacked, "object/"};
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER)"), IsOk());
  for (int64_t id = 0; id < 1000; ++id) {
    ASSERT_THAT(object.Do("INSERT INTO t VALUES (?, ?, 1000)", {id, absl::StrCat("name of row ", id)}), IsOk());
  }
  WriteSet first;
  for (const auto& [key, value] : object.object().All()) first.Put(key, value);
  ASSERT_THAT(Commit(*store, {{at, first}}), IsOk());
  const uint64_t before = LogBytes(dir.path());
  for (int64_t i = 0; i < kUpdates; ++i) {
    const WriteSet writes = WritesOf(object, "UPDATE t SET n = n + 1 WHERE id = ?", {i * 7 % 1000});
    ASSERT_EQ(writes.points().size(), 1u) << "other pages are written too";
    ASSERT_THAT(Commit(*store, {{at, writes}}), IsOk());
  }
  const uint64_t bytes = (LogBytes(dir.path()) - before) / kUpdates;
  RecordProperty("log_bytes_per_update", static_cast<int>(bytes));
  // One in kPagePatchesMax + 1 writes of a page has the page in full.
  EXPECT_LT(bytes, 4096u / 10);
}

}  // namespace
}  // namespace holdfast::storage::sql
