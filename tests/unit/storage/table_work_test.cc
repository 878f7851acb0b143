// Compactions and checks of all tables of a store that is open, and the pace of checks.

#include "storage/rocksdb/table_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/storage/files.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

// A pace over a clock that only sleeps move.
class PaceTest : public testing::Test {
 protected:
  Pace Make(uint64_t bytes_per_second) {
    return Pace(
        bytes_per_second, [this] { return now_; },
        [this](absl::Duration time) {
          EXPECT_LE(time, Pace::kSleepMax);
          now_ += time;
        });
  }

  const absl::Time began_ = absl::UnixEpoch();
  absl::Time now_ = began_;
};

TEST_F(PaceTest, ReadsTakeTheTimeThatTheirBytesMay) {
  Pace pace = Make(1'000);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(pace.Wait(500, [] { return true; }));
  // The first read goes at once.
  EXPECT_NEAR(absl::ToDoubleSeconds(now_ - began_), 4.5, 0.01);
}

TEST_F(PaceTest, TimeWithoutReadsIsNotMadeUpFor) {
  Pace pace = Make(1'000);
  EXPECT_TRUE(pace.Wait(500, [] { return true; }));
  now_ += absl::Hours(1);
  const absl::Time again = now_;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(pace.Wait(500, [] { return true; }));
  EXPECT_NEAR(absl::ToDoubleSeconds(now_ - again), 1.0, 0.01);
}

TEST_F(PaceTest, AStopEndsTheSleepSoon) {
  Pace pace = Make(1);
  EXPECT_TRUE(pace.Wait(1'000'000, [] { return true; }));
  int looks = 0;
  EXPECT_FALSE(pace.Wait(1, [&looks] { return ++looks < 3; }));
  EXPECT_LE(now_ - began_, 3 * Pace::kSleepMax);
}

TEST_F(PaceTest, WithoutABoundNothingWaits) {
  Pace pace = Make(0);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(pace.Wait(size_t{1} << 40, [] { return true; }));
  EXPECT_EQ(now_, began_);
}

class TableWorkTest : public testing::Test {
 protected:
  void SetUp() override { store_ = OpenOrDie(SmallOptions(dir_.path())); }

  // Writes keys that are no other's, and puts them into tables.
  void Fill(int rounds) {
    Random random(7);
    for (int round = 0; round < rounds; ++round) {
      WriteSet writes;
      for (int i = 0; i < 200; ++i) writes.Put(absl::StrCat(round, "-", i), random.Bytes(400));
      ASSERT_THAT(Commit(*store_, {{WholeFamily(FamilyId::kPacked), writes}}), IsOk());
    }
    ASSERT_THAT(store_->CompactTables([](const TableProgress&) { return true; }), IsOk());
  }
  std::vector<std::string> Tables() const {
    std::vector<std::string> tables;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      if (entry.path().extension() == ".sst") tables.push_back(entry.path());
    }
    return tables;
  }

  TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(TableWorkTest, ACheckOfAWholeStoreReadsAllOfItAndFindsNothing) {
  Fill(10);
  std::vector<DamagedTable> damaged;
  TableProgress last;
  EXPECT_THAT(store_->CheckTables(
                  0,
                  [&last](const TableProgress& progress) {
                    EXPECT_GE(progress.done, last.done);
                    last = progress;
                    return true;
                  },
                  &damaged),
              IsOk());
  EXPECT_THAT(damaged, testing::IsEmpty());
  EXPECT_EQ(last.done, last.total);
  EXPECT_EQ(last.total, store_->Stats().table_bytes);
  EXPECT_GT(last.total, 0u);
}

TEST_F(TableWorkTest, ACheckFindsEachTableWithAFlippedBitThoughItsBlocksAreInTheCache) {
  Fill(10);
  // Reads everything into the cache.
  EXPECT_EQ(Dump(*store_, FamilyId::kPacked).size(), 2'000u);
  const std::vector<std::string> tables = Tables();
  ASSERT_FALSE(tables.empty());
  for (const std::string& table : tables) FlipBit(table, ReadFile(table).size() / 3, 2);
  std::vector<DamagedTable> damaged;
  EXPECT_THAT(store_->CheckTables(
                  0, [](const TableProgress&) { return true; }, &damaged),
              IsOk());
  ASSERT_EQ(damaged.size(), tables.size());
  for (const DamagedTable& table : damaged) {
    EXPECT_EQ(table.damage.code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(table.table.find(".sst"), std::string::npos);
    EXPECT_FALSE(table.family.empty());
  }
}

TEST_F(TableWorkTest, BothEndOnceTheyAreToStop) {
  Fill(10);
  std::vector<DamagedTable> damaged;
  int calls = 0;
  EXPECT_EQ(store_
                ->CheckTables(
                    0, [&calls](const TableProgress&) { return ++calls < 2; }, &damaged)
                .code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(store_->CompactTables([](const TableProgress&) { return false; }).code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(damaged, testing::IsEmpty());
}

TEST_F(TableWorkTest, ACompactionDropsWhatWasDeleted) {
  Fill(20);
  const uint64_t before = store_->Stats().table_bytes;
  WriteSet writes;
  writes.DeleteRange(KeyRange::All());
  ASSERT_THAT(Commit(*store_, {{WholeFamily(FamilyId::kPacked), writes}}), IsOk());
  TableProgress last;
  EXPECT_THAT(store_->CompactTables([&last](const TableProgress& progress) {
    last = progress;
    return true;
  }),
              IsOk());
  EXPECT_EQ(last.done, last.total);
  EXPECT_LT(store_->Stats().table_bytes, before / 4);
}

TEST_F(TableWorkTest, TheStoreTellsItsNumbers) {
  Fill(10);
  EXPECT_EQ(Dump(*store_, FamilyId::kPacked).size(), 2'000u);
  const StoreStats stats = store_->Stats();
  EXPECT_GT(stats.block_cache_bytes, 0u);
  EXPECT_GT(stats.block_cache_bytes_max, 0u);
  EXPECT_GT(stats.block_cache_misses, 0u);
  EXPECT_GT(stats.table_bytes, 0u);
  EXPECT_GT(stats.disk_free_bytes, 0u);
}

}  // namespace
}  // namespace holdfast::storage
