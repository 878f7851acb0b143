#include "actors/objects/lru_cache.h"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/simulation/seed.h"

namespace holdfast::actors {
namespace {

TEST(LruCacheTest, FindsWhatWasInserted) {
  LruCache<int> cache(100);
  EXPECT_EQ(cache.Find("a"), nullptr);
  EXPECT_EQ(*cache.Insert("a", 1), 1);
  ASSERT_NE(cache.Find("a"), nullptr);
  *cache.Find("a") = 2;
  EXPECT_EQ(*cache.Find("a"), 2);
  cache.Insert("a", 3);
  EXPECT_EQ(*cache.Find("a"), 3);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(LruCacheTest, TrimRemovesTheLeastRecentlyUsedUntilTheRestFits) {
  LruCache<int> cache(100);
  for (const char* key : {"a", "b", "c", "d"}) {
    cache.Insert(key, 0);
    cache.SetWeight(key, 40);
  }
  cache.Find("a");
  EXPECT_EQ(cache.weight(), 160u);
  EXPECT_NE(cache.Find("b"), nullptr) << "it grows beyond the bound until it is trimmed";
  cache.Trim();
  EXPECT_EQ(cache.weight(), 80u);
  EXPECT_NE(cache.Find("a"), nullptr);
  EXPECT_NE(cache.Find("b"), nullptr);
  EXPECT_EQ(cache.Find("c"), nullptr);
  EXPECT_EQ(cache.Find("d"), nullptr);
}

TEST(LruCacheTest, TheNewestStaysHoweverHeavy) {
  LruCache<int> cache(100);
  cache.Insert("a", 1);
  cache.SetWeight("a", 1000);
  cache.Trim();
  EXPECT_NE(cache.Find("a"), nullptr);
  cache.Insert("b", 2);
  cache.SetWeight("b", 1);
  cache.Trim();
  EXPECT_EQ(cache.Find("a"), nullptr);
  EXPECT_NE(cache.Find("b"), nullptr);
}

TEST(LruCacheTest, EraseTakesTheWeightAlong) {
  LruCache<int> cache(1000);
  for (int i = 0; i < 10; ++i) {
    cache.Insert(absl::StrCat(i), i);
    cache.SetWeight(absl::StrCat(i), 10);
  }
  cache.Erase("3");
  cache.Erase("not there");
  EXPECT_EQ(cache.weight(), 90u);
  for (int i = 0; i < 10; ++i) cache.Erase(absl::StrCat(i));
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(cache.weight(), 0u);
}

TEST(LruCacheTest, PointersHoldUntilTheNextTrim) {
  LruCache<std::string> cache(10);
  std::string* const first = cache.Insert("first", "value");
  cache.SetWeight("first", 10);
  for (int i = 0; i < 1000; ++i) {
    cache.Insert(absl::StrCat(i), "other");
    cache.SetWeight(absl::StrCat(i), 10);
  }
  EXPECT_EQ(*first, "value");
}

TEST(LruCacheTest, AgreesWithAModel) {
  for (uint64_t run : simulation::Seeds(10)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    LruCache<int> cache(50);
    std::list<std::pair<std::string, std::pair<int, size_t>>> model;  // newest first
    const auto find = [&](const std::string& key) {
      return std::find_if(model.begin(), model.end(), [&](const auto& entry) { return entry.first == key; });
    };
    for (int i = 0; i < 3000; ++i) {
      const std::string key = absl::StrCat(dice.Below(15));
      auto it = find(key);
      switch (dice.Below(5)) {
        case 0: {
          if (it != model.end()) model.erase(it);
          model.emplace_front(key, std::make_pair(i, 0));
          cache.Insert(key, i);
          break;
        }
        case 1: {
          const size_t weight = dice.Below(20);
          if (it != model.end()) it->second.second = weight;
          cache.SetWeight(key, weight);
          break;
        }
        case 2:
          if (it != model.end()) model.erase(it);
          cache.Erase(key);
          break;
        case 3: {
          cache.Trim();
          const auto total = [&] {
            size_t sum = 0;
            for (const auto& entry : model) sum += entry.second.second;
            return sum;
          };
          while (total() > 50 && model.size() > 1) model.pop_back();
          break;
        }
        default: {
          const int* const found = cache.Find(key);
          ASSERT_EQ(found != nullptr, it != model.end());
          if (found == nullptr) break;
          EXPECT_EQ(*found, it->second.first);
          model.splice(model.begin(), model, it);
        }
      }
      size_t weight = 0;
      for (const auto& entry : model) weight += entry.second.second;
      ASSERT_EQ(cache.weight(), weight);
      ASSERT_EQ(cache.size(), model.size());
    }
  }
}

}  // namespace
}  // namespace holdfast::actors
