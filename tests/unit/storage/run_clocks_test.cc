#include "storage/node/run_clocks.h"

#include <gtest/gtest.h>

#include <optional>

#include "absl/container/flat_hash_set.h"
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

// A process of a cluster, whose runs begin with this one.
RunClocks InCluster(Store* store, RunNumber first, absl::flat_hash_set<RunNumber> unfinished = {}) {
  return RunClocks(store, ClusterRuns{.first = first, .count = 2, .unfinished = [unfinished] { return unfinished; }});
}

TEST(RunClocksTest, NumbersOfAClusterComeFromOutside) {
  MemoryStore store;
  Put(&store, 900, 5);
  RunClocks clocks = InCluster(&store, 40);
  ASSERT_THAT(clocks.Recover(), IsOk());
  EXPECT_EQ(clocks.Begin(), 40u);
  EXPECT_EQ(clocks.Begin(), 41u);
  EXPECT_DEATH(clocks.Begin(), "run 42");
}

TEST(RunClocksTest, ReadingsOfOtherProcessesAreReadAnew) {
  MemoryStore store;
  Put(&store, 1, 100);
  RunClocks clocks = InCluster(&store, 10);
  ASSERT_THAT(clocks.Recover(), IsOk());
  Put(&store, 1, 200);
  Put(&store, 7, 300);
  EXPECT_EQ(clocks.Of(1), 100);
  ASSERT_THAT(clocks.Refresh(), IsOk());
  EXPECT_EQ(clocks.Of(1), 200);
  EXPECT_EQ(clocks.Of(7), 300);
  EXPECT_EQ(clocks.Of(3), 300) << "a run without a record has the latest reading";
}

TEST(RunClocksTest, AProcessRemovesNoRecordOfOneThatGoesOn) {
  MemoryStore store;
  absl::flat_hash_set<RunNumber> alive = {1, 2};
  Put(&store, 1, 11);
  Put(&store, 2, 12);
  for (RunNumber run = 3; run <= 1400; ++run) Put(&store, run, run == 700 ? 1'000'000 : run);
  RunClocks clocks = InCluster(&store, 2000, alive);
  ASSERT_THAT(clocks.Recover(), IsOk());
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(1)), RunClockValue(11));
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(2)), RunClockValue(12));
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(3)), std::nullopt);
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(402)), std::nullopt);
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(403)), RunClockValue(403));
  EXPECT_EQ(clocks.Of(2), 12);
  EXPECT_EQ(clocks.Of(3), 1'000'000) << "which is later than it was, but not earlier";
  // All are over but the newest: of those that go, the latest reading stays.
  for (RunNumber run = 1401; run <= 2400; ++run) Put(&store, run, run);
  absl::flat_hash_set<RunNumber> newest;
  for (RunNumber run = 1401; run <= 2400; ++run) newest.insert(run);
  RunClocks later = InCluster(&store, 3000, newest);
  ASSERT_THAT(later.Recover(), IsOk());
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(1400)), std::nullopt);
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(700)), RunClockValue(1'000'000));
  EXPECT_EQ(later.Of(1400), 1'000'000);
}

TEST(RunClocksTest, ARunThatBeginsDuringATrimStays) {
  MemoryStore store;
  for (RunNumber run = 1; run <= 1100; ++run) Put(&store, run, run);
  RunClocks clocks(&store, ClusterRuns{.first = 3000, .count = 1, .unfinished = [&] {
                                         // It was not asked about, and is not among the answers.
                                         Put(&store, 2, 2'000);
                                         Put(&store, 2999, 5);
                                         return absl::flat_hash_set<RunNumber>();
                                       }});
  ASSERT_THAT(clocks.Recover(), IsOk());
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(2999)), RunClockValue(5));
  EXPECT_EQ(Find(store, FamilyId::kNode, RunClockKey(1)), std::nullopt);
  // Its last reading was written between the first look and the answer.
  EXPECT_EQ(clocks.Of(2), 2'000);
  EXPECT_EQ(clocks.Of(1), 2'000);
}

}  // namespace
}  // namespace holdfast::storage
