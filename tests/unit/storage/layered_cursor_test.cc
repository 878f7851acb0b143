#include "storage/store/layered_cursor.h"

#include <gtest/gtest.h>

#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/store/stuck_cursor.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

const Location kPlace = {FamilyId::kPacked, "p/"};

// The model: a map, and the entry at which the cursor is.
class Model {
 public:
  Model(Entries entries, const KeyRange& range) : entries_(std::move(entries)), at_(entries_.end()) {
    std::erase_if(entries_, [&](const auto& entry) { return !range.Contains(entry.first); });
    at_ = entries_.end();
  }
  void SeekToFirst() { at_ = entries_.begin(); }
  void SeekToLast() { at_ = entries_.empty() ? entries_.end() : std::prev(entries_.end()); }
  void Seek(const std::string& key) { at_ = entries_.lower_bound(key); }
  void Next() { ++at_; }
  void Prev() { at_ = at_ == entries_.begin() ? entries_.end() : std::prev(at_); }
  std::optional<Entries::value_type> entry() const {
    return at_ == entries_.end() ? std::nullopt : std::optional<Entries::value_type>(*at_);
  }

 private:
  Entries entries_;
  Entries::const_iterator at_;
};

std::optional<Entries::value_type> EntryOf(const Cursor& cursor) {
  if (cursor.state() != ReadResult::kFound) return std::nullopt;
  return Entries::value_type(cursor.key(), cursor.value());
}

TEST(LayeredCursorTest, WalksAsAMapDoes) {
  ForEachSeed(400, [](Random& random) {
    MemoryStore store;
    Entries all;
    WriteSet stored = RandomWrites(random, 40);
    Apply(stored, "", &all);
    ASSERT_THAT(Commit(store, {{kPlace, std::move(stored)}}), IsOk());
    std::vector<WriteSet> sets;
    for (uint64_t n = random.Below(4); n > 0; --n) sets.push_back(RandomWrites(random, 15));
    for (const WriteSet& set : sets) Apply(set, "", &all);
    std::vector<const WriteSet*> layers;
    for (auto set = sets.rbegin(); set != sets.rend(); ++set) layers.push_back(&*set);

    const KeyRange range = RandomRange(random);
    Model model(all, range);
    LayeredCursor cursor(layers, range, store.NewCursor(kPlace, range, ReadTier::kDisk));
    for (int step = 0; step < 60; ++step) {
      const bool moves = model.entry().has_value();
      const uint64_t what = random.Below(moves ? 12 : 3);
      if (what == 0) {
        model.SeekToFirst();
        cursor.SeekToFirst();
      } else if (what == 1) {
        model.SeekToLast();
        cursor.SeekToLast();
      } else if (what == 2) {
        const std::string& key = RandomKey(random);
        model.Seek(key);
        cursor.Seek(key);
      } else if (what % 2 == 0) {
        model.Next();
        cursor.Next();
      } else {
        model.Prev();
        cursor.Prev();
      }
      ASSERT_EQ(EntryOf(cursor), model.entry());
    }
  });
}

TEST(LayeredCursorTest, PassesARemovedRangeInOneStep) {
  MemoryStore store;
  WriteSet stored;
  for (int i = 1000; i < 9000; ++i) stored.Put(absl::StrCat(i), "stored");
  ASSERT_THAT(Commit(store, {{kPlace, std::move(stored)}}), IsOk());
  struct Case {
    KeyRange removed;
    std::string first;
    std::string last;
  };
  const Case cases[] = {
      {{"1001", "8999"}, "1000", "8999"}, {{"1001", ""}, "1000", "1000"}, {{"", "8999"}, "8999", "8999"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.removed.start + ".." + c.removed.end);
    const WriteSet layer = Removes(c.removed);
    LayeredCursor cursor({&layer}, KeyRange::All(), store.NewCursor(kPlace, KeyRange::All(), ReadTier::kDisk), 20);
    cursor.SeekToLast();
    ASSERT_EQ(cursor.state(), ReadResult::kFound);
    EXPECT_EQ(cursor.key(), c.last);
    while (cursor.state() == ReadResult::kFound && cursor.key() != c.first) cursor.Prev();
    ASSERT_EQ(cursor.state(), ReadResult::kFound);
    cursor.Prev();
    EXPECT_EQ(cursor.state(), ReadResult::kAbsent);
    cursor.SeekToFirst();
    EXPECT_EQ(cursor.key(), c.first);
    while (cursor.state() == ReadResult::kFound && cursor.key() != c.last) cursor.Next();
    ASSERT_EQ(cursor.state(), ReadResult::kFound);
    cursor.Next();
    EXPECT_EQ(cursor.state(), ReadResult::kAbsent);
  }
}

TEST(LayeredCursorTest, StopsWhereTheStoreDoes) {
  WriteSet set = OnePut("a", "1");
  LayeredCursor cold({&set}, KeyRange::All(), std::make_unique<StuckCursor>(StuckCursor::NeedsDisk()));
  cold.SeekToFirst();
  EXPECT_EQ(cold.state(), ReadResult::kNeedsDisk);
  LayeredCursor damaged({&set}, KeyRange::All(),
                        std::make_unique<StuckCursor>(ReadResult::kError, absl::DataLossError("a block is corrupt")));
  damaged.SeekToLast();
  EXPECT_EQ(damaged.state(), ReadResult::kError);
  EXPECT_THAT(damaged.error(), IsStatus(absl::StatusCode::kDataLoss, "a block is corrupt"));
}

}  // namespace
}  // namespace holdfast::storage
