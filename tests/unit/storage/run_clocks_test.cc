#include "storage/node/run_clocks.h"

#include <gtest/gtest.h>

#include "storage/store/memory_store.h"
#include "tests/unit/storage/status_matchers.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

void Put(MemoryStore* store, RunNumber run, int64_t clock_us) {
  WriteSet writes;
  writes.Put(RunClockKey(run), RunClockValue(clock_us));
  ASSERT_THAT(Commit(*store, {{{FamilyId::kNode, ""}, writes}}), IsOk());
}

TEST(RunClocksTest, NumbersAreThoseThatNoRunWithARecordHas) {
  MemoryStore store;
  RunClocks first(&store);
  ASSERT_THAT(first.Recover(), IsOk());
  EXPECT_EQ(first.Begin(), 1u);
  EXPECT_EQ(first.Begin(), 2u);
  EXPECT_EQ(first.Of(1), 0);
  Put(&store, 2, 77);

  RunClocks second(&store);
  ASSERT_THAT(second.Recover(), IsOk());
  EXPECT_EQ(second.Begin(), 3u);
  EXPECT_EQ(second.Of(2), 77);
  EXPECT_EQ(second.Of(3), 0);
}

TEST(RunClocksTest, OfTheOldestTheLatestReadingStays) {
  MemoryStore store;
  Put(&store, 5, 900);
  Put(&store, 6, 100);
  for (RunNumber run = 7; run <= 1005; ++run) Put(&store, run, run);
  for (int start = 0; start < 2; ++start) {
    RunClocks clocks(&store);
    ASSERT_THAT(clocks.Recover(), IsOk());
    EXPECT_EQ(clocks.Of(5), 900);
    EXPECT_EQ(clocks.Of(6), 900) << "which is later than it was, but not earlier";
    EXPECT_EQ(clocks.Of(7), 7);
    EXPECT_EQ(clocks.Of(1005), 1005);
    EXPECT_EQ(clocks.Begin(), 1006u);
  }
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(5)), std::nullopt);
}

TEST(RunClocksTest, AGarbledRecordIsThatOfARunWithTheLatestReading) {
  MemoryStore store;
  WriteSet writes;
  writes.Put(RunClockKey(1), RunClockValue(100));
  writes.Put(RunClockKey(2), "short");
  writes.Put(RunClockKey(3), RunClockValue(300));
  ASSERT_THAT(Commit(store, {{{FamilyId::kNode, ""}, writes}}), IsOk());
  RunClocks clocks(&store);
  ASSERT_THAT(clocks.Recover(), IsOk());
  EXPECT_EQ(clocks.Of(1), 100);
  EXPECT_EQ(clocks.Of(2), 300);
  EXPECT_EQ(clocks.Of(3), 300);
  EXPECT_EQ(clocks.Begin(), 4u);
}

}  // namespace
}  // namespace holdfast::storage
