// A bit is flipped anywhere in a table file: reads of the damage are DATA_LOSS, and no key reads as missing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "storage/store/damage.h"
#include "storage/store/format.h"
#include "tests/unit/storage/damaged_tables.h"
#include "tests/unit/storage/random.h"

namespace holdfast::storage {
namespace {

constexpr int kEntries = 150;

std::string KeyOf(int i) { return absl::StrCat("k", 1000 + i); }

// Returns values that RocksDB cannot compress, so that each family has several blocks.
std::string ValueOf(int i) {
  Random random(static_cast<uint64_t>(i) + 1);
  std::string value(100, '\0');
  for (char& c : value) c = static_cast<char>(random.Bits());
  return value;
}

std::vector<FamilyId> FamiliesOf(Store& store) {
  std::vector<FamilyId> families = {FamilyId::kNode, FamilyId::kCatalog, FamilyId::kAlarms, FamilyId::kPacked,
                                    FamilyId::kRequests};
  for (const OwnFamily& own : store.ListOwnFamilies()) families.push_back(own.id);
  return families;
}

class TablesTest : public DamagedTablesTest {
 protected:
  void SetUp() override {
    auto store = Sound();
    ASSERT_THAT(store->CreateFamily("own"), IsOk());
    WriteSet set;
    for (int i = 0; i < kEntries; ++i) set.Put(KeyOf(i), ValueOf(i));
    std::vector<std::pair<Location, WriteSet>> parts;
    for (const FamilyId family : FamiliesOf(*store)) parts.push_back({{family, ""}, set});
    ASSERT_THAT(Commit(*store, parts), IsOk());
  }

  // Expects that each key has its value or is DATA_LOSS. A walk returns the keys that have their value, and says where
  // the others may be. Returns the number of the others.
  static int ExpectNothingMissing(Store& store, FamilyId family) {
    std::set<std::string> lost;
    for (int i = 0; i < kEntries; ++i) {
      std::string value;
      absl::Status error;
      const ReadResult found = store.Get(WholeFamily(family), KeyOf(i), ReadTier::kDisk, &value, &error);
      EXPECT_NE(found, ReadResult::kAbsent) << KeyOf(i);
      if (found == ReadResult::kFound) {
        EXPECT_EQ(value, ValueOf(i));
      } else {
        EXPECT_THAT(error, IsStatus(absl::StatusCode::kDataLoss, ""));
        lost.insert(KeyOf(i));
      }
    }
    std::set<std::string> walked;
    std::vector<KeyRange> damaged;
    EXPECT_THAT(ScanReadable(
                    &store, WholeFamily(family), KeyRange::Prefix("k"),
                    [&](absl::string_view key, absl::string_view) { return walked.emplace(key).second; },
                    [&](const KeyRange& part, const absl::Status& why) {
                      EXPECT_THAT(why, IsStatus(absl::StatusCode::kDataLoss, ""));
                      damaged.push_back(part);
                    }),
                IsOk());
    for (int i = 0; i < kEntries; ++i) {
      EXPECT_NE(walked.contains(KeyOf(i)), lost.contains(KeyOf(i))) << KeyOf(i);
      const auto in_part = [&](const KeyRange& part) { return part.Contains(KeyOf(i)); };
      EXPECT_EQ(std::any_of(damaged.begin(), damaged.end(), in_part), lost.contains(KeyOf(i))) << KeyOf(i);
    }
    return static_cast<int>(lost.size());
  }
};

TEST_F(TablesTest, AFlippedBitIsDataLossOfWhatItHitsAndOfNothingElse) {
  const std::map<std::string, FamilyId> families = {{"default", FamilyId::kNode},      {"catalog", FamilyId::kCatalog},
                                                    {"alarms", FamilyId::kAlarms},     {"packed", FamilyId::kPacked},
                                                    {"requests", FamilyId::kRequests}, {"own", FamilyId::kFirstOwn}};
  for (const auto& [name, hit] : families) {
    const std::string table = TableOf(name);
    int opened_with_part = 0;
    for (const size_t byte : BytesToFlip(BytesOf(table))) {
      SCOPED_TRACE(absl::StrCat("byte ", byte, " of ", BytesOf(table), " of the table of ", name));
      auto store = Damaged(table, byte);
      if (!store.ok()) {
        // Tables of these families cannot be opened at all.
        EXPECT_TRUE(name == "default" || name == "catalog");
        EXPECT_GT(byte, 17'000u);
        EXPECT_THAT(store.status(), IsStatus(absl::StatusCode::kDataLoss, table));
        EXPECT_THAT(store.status(), IsStatus(absl::StatusCode::kDataLoss, "back from a copy"));
        continue;
      }
      for (const FamilyId family : FamiliesOf(**store)) {
        const int lost = ExpectNothingMissing(**store, family);
        if (family != hit) EXPECT_EQ(lost, 0);
        if (family == hit && lost > 0 && lost < kEntries) ++opened_with_part;
      }
      // Writes still work, and they count where nothing can be read.
      const WriteSet put = OnePut(KeyOf(0), ValueOf(0));
      ASSERT_THAT(Commit(**store, {{{hit, ""}, put}, {{FamilyId::kAlarms, ""}, OnePut("l", "v")}}), IsOk());
      EXPECT_THAT(FindAt(**store, WholeFamily(hit), KeyOf(0)), testing::Optional(ValueOf(0)));
    }
    EXPECT_GT(opened_with_part, 3) << name;
  }
}

TEST_F(TablesTest, ADamagedHeaderIsWrittenAgainFromItsCopy) {
  const std::string table = TableOf("default");
  {
    auto store = Damaged(table, 5);
    ASSERT_THAT(store, IsOk());
    v1::StoreHeader header;
    EXPECT_TRUE(header.ParseFromString(*Find(**store, FamilyId::kNode, kStoreHeaderKey)));
    EXPECT_EQ(header.format_version(), kFormatVersion);
  }
  EXPECT_THAT(OpenRocksDbStore(Options(damaged_dir())), IsOk());
}

TEST_F(TablesTest, ACopyOfTheHeaderWithAnotherVersionIsRefused) {
  v1::StoreHeader header;
  header.set_format_version(kFormatVersion + 1);
  RawPut(sound_dir(), "requests", std::string(kStoreHeaderKey), header.SerializeAsString());
  EXPECT_THAT(Damaged(TableOf("default"), 5), IsStatus(absl::StatusCode::kFailedPrecondition, "format version"));
}

}  // namespace
}  // namespace holdfast::storage
