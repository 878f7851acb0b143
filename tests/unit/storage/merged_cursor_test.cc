#include "storage/store/merged_cursor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/store/memory_store.h"
#include "storage/store/stuck_cursor.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

const Location kPlace = WholeFamily(FamilyId::kCatalog);

TEST(MergedCursorTest, WalksAsOneMapDoes) {
  ForEachSeed(300, [](Random& random) {
    std::vector<std::unique_ptr<MemoryStore>> stores(1 + random.Below(4));
    for (auto& store : stores) store = std::make_unique<MemoryStore>();
    Entries all;
    std::vector<WriteSet> sets(stores.size());
    for (uint64_t n = random.Below(30); n > 0; --n) {
      const std::string key = RandomKey(random);
      if (!all.try_emplace(key, std::to_string(n)).second) continue;
      sets[random.Below(sets.size())].Put(key, std::to_string(n));
    }
    const KeyRange range = RandomRange(random);
    std::vector<std::unique_ptr<Cursor>> cursors;
    for (size_t i = 0; i < stores.size(); ++i) {
      ASSERT_THAT(Commit(*stores[i], {{kPlace, sets[i]}}), IsOk());
      cursors.push_back(stores[i]->NewCursor(kPlace, range, ReadTier::kDisk));
    }
    std::erase_if(all, [&](const auto& entry) { return !range.Contains(entry.first); });
    MergedCursor cursor(std::move(cursors));
    EXPECT_EQ(cursor.state(), ReadResult::kAbsent);
    auto at = all.cend();
    for (int step = 0; step < 60; ++step) {
      switch (random.Below(at == all.cend() ? 3 : 9)) {
        case 0:
          cursor.SeekToFirst();
          at = all.cbegin();
          break;
        case 1:
          cursor.SeekToLast();
          at = all.empty() ? all.cend() : std::prev(all.cend());
          break;
        case 2: {
          const std::string key = RandomKey(random);
          cursor.Seek(key);
          at = all.lower_bound(std::max(key, range.start));
          break;
        }
        case 3:
        case 4:
        case 5:
          cursor.Next();
          ++at;
          break;
        default:
          cursor.Prev();
          at = at == all.cbegin() ? all.cend() : std::prev(at);
      }
      ASSERT_EQ(cursor.state(), at == all.cend() ? ReadResult::kAbsent : ReadResult::kFound);
      if (at == all.cend()) continue;
      ASSERT_EQ(cursor.key(), at->first);
      ASSERT_EQ(cursor.value(), at->second);
    }
  });
}

TEST(MergedCursorTest, AnErrorOfOnePartEndsTheWalk) {
  MemoryStore store;
  ASSERT_THAT(Commit(store, {{kPlace, OnePut("a", "1")}}), IsOk());
  for (const ReadResult state : {ReadResult::kError, ReadResult::kNeedsDisk}) {
    std::vector<std::unique_ptr<Cursor>> cursors;
    cursors.push_back(store.NewCursor(kPlace, KeyRange::All(), ReadTier::kDisk));
    cursors.push_back(std::make_unique<StuckCursor>(state, absl::UnavailableError("away")));
    MergedCursor cursor(std::move(cursors));
    cursor.SeekToFirst();
    EXPECT_EQ(cursor.state(), state);
    EXPECT_EQ(cursor.error(), absl::UnavailableError("away"));
  }
}

}  // namespace
}  // namespace holdfast::storage
