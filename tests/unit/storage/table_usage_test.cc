// The usage of an object counts its tables: rows by table, and the bytes of all keys and values that tables write.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/object/table.h"
#include "storage/store/memory_store.h"
#include "tests/unit/storage/object_harness.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/table_rows.h"

namespace holdfast::storage {
namespace {

constexpr uint16_t kItems = 7;

const TableSpec<PendingItemRow>& ItemSpec() {
  static const auto* const spec = new TableSpec<PendingItemRow>{
      .id = kItems,
      .append_primary_key = [](const PendingItemRow& row, std::string* key) { AppendInt64(key, row.sequence()); }};
  return *spec;
}

class TableUsageTest : public testing::Test {
 protected:
  // Ends the turn successfully.
  void EndTurn() {
    object_.storage().usage().ApplyTo(&usage_);
    object_.EndTurn();
  }
  // Expects that the usage is that of the stored keys.
  void ExpectExact() {
    v1::Usage usage = usage_;
    object_.storage().usage().ApplyTo(&usage);
    int64_t bytes = 0;
    int64_t entries = 0;
    std::map<uint32_t, int64_t> rows;
    for (const auto& [key, value] : object_.All()) {
      absl::string_view rest = key;
      rest.remove_prefix(1);
      uint16_t table;
      if (key[0] == kEntryKind) {
        ++entries;
        bytes += static_cast<int64_t>(rest.size() + value.size());
        continue;
      }
      bytes += static_cast<int64_t>(key.size() + value.size());
      ASSERT_TRUE(ConsumeUint16(&rest, &table));
      if (key[0] == kRowKind) ++rows[table];
    }
    ASSERT_EQ(usage.size_bytes(), bytes);
    ASSERT_EQ(usage.entry_count(), entries);
    ASSERT_EQ((std::map<uint32_t, int64_t>(usage.row_counts().begin(), usage.row_counts().end())), rows);
  }

  MemoryStore store_;
  ObjectHarness object_{&store_};
  Table<UserRow> users_{&object_.storage(), &UserSpec()};
  Table<PendingItemRow> items_{&object_.storage(), &ItemSpec()};
  v1::Usage usage_;
};

TEST_F(TableUsageTest, ARowCountsWithItsIndexesUntilItIsGone) {
  ASSERT_THAT(object_.Await(users_.Insert(User("ann", "ann@example.com", 1, "Ann"))), IsOk());
  ExpectExact();
  EndTurn();
  ASSERT_THAT(object_.Await(users_.Insert(User("ann", "other", 1, "Ann"))), testing::Not(IsOk()));
  ExpectExact();
  ASSERT_THAT(object_.Await(users_.Replace(User("ann", "longer than before@example.com", 1, ""))), IsOk());
  ExpectExact();
  EndTurn();
  EXPECT_EQ(usage_.row_counts().at(kUsers), 1);
  std::string key;
  AppendText(&key, "ann");
  ASSERT_THAT(object_.Await(users_.Delete(key)), IsOkAnd(true));
  ASSERT_THAT(object_.Await(users_.Delete(key)), IsOkAnd(false));
  ExpectExact();
  EndTurn();
  EXPECT_EQ(usage_.size_bytes(), 0);
  EXPECT_TRUE(usage_.row_counts().empty()) << "tables without a row are left out";
}

TEST_F(TableUsageTest, ManyRowsThatGoAsARangeAreCountedToo) {
  for (int64_t i = 0; i < 2500; ++i) items_.Write(Item(i, absl::StrCat("item", i)), nullptr);
  EndTurn();
  ExpectExact();
  ASSERT_THAT(object_.Await(items_.DeleteRange({NumberKey(100), NumberKey(2400)})), IsOkAnd(2300));
  ExpectExact();
  EndTurn();
  ASSERT_THAT(object_.Await(items_.DeleteRange({NumberKey(0), NumberKey(200)})), IsOkAnd(100));
  EndTurn();
  ExpectExact();
  EXPECT_EQ(usage_.row_counts().at(kItems), 100);
}

TEST_F(TableUsageTest, RandomCallsAreCountedExactly) {
  ForEachSeed(40, [this](Random& random) {
    const auto random_user = [&] {
      return User(random.Text(2, absl::string_view("\x00\x61\x62", 3)),
                  random.Text(5, absl::string_view("\x00\x61", 2)), static_cast<int64_t>(random.Below(3)) - 1,
                  random.Text(200, "xyz"));
    };
    for (int step = 0; step < 100; ++step) {
      store_.set_cold(random.OneIn(3));
      switch (random.Below(12)) {
        case 0:
        case 1:
          (void)object_.Await(users_.Insert(random_user()));
          break;
        case 2:
        case 3:
          ASSERT_THAT(object_.Await(users_.Replace(random_user())), IsOk());
          break;
        case 4:
          ASSERT_THAT(object_.Await(users_.Delete(users_.PrimaryKey(random_user()))), IsOk());
          break;
        case 5:
        case 6:
          ASSERT_THAT(object_.Await(items_.Replace(Item(static_cast<int64_t>(random.Below(20)), random.Text(50, "i")))),
                      IsOk());
          break;
        case 7: {
          const int64_t first = static_cast<int64_t>(random.Below(20));
          ASSERT_THAT(object_.Await(items_.DeleteRange({NumberKey(first), NumberKey(first + 4)})), IsOk());
          if (random.OneIn(4)) {
            ASSERT_THAT(object_.Await(users_.DeleteRange({users_.PrimaryKey(random_user()), ""})), IsOk());
          }
          break;
        }
        case 8: {
          // These entries are in the same object; a put without a read needs them in memory.
          store_.set_cold(false);
          const std::string key(1, "kl"[random.Below(2)]);
          ASSERT_THAT(object_.storage().Put(key, random.Text(30, "v")), IsOk());
          if (random.OneIn(3)) {
            const std::vector<std::string> keys = {key};
            ASSERT_THAT(object_.Await(object_.storage().Delete(keys)), IsOk());
          }
          break;
        }
        case 9:
          if (!random.OneIn(6)) break;
          ASSERT_THAT(object_.Await(object_.storage().DeleteAll(false)), IsOk());
          break;
        case 10:
          if (random.OneIn(3)) object_.storage().DropTurn();
          break;
        default:
          EndTurn();
          if (random.OneIn(2)) object_.Settle();
      }
      ExpectExact();
      if (HasFatalFailure()) return;
    }
  });
}

}  // namespace
}  // namespace holdfast::storage
