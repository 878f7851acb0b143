// The reactions to damage in the families of the node: listings, alarms, clocks of runs, places of objects.

#include "storage/store/damage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/node/alarm_index.h"
#include "storage/node/catalog.h"
#include "storage/node/catalog_page.h"
#include "storage/node/families.h"
#include "storage/node/run_clocks.h"
#include "storage/store/format.h"
#include "tests/unit/storage/damaged_tables.h"
#include "tests/unit/storage/random.h"

namespace holdfast::storage {
namespace {

using testing::IsEmpty;

constexpr int kObjects = 400;

// The names are long and do not compress, so that the families have several blocks.
ObjectKey KeyOf(int i) {
  Random random(static_cast<uint64_t>(i) + 1);
  std::string name = absl::StrCat(1000 + i, "-");
  for (int n = 0; n < 80; ++n) name += static_cast<char>('a' + random.Below(26));
  return ObjectKey(i % 4 == 0 ? "other" : "default", i % 3 == 0 ? "Counter" : "Object", name);
}

int64_t DueOf(int i) { return 1'000'000 + (i * 37 % kObjects) * 1000; }

std::string AlarmOf(int i) {
  v1::AlarmRecord record;
  record.set_scheduled_time_us(DueOf(i));
  record.set_due_time_us(DueOf(i));
  return record.SerializeAsString();
}

class DamageTest : public DamagedTablesTest {
 protected:
  // Makes objects with an alarm, each tenth in a family of its own.
  void MakeObjects() {
    auto store = Sound();
    WriteSet catalog;
    WriteSet alarms;
    WriteSet packed;
    std::vector<std::pair<Location, WriteSet>> parts;
    for (int i = 0; i < kObjects; ++i) {
      const ObjectKey key = KeyOf(i);
      uint64_t generation = 0;
      if (i % 10 == 0) {
        ObjectId id;
        ASSERT_TRUE(key.Decode(&id));
        generation = static_cast<uint64_t>(i) + 1;
        const auto family = store->CreateFamily(FamilyName(id, generation));
        ASSERT_THAT(family, IsOk());
        parts.push_back({{*family, ""}, OnePut(kAlarmKey, AlarmOf(i))});
      } else {
        packed.Put(PackedLocation(key).prefix + kAlarmKey, AlarmOf(i));
        packed.Put(PackedLocation(key).prefix + "\x10k", "v");
      }
      catalog.Put(key.encoded(), CatalogValue(generation, v1::ObjectHeader()));
      alarms.Put(AlarmIndexKey(DueOf(i), key.encoded()), "");
    }
    parts.push_back({{FamilyId::kCatalog, ""}, std::move(catalog)});
    parts.push_back({{FamilyId::kAlarms, ""}, std::move(alarms)});
    parts.push_back({{FamilyId::kPacked, ""}, std::move(packed)});
    ASSERT_THAT(Commit(*store, parts), IsOk());
  }
};

// The pages have each object once, or say that it is missing.
TEST_F(DamageTest, AListTellsWhereObjectsAreMissingAndGoesOnBehind) {
  MakeObjects();
  const std::string table = TableOf("catalog");
  for (const size_t byte : BytesToFlip(BytesOf(table))) {
    SCOPED_TRACE(absl::StrCat("byte ", byte, " of ", BytesOf(table)));
    auto store = Damaged(table, byte);
    if (!store.ok()) continue;
    for (const std::string object_class : {"", "Counter", "Object"}) {
      for (const std::string prefix : {"", "1"}) {
        std::set<std::string> listed;
        std::vector<KeyRange> missing;
        CatalogPage::Query query{.ns = "default",
                                 .object_class = object_class,
                                 .name_prefix = prefix,
                                 .after = "",
                                 .count_max = 7,
                                 .bytes_max = 1 << 20};
        int pages = 0;
        do {
          const auto page = ReadCatalogPage(store->get(), query);
          ASSERT_THAT(page, IsOk());
          ASSERT_LT(++pages, 200);
          for (const auto& item : page->items) EXPECT_TRUE(listed.insert(ObjectKey(item.id).encoded()).second);
          if (!page->damage.ok()) {
            EXPECT_THAT(page->damage, IsStatus(absl::StatusCode::kDataLoss, table));
            EXPECT_THAT(page->items, IsEmpty());
            missing.push_back({query.after, page->next});
          }
          ASSERT_TRUE(page->next.empty() || page->next > query.after);
          query.after = page->next;
        } while (!query.after.empty());
        size_t missed = 0;
        for (int i = 0; i < kObjects; ++i) {
          ObjectId id;
          ASSERT_TRUE(KeyOf(i).Decode(&id));
          if (id.ns != "default" || (!object_class.empty() && id.object_class != object_class)) continue;
          if (listed.contains(KeyOf(i).encoded())) continue;
          ++missed;
          EXPECT_TRUE(std::any_of(missing.begin(), missing.end(), [&](const KeyRange& part) {
            return part.Contains(KeyOf(i).encoded());
          })) << id.name;
        }
        EXPECT_LE(missing.size(), 1u);
        if (byte + 4096 < BytesOf(table)) EXPECT_LT(missed, 60u) << "more than a block has";
      }
    }
  }
}

TEST_F(DamageTest, AlarmsOfADamagedPartOfTheIndexAreThoseOfTheObjects) {
  MakeObjects();
  const std::string table = TableOf("alarms");
  for (const size_t byte : BytesToFlip(BytesOf(table))) {
    SCOPED_TRACE(absl::StrCat("byte ", byte, " of ", BytesOf(table)));
    auto store = Damaged(table, byte);
    ASSERT_THAT(store, IsOk());
    // The first object was just deleted, and the second moved; the store does not know that yet.
    const AlarmEntry deleted{DueOf(0), KeyOf(0).encoded()};
    const AlarmEntry moved{DueOf(5), KeyOf(5).encoded()};
    const AlarmEntry moved_to{DueOf(7) + 1, KeyOf(5).encoded()};
    WriteSet pending;
    pending.Delete(AlarmIndexKey(deleted.due_us, deleted.object));
    pending.Delete(AlarmIndexKey(moved.due_us, moved.object));
    pending.Put(AlarmIndexKey(moved_to.due_us, moved_to.object), "");
    std::vector<AlarmEntry> expected = {moved_to};
    for (int i = 0; i < kObjects; ++i) {
      if (i != 0 && i != 5) expected.push_back({DueOf(i), KeyOf(i).encoded()});
    }
    std::sort(expected.begin(), expected.end());
    std::vector<AlarmEntry> found;
    const auto visit = [&](const AlarmEntry& entry) {
      found.push_back(entry);
      return true;
    };
    ASSERT_THAT(ScanAlarms(store->get(), pending, KeyRange::All(), visit), IsOk());
    EXPECT_TRUE(found == expected) << found.size() << " of " << expected.size();

    // The entries are also read in parts, like the scheduler does.
    std::vector<AlarmEntry> in_parts;
    KeyRange rest = KeyRange::All();
    for (size_t before = 1; before != in_parts.size();) {
      before = in_parts.size();
      size_t left = 150;
      ASSERT_THAT(ScanAlarms(store->get(), pending, rest,
                             [&](const AlarmEntry& entry) {
                               in_parts.push_back(entry);
                               rest.start = AlarmIndexKey(entry.due_us, entry.object) + '\0';
                               return --left > 0;
                             }),
                  IsOk());
    }
    EXPECT_TRUE(in_parts == expected) << in_parts.size() << " of " << expected.size();
  }
}

// An object whose place cannot be read keeps its family, and is not treated as one that has none.
TEST_F(DamageTest, AFamilyWhoseCatalogRecordIsDamagedIsKept) {
  MakeObjects();
  {
    auto store = Sound();
    // A crash has left this family: with a sound record it is dropped.
    ObjectId id;
    ASSERT_TRUE(KeyOf(0).Decode(&id));
    ASSERT_THAT(store->CreateFamily(FamilyName(id, 7'000)), IsOk());
  }
  const std::string table = TableOf("catalog");
  bool some_known = false;
  for (const size_t byte : BytesToFlip(BytesOf(table))) {
    SCOPED_TRACE(absl::StrCat("byte ", byte, " of ", BytesOf(table)));
    auto store = Damaged(table, byte);
    if (!store.ok()) continue;
    Families families(store->get(), 1000);
    ASSERT_THAT(families.Recover(), IsOk());
    int known = 0;
    for (int i = 0; i < kObjects; ++i) {
      const ObjectKey key = KeyOf(i);
      const bool own = i % 10 == 0;
      const auto placement = families.Find(key);
      if (!own) {
        EXPECT_THAT(families.CheckPlace(key), IsOk());
        EXPECT_FALSE(placement.has_value());
      } else if (families.CheckPlace(key).ok()) {
        ++known;
        ASSERT_TRUE(placement.has_value());
        EXPECT_THAT(Find(**store, placement->family, kAlarmKey), testing::Optional(AlarmOf(i)));
      } else {
        EXPECT_THAT(families.CheckPlace(key), IsStatus(absl::StatusCode::kDataLoss, "/1"));
        EXPECT_FALSE(placement.has_value());
      }
    }
    const bool left_over_is_kept = !families.CheckPlace(KeyOf(0)).ok();
    EXPECT_EQ((*store)->ListOwnFamilies().size(), kObjects / 10 + (left_over_is_kept ? 1u : 0u));
    EXPECT_EQ(families.count(), kObjects / 10 + (left_over_is_kept ? 1 : 0));
    EXPECT_EQ(families.List().size(), static_cast<size_t>(known));
    some_known |= known > 0 && known < kObjects / 10;
    // New generations are above those in use.
    ASSERT_TRUE(families.Reserve());
    EXPECT_GT(families.Create(KeyOf(1))->generation, left_over_is_kept ? 7'000u : 300u);
  }
  EXPECT_TRUE(some_known);
}

TEST_F(DamageTest, ClocksOfRunsThatAreDamagedAreNoEarlierThanAnyOther) {
  constexpr RunNumber kRuns = 900;
  const auto clock = [](RunNumber run) { return int64_t{1'000'000} * run; };
  {
    auto store = Sound();
    WriteSet set;
    for (RunNumber run = 5; run < kRuns; ++run) set.Put(RunClockKey(run), RunClockValue(clock(run)));
    ASSERT_THAT(Commit(*store, {{{FamilyId::kNode, ""}, set}}), IsOk());
  }
  const std::string table = TableOf("default");
  int hit = 0;
  for (size_t byte = 0; byte + 1500 < BytesOf(table); byte += 500) {
    SCOPED_TRACE(absl::StrCat("byte ", byte, " of ", BytesOf(table)));
    auto store = Damaged(table, byte);
    ASSERT_THAT(store, IsOk());
    // One of the damaged records was stored again since.
    ASSERT_THAT(Commit(**store, {{{FamilyId::kNode, ""}, OnePut(RunClockKey(10), RunClockValue(clock(10) + 7))}}),
                IsOk());
    RunClocks clocks(store->get());
    ASSERT_THAT(clocks.Recover(), IsOk());
    int64_t latest = 0;
    int guessed = 0;
    for (RunNumber run = 5; run < kRuns; ++run) {
      if (clocks.Of(run) == clock(run)) latest = std::max(latest, clock(run));
    }
    for (RunNumber run = 5; run < kRuns; ++run) {
      if (run == 10) {
        EXPECT_EQ(clocks.Of(run), clock(10) + 7);
      } else if (clocks.Of(run) != clock(run)) {
        EXPECT_EQ(clocks.Of(run), latest) << run;
        ++guessed;
      }
    }
    hit += guessed > 0;
    EXPECT_LT(guessed, 600) << "more than a block has";
    EXPECT_GE(clocks.Begin(), kRuns) << "a number that a run has had";
    EXPECT_THAT(Commit(**store, {{{FamilyId::kNode, ""}, OnePut(RunClockKey(kRuns + 3000), RunClockValue(1))}}),
                IsOk());
  }
  EXPECT_GT(hit, 3);
}

TEST_F(DamageTest, APlaceThatCanBeReadIsItself) {
  MakeObjects();
  auto store = Sound();
  EXPECT_THAT(ReadableFrom(store.get(), WholeFamily(FamilyId::kAlarms), KeyRange::All()),
              testing::Optional(std::string()));
  EXPECT_THAT(ReadableFrom(store.get(), WholeFamily(FamilyId::kAlarms), {"a", "b"}),
              testing::Optional(std::string("a")));
}

}  // namespace
}  // namespace holdfast::storage
