#include "storage/object/object_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/store/memory_store.h"
#include "storage/store/stuck_cursor.h"
#include "tests/unit/storage/object_harness.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/status_matchers.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

class ObjectStorageTest : public testing::Test {
 protected:
  MemoryStore store_;
  ObjectHarness object_{&store_};
  ObjectStorage& storage_ = object_.storage();
};

TEST_F(ObjectStorageTest, WritesWaitForTheEndOfTheTurn) {
  EXPECT_FALSE(storage_.wrote());
  ASSERT_THAT(storage_.Put("a", "1"), IsOk());
  EXPECT_TRUE(storage_.wrote());
  EXPECT_TRUE(object_.pipeline().idle());
  object_.EndTurn();
  EXPECT_FALSE(storage_.wrote());
  EXPECT_FALSE(object_.pipeline().idle());
}

TEST_F(ObjectStorageTest, DroppedTurnLeavesNothing) {
  ASSERT_THAT(storage_.Put("a", "1"), IsOk());
  object_.Settle();
  const absl::Time stored = absl::FromUnixSeconds(100);
  storage_.set_stored_alarm(stored);

  ASSERT_THAT(storage_.Put("a", "2"), IsOk());
  ASSERT_THAT(storage_.Put("b", "2"), IsOk());
  ASSERT_THAT(object_.Await(storage_.DeleteAll(false)), IsOkAnd(true));
  storage_.SetAlarm(absl::FromUnixSeconds(200));
  storage_.DropTurn();
  EXPECT_FALSE(storage_.wrote());
  EXPECT_FALSE(storage_.deleted_all());
  EXPECT_THAT(storage_.alarm(), Optional(stored));
  EXPECT_THAT(object_.Await(storage_.Get("a")), IsOkAnd(Optional(std::string("1"))));
  EXPECT_THAT(object_.Await(storage_.Get("b")), IsOkAnd(Eq(std::nullopt)));
}

TEST_F(ObjectStorageTest, ReadThatMovedFollowsTheKeyspace) {
  ASSERT_THAT(storage_.Put("a", "packed"), IsOk());
  object_.Settle();
  Keyspace own({*store_.CreateFamily("own"), ""});
  WriteSet moved;
  moved.Put(
      "\x10"
      "a",
      "own");
  ASSERT_THAT(Commit(store_, {{own.location(), moved}}), IsOk());
  storage_.set_keyspace(&own);
  EXPECT_THAT(object_.Await(storage_.Get("a")), IsOkAnd(Optional(std::string("own"))));
}

TEST_F(ObjectStorageTest, AlarmIsWhatTheTurnSays) {
  const absl::Time one = absl::FromUnixSeconds(1);
  const absl::Time two = absl::FromUnixSeconds(2);
  EXPECT_EQ(storage_.alarm(), std::nullopt);
  EXPECT_FALSE(storage_.alarm_change().has_value());
  storage_.SetAlarm(one);
  EXPECT_THAT(storage_.alarm(), Optional(one));
  EXPECT_TRUE(storage_.wrote());
  storage_.SetAlarm(two);
  EXPECT_THAT(storage_.alarm(), Optional(two));
  EXPECT_THAT(storage_.alarm_change()->time, Optional(two));
  storage_.DeleteAlarm();
  EXPECT_EQ(storage_.alarm(), std::nullopt);
  ASSERT_TRUE(storage_.alarm_change().has_value());
  EXPECT_EQ(storage_.alarm_change()->time, std::nullopt);
}

TEST_F(ObjectStorageTest, StoredAlarmCountsUntilTheTurnChangesIt) {
  const absl::Time stored = absl::FromUnixSeconds(1);
  storage_.set_stored_alarm(stored);
  EXPECT_THAT(storage_.alarm(), Optional(stored));
  EXPECT_FALSE(storage_.wrote());
  storage_.DeleteAlarm();
  EXPECT_EQ(storage_.alarm(), std::nullopt);
  EXPECT_TRUE(storage_.wrote());
  storage_.DropTurn();
  EXPECT_THAT(storage_.alarm(), Optional(stored));
}

TEST_F(ObjectStorageTest, AlarmIsAbsentInItsHandlerUntilSet) {
  const absl::Time time = absl::FromUnixSeconds(1);
  storage_.set_stored_alarm(std::nullopt);
  EXPECT_EQ(storage_.alarm(), std::nullopt);
  storage_.SetAlarm(time);  // setting the same time again counts as a change
  EXPECT_THAT(storage_.alarm(), Optional(time));
  EXPECT_TRUE(storage_.alarm_change().has_value());
}

TEST_F(ObjectStorageTest, DeleteAllDeletesTheAlarm) {
  storage_.set_stored_alarm(absl::FromUnixSeconds(1));
  EXPECT_THAT(object_.Await(storage_.DeleteAll(false)), IsOkAnd(false));
  EXPECT_EQ(storage_.alarm(), std::nullopt);
  ASSERT_TRUE(storage_.alarm_change().has_value());
  storage_.SetAlarm(absl::FromUnixSeconds(2));
  EXPECT_THAT(storage_.alarm(), Optional(absl::FromUnixSeconds(2)));
}

TEST_F(ObjectStorageTest, DeleteAllKeepsTheAlarmIfAsked) {
  storage_.set_stored_alarm(absl::FromUnixSeconds(1));
  EXPECT_THAT(object_.Await(storage_.DeleteAll(true)), IsOkAnd(false));
  EXPECT_THAT(storage_.alarm(), Optional(absl::FromUnixSeconds(1)));
  EXPECT_FALSE(storage_.alarm_change().has_value());
  storage_.SetAlarm(absl::FromUnixSeconds(2));
  EXPECT_THAT(object_.Await(storage_.DeleteAll(true)), IsOkAnd(false));
  EXPECT_THAT(storage_.alarm(), Optional(absl::FromUnixSeconds(2)));
}

TEST_F(ObjectStorageTest, WarmReadsAreDoneAtOnce) {
  ASSERT_THAT(storage_.Put("a", "1"), IsOk());
  object_.Settle();
  EXPECT_THAT(object_.Await(storage_.Get("a")), IsOkAnd(Optional(std::string("1"))));
  EXPECT_THAT(object_.Await(storage_.List({})), IsOkAnd(testing::SizeIs(1)));
  EXPECT_EQ(object_.disk_reads(), 0);
  store_.set_cold(true);
  EXPECT_THAT(object_.Await(storage_.Get("a")), IsOkAnd(Optional(std::string("1"))));
  EXPECT_EQ(object_.disk_reads(), 1);
}

TEST_F(ObjectStorageTest, RefusedReadsNeedNoDisk) {
  store_.set_cold(true);
  EXPECT_TRUE(storage_.Get("").await_ready());
  EXPECT_TRUE(storage_.List({.limit = 0}).await_ready());
}

TEST_F(ObjectStorageTest, DeleteWritesOnlyOnceItIsResumed) {
  ASSERT_THAT(storage_.Put("a", "1"), IsOk());
  object_.Settle();
  store_.set_cold(true);
  const std::vector<std::string> keys = {"a"};
  StorageOp<int64_t> read = storage_.Delete(keys);
  ASSERT_FALSE(read.await_ready());
  read.await_suspend(std::noop_coroutine());
  object_.reads().RunAll();
  EXPECT_FALSE(storage_.wrote());
  EXPECT_THAT(read.await_resume(), IsOkAnd(1));
  EXPECT_TRUE(storage_.wrote());
}

TEST_F(ObjectStorageTest, BatchMayBecomeDurableDuringADiskRead) {
  ASSERT_THAT(storage_.Put("a", "1"), IsOk());
  object_.Settle();
  store_.set_cold(true);
  ASSERT_THAT(storage_.Put("b", "2"), IsOk());
  object_.EndTurn();
  object_.pipeline().Submit();
  ASSERT_THAT(storage_.Put("c", "3"), IsOk());
  StorageOp<std::vector<Entry>> read = storage_.List({});
  ASSERT_FALSE(read.await_ready());
  read.await_suspend(std::noop_coroutine());
  object_.commits().RunAll();
  object_.reads().RunAll();
  EXPECT_THAT(read.await_resume(), IsOkAnd(ElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("c", "3"))));
}

// The object is reset with a read under way. The sanitizers find uses of it after its destruction.
TEST_F(ObjectStorageTest, DroppedReadIsForgotten) {
  for (int i = 0; i < 10; ++i) ASSERT_THAT(storage_.Put(absl::StrCat(i), "value"), IsOk());
  object_.Settle();
  ASSERT_THAT(storage_.Put("pending", "value"), IsOk());
  object_.EndTurn();
  ASSERT_THAT(storage_.Put("of the turn", "value"), IsOk());
  store_.set_cold(true);
  for (const bool worked : {false, true}) {
    const std::vector<std::string> keys = {"1", "pending"};
    auto get = std::make_unique<StorageOp<std::optional<std::string>>>(storage_.Get("1"));
    auto list = std::make_unique<StorageOp<std::vector<Entry>>>(storage_.List({}));
    auto remove = std::make_unique<StorageOp<int64_t>>(storage_.Delete(keys));
    auto remove_all = std::make_unique<StorageOp<bool>>(storage_.DeleteAll(false));
    const auto start = [](auto& read) {
      ASSERT_FALSE(read->await_ready());
      read->await_suspend(std::noop_coroutine());
    };
    start(get);
    start(list);
    start(remove);
    start(remove_all);
    if (worked) object_.reads().RunWork();
    get.reset();
    list.reset();
    remove.reset();
    remove_all.reset();
    if (worked) object_.DestroyStorage();
    object_.reads().RunAll();
    EXPECT_EQ(object_.resumed(), 0);
  }
}

// Answers every read of the store with DATA_LOSS.
class DamagedStore : public MemoryStore {
 public:
  ReadResult Get(const Location&, absl::string_view, ReadTier, std::string*, absl::Status* error) override {
    *error = absl::DataLossError("checksum mismatch");
    return ReadResult::kError;
  }
  std::unique_ptr<Cursor> NewCursor(const Location&, KeyRange, ReadTier) override {
    return std::make_unique<StuckCursor>(ReadResult::kError, absl::DataLossError("checksum mismatch"));
  }
};

TEST(DamagedObjectStorage, ReadsFailAndWriteNothing) {
  DamagedStore store;
  ObjectHarness object(&store);
  ObjectStorage& storage = object.storage();
  const auto data_loss = IsStatus(absl::StatusCode::kDataLoss, "checksum mismatch");
  const std::vector<std::string> keys = {"a", "b"};
  EXPECT_THAT(object.Await(storage.Get("a")), data_loss);
  EXPECT_THAT(object.Await(storage.GetMany(keys)), data_loss);
  EXPECT_THAT(object.Await(storage.List({})), data_loss);
  EXPECT_THAT(object.Await(storage.Delete(keys)), data_loss);
  EXPECT_THAT(object.Await(storage.DeleteAll(false)), data_loss);
  EXPECT_FALSE(storage.wrote());
}

// Compares random turns, ended or dropped, with a plain map.
TEST(RandomObjectStorage, IsAPlainMap) {
  ForEachSeed(100, [](Random& random) {
    MemoryStore store;
    ObjectHarness object(&store);
    ObjectStorage& storage = object.storage();
    Entries committed;
    Entries model;
    const auto random_key = [&] { return "k" + random.Text(2, absl::string_view("\x00\x61\xff", 3)); };
    const auto random_keys = [&] {
      std::vector<std::string> keys(random.Below(4));
      for (std::string& key : keys) key = random_key();
      return keys;
    };
    for (int step = 0; step < 200; ++step) {
      store.set_cold(random.OneIn(3));
      switch (random.Below(12)) {
        case 0:
          object.EndTurn();
          committed = model;
          break;
        case 1:
          object.pipeline().Submit();
          break;
        case 2:
          object.commits().RunOne();
          break;
        case 3:
          storage.DropTurn();
          model = committed;
          break;
        case 4:
          ASSERT_THAT(object.Await(storage.DeleteAll(true)), IsOkAnd(!model.empty()));
          model.clear();
          break;
        case 5: {
          const std::vector<std::string> keys = random_keys();
          int64_t existed = 0;
          for (const std::string& key : keys) existed += static_cast<int64_t>(model.erase(key));
          ASSERT_THAT(object.Await(storage.Delete(keys)), IsOkAnd(existed));
          break;
        }
        case 6: {
          const std::vector<std::string> keys = random_keys();
          Entries expected;
          for (const std::string& key : keys) {
            if (auto it = model.find(key); it != model.end()) expected.insert(*it);
          }
          ASSERT_THAT(object.Await(storage.GetMany(keys)), IsOkAnd(expected));
          break;
        }
        case 7: {
          ListOptions options;
          if (random.OneIn(3)) options.start = random_key();
          if (!options.start && random.OneIn(3)) options.start_after = random_key();
          if (random.OneIn(3)) options.end = random_key();
          if (random.OneIn(3)) options.prefix = random_key();
          if (random.OneIn(3)) options.limit = 1 + static_cast<int64_t>(random.Below(4));
          options.reverse = random.OneIn(2);
          std::vector<Entry> expected;
          for (const auto& entry : model) {
            const std::string& key = entry.first;
            if (options.start && key < *options.start) continue;
            if (options.start_after && key <= *options.start_after) continue;
            if (options.end && key >= *options.end) continue;
            if (!absl::StartsWith(key, options.prefix)) continue;
            expected.push_back(entry);
          }
          if (options.reverse) std::reverse(expected.begin(), expected.end());
          if (options.limit && expected.size() > static_cast<size_t>(*options.limit)) expected.resize(*options.limit);
          ASSERT_THAT(object.Await(storage.List(options)), IsOkAnd(expected));
          break;
        }
        default: {
          const std::string key = random_key();
          model[key] = random.Bytes(5);
          ASSERT_THAT(storage.Put(key, model[key]), IsOk());
        }
      }
      auto all = object.Await(storage.List({}));
      ASSERT_THAT(all, IsOkAnd(testing::ElementsAreArray(model))) << "step " << step;
    }
    object.Settle();
    ASSERT_EQ(Dump(store, FamilyId::kPacked).size(), model.size());
  });
}

}  // namespace
}  // namespace holdfast::storage
