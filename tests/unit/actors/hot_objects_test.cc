#include "actors/runtime/hot_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/runtime/space_saving.h"
#include "tests/unit/storage/random.h"

namespace holdfast::actors {
namespace {

using storage::ObjectKey;

TEST(SpaceSavingTest, WhatFitsIsCountedExactly) {
  SpaceSaving<int> sketch(4);
  for (uint64_t key = 1; key <= 4; ++key) sketch.Add(key, key * 10);
  sketch.Add(2, 100);
  std::map<uint64_t, uint64_t> sums;
  for (const auto& counter : sketch.counters()) {
    EXPECT_EQ(counter.error, 0u);
    sums[counter.hash] = counter.sum;
  }
  EXPECT_EQ(sums, (std::map<uint64_t, uint64_t>{{1, 10}, {2, 120}, {3, 30}, {4, 40}}));
}

TEST(SpaceSavingTest, ANewKeyTakesOverTheSmallestCounterWithItsSumAsTheError) {
  SpaceSaving<int> sketch(2);
  *sketch.Add(1, 10).first = 1;
  *sketch.Add(2, 5).first = 2;
  const auto [value, is_new] = sketch.Add(3, 1);
  EXPECT_TRUE(is_new);
  EXPECT_EQ(*value, 2) << "the value of the key that had the counter";
  for (const auto& counter : sketch.counters()) {
    EXPECT_EQ(counter.sum, counter.hash == 3 ? 6u : 10u);
    EXPECT_EQ(counter.error, counter.hash == 3 ? 5u : 0u);
  }
}

// The three invariants of the header, on random streams with few large keys and many small ones.
TEST(SpaceSavingTest, TheInvariantsHoldOnRandomStreams) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    storage::Random random(seed);
    constexpr size_t kCapacity = 16;
    SpaceSaving<int> sketch(kCapacity);
    std::map<uint64_t, uint64_t> truth;
    uint64_t total = 0;
    for (int i = 0; i < 5'000; ++i) {
      const uint64_t key = random.Below(3) == 0 ? random.Below(5) : 100 + random.Below(1'000);
      const uint64_t weight = 1 + random.Below(7);
      sketch.Add(key, weight);
      truth[key] += weight;
      total += weight;
    }
    std::map<uint64_t, bool> has;
    for (const auto& counter : sketch.counters()) {
      has[counter.hash] = true;
      EXPECT_GE(counter.sum, truth[counter.hash]) << seed;
      EXPECT_LE(counter.sum - truth[counter.hash], counter.error) << seed;
      EXPECT_LE(counter.error, total / kCapacity) << seed;
    }
    EXPECT_EQ(has.size(), kCapacity) << "a key has one counter";
    for (const auto& [key, sum] : truth) {
      if (sum > total / kCapacity) EXPECT_TRUE(has[key]) << seed << " " << key;
    }
  }
}

class HotObjectsTest : public ::testing::Test {
 protected:
  static ObjectKey Key(const std::string& name) { return ObjectKey("default", "Counter", name); }
  std::vector<std::string> Names(HotOrder order, size_t limit = 10) {
    std::vector<std::string> names;
    for (const HotObject& object : hot_.Top(order, limit, now_)) {
      storage::ObjectId id;
      EXPECT_TRUE(object.key.Decode(&id));
      names.push_back(id.name);
    }
    return names;
  }

  HotObjects hot_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
};

TEST_F(HotObjectsTest, EachOrderHasItsOwnFirst) {
  for (int i = 0; i < 10; ++i) hot_.Add(Key("often"), now_, absl::Microseconds(1), 1);
  hot_.Add(Key("slow"), now_, absl::Seconds(1), 2);
  hot_.Add(Key("large"), now_, absl::Microseconds(5), 1'000'000);
  EXPECT_THAT(Names(HotOrder::kRequests, 1), ::testing::ElementsAre("often"));
  EXPECT_THAT(Names(HotOrder::kTime, 1), ::testing::ElementsAre("slow"));
  EXPECT_THAT(Names(HotOrder::kBytesWritten, 1), ::testing::ElementsAre("large"));
  const HotObject first = hot_.Top(HotOrder::kRequests, 1, now_).front();
  EXPECT_EQ(first.sum, 10u);
  EXPECT_EQ(first.error, 0u);
  EXPECT_EQ(first.requests, 10u);
  EXPECT_EQ(first.time, absl::Microseconds(10));
  EXPECT_EQ(first.bytes_written, 10u);
}

TEST_F(HotObjectsTest, WhatIsOverAMinuteOldIsForgotten) {
  hot_.Add(Key("old"), now_, absl::Microseconds(1), 1);
  for (int i = 0; i < 6; ++i) {
    now_ += HotObjects::kStep;
    hot_.Add(Key("new"), now_, absl::Microseconds(1), 1);
  }
  EXPECT_THAT(Names(HotOrder::kRequests), ::testing::ElementsAre("new", "old"));
  EXPECT_EQ(hot_.Window(now_), absl::Minutes(1));
  now_ += HotObjects::kStep;
  hot_.Add(Key("new"), now_, absl::Microseconds(1), 1);
  EXPECT_THAT(Names(HotOrder::kRequests), ::testing::ElementsAre("new"));
  // Also where nothing happens any more.
  now_ += absl::Hours(1);
  EXPECT_THAT(Names(HotOrder::kRequests), ::testing::IsEmpty());
  EXPECT_EQ(hot_.Window(now_), absl::ZeroDuration());
}

TEST_F(HotObjectsTest, BusyObjectsAreFoundAmongManyOthersAndSamplingKeepsTheirShare) {
  constexpr int kTurns = 80'000;
  for (int i = 0; i < kTurns; ++i) {
    // Every fourth turn is of one object, and the others are of 10,000.
    hot_.Add(Key(i % 4 == 0 ? std::string("busy") : absl::StrCat("one-", i % 10'000)), now_, absl::Microseconds(1), 1);
  }
  const HotObject first = hot_.Top(HotOrder::kRequests, 1, now_).front();
  EXPECT_EQ(first.key, Key("busy"));
  EXPECT_NEAR(static_cast<double>(first.sum), kTurns / 4, kTurns / 40);
}

TEST_F(HotObjectsTest, SampledTurnsCountAsThoseThatTheyStandFor) {
  constexpr uint64_t kTurns = HotObjects::kAllInStep + 8'000;
  for (uint64_t i = 0; i < kTurns; ++i) hot_.Add(Key("only"), now_, absl::Microseconds(1), 3);
  const HotObject first = hot_.Top(HotOrder::kRequests, 1, now_).front();
  // But for those since the last that was counted.
  EXPECT_LE(first.sum, kTurns);
  EXPECT_GT(first.sum, kTurns - 2 * HotObjects::kSampled);
  EXPECT_EQ(first.bytes_written, 3 * first.sum);
}

TEST_F(HotObjectsTest, TheListIsBounded) {
  for (int step = 0; step < 20; ++step) {
    for (int i = 0; i < 1'000; ++i) hot_.Add(Key(absl::StrCat(step, "-", i)), now_, absl::Microseconds(1), 1);
    now_ += HotObjects::kStep;
  }
  EXPECT_LE(Names(HotOrder::kTime, 1'000'000).size(), (HotObjects::kSteps + 1) * HotObjects::kCounters);
  EXPECT_EQ(Names(HotOrder::kTime, 5).size(), 5u);
  EXPECT_THAT(Names(HotOrder::kTime, 0), ::testing::IsEmpty());
}

}  // namespace
}  // namespace holdfast::actors
