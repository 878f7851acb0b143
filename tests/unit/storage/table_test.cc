#include "storage/object/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "tests/unit/storage/object_harness.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"
#include "tests/unit/storage/table_rows.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::IsEmpty;
using testing::SizeIs;

// Returns a table of any id, without an index: the highest id that there can be, or a neighbour of the first table.
const TableSpec<PendingItemRow>& ItemSpec(uint16_t id) {
  static std::map<uint16_t, TableSpec<PendingItemRow>> specs;
  return specs
      .try_emplace(id, TableSpec<PendingItemRow>{.id = id,
                                                 .append_primary_key =
                                                     [](const PendingItemRow& row, std::string* key) {
                                                       AppendInt64(key, row.sequence());
                                                     }})
      .first->second;
}

std::string TextKey(const std::string& text) {
  std::string key;
  AppendText(&key, text);
  return key;
}

std::string Ids(const absl::StatusOr<std::vector<UserRow>>& rows) {
  if (!rows.ok()) return rows.status().ToString();
  std::string ids;
  for (const UserRow& row : *rows) absl::StrAppend(&ids, row.id(), " ");
  return ids;
}

std::string Sequences(const absl::StatusOr<std::vector<PendingItemRow>>& rows) {
  if (!rows.ok()) return rows.status().ToString();
  std::string sequences;
  for (const PendingItemRow& row : *rows) absl::StrAppend(&sequences, row.sequence(), " ");
  return sequences;
}

MATCHER_P(IsRow, row, "is the row " + row.ShortDebugString()) {
  return arg.SerializeAsString() == row.SerializeAsString();
}

class TableTest : public StoreParamTest {
 protected:
  // Returns the keys of the index, with the kind and the table but without the number of the index.
  std::vector<std::string> KeysOfKind(char kind) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : object_.All()) {
      if (key[0] == kind) keys.push_back(key);
    }
    return keys;
  }

  ObjectHarness object_{&store()};
  Table<UserRow> users_{&object_.storage(), &UserSpec()};
  Table<PendingItemRow> items_{&object_.storage(), &ItemSpec(2)};
};

TEST_P(TableTest, ManyRangesAreScannedInOneRead) {
  for (int64_t sequence = 1; sequence <= 9; ++sequence) items_.Write(Item(sequence, ""), nullptr);
  object_.Settle();
  const auto range = [](int64_t from, int64_t to) {
    KeyRange keys;
    AppendInt64(&keys.start, from);
    AppendInt64(&keys.end, to);
    return keys;
  };
  const std::vector<KeyRange> ranges = {range(1, 4), range(20, 30), range(5, 9), range(9, 10)};
  const auto scan = [&](ScanOptions options, size_t rows_max) {
    std::string found;
    const auto each = object_.Await(items_.ScanEach(ranges, options, rows_max));
    EXPECT_THAT(each, IsOk());
    for (const auto& rows : *each) absl::StrAppend(&found, Sequences(rows), "| ");
    return found;
  };
  EXPECT_EQ(scan({}, 100), "1 2 3 | | 5 6 7 8 | 9 | ");
  EXPECT_EQ(scan({.reverse = true, .rows_max = 1}, 100), "3 | | 8 | 9 | ");
  EXPECT_EQ(scan({}, 5), "1 2 3 | | 5 6 | | ") << "the bound is of all together";
  EXPECT_EQ(scan({}, 3), "1 2 3 | | | | ");
  EXPECT_THAT(object_.Await(items_.ScanEach({}, {}, 5)), IsOkAnd(IsEmpty()));
}

TEST_P(TableTest, InsertedRowComesBack) {
  UserRow row = User("ann", "ann@example.com", 3);
  row.set_attributes(std::string("\0\xff", 2));
  ASSERT_THAT(object_.Await(users_.Insert(row)), IsOk());
  EXPECT_THAT(object_.Await(users_.Get(users_.PrimaryKey(row))), IsOkAnd(testing::Optional(IsRow(row))));
  object_.Settle();
  EXPECT_THAT(object_.Await(users_.Get(users_.PrimaryKey(row))), IsOkAnd(testing::Optional(IsRow(row))));
  EXPECT_THAT(object_.Await(users_.Get(TextKey("bob"))), IsOkAnd(Eq(std::nullopt)));
}

TEST_P(TableTest, SecondInsertIsRefusedAndWritesNothing) {
  ASSERT_THAT(object_.Await(users_.Insert(User("ann", "first"))), IsOk());
  for (const bool settled : {false, true}) {
    if (settled) object_.Settle();
    const Entries before = object_.All();
    EXPECT_THAT(object_.Await(users_.Insert(User("ann", "second"))), IsStatus(absl::StatusCode::kAlreadyExists, ""));
    EXPECT_EQ(object_.All(), before);
  }
  EXPECT_FALSE(object_.storage().wrote());
}

TEST_P(TableTest, ReplaceReturnsTheOldRow) {
  EXPECT_THAT(object_.Await(users_.Replace(User("ann", "first"))), IsOkAnd(Eq(std::nullopt)));
  object_.Settle();
  EXPECT_THAT(object_.Await(users_.Replace(User("ann", "second"))),
              IsOkAnd(testing::Optional(IsRow(User("ann", "first")))));
  EXPECT_THAT(object_.Await(users_.Get(TextKey("ann"))), IsOkAnd(testing::Optional(IsRow(User("ann", "second")))));
  EXPECT_THAT(object_.Await(users_.Count(KeyRange::All())), IsOkAnd(1));
  EXPECT_EQ(KeysOfKind(kIndexKind).size(), 2u);
}

TEST_P(TableTest, DeleteTellsWhetherThereWasOne) {
  ASSERT_THAT(object_.Await(users_.Insert(User("ann", "e"))), IsOk());
  object_.Settle();
  EXPECT_THAT(object_.Await(users_.Delete(TextKey("bob"))), IsOkAnd(false));
  EXPECT_FALSE(object_.storage().wrote());
  EXPECT_THAT(object_.Await(users_.Delete(TextKey("ann"))), IsOkAnd(true));
  EXPECT_THAT(object_.Await(users_.Delete(TextKey("ann"))), IsOkAnd(false));
  EXPECT_THAT(object_.All(), IsEmpty());
}

TEST_P(TableTest, ScanIsInTheOrderOfPrimaryKeys) {
  for (const int64_t sequence : {int64_t{5}, int64_t{-1}, INT64_MAX, int64_t{0}, INT64_MIN, int64_t{256}}) {
    ASSERT_THAT(object_.Await(items_.Insert(Item(sequence, "item"))), IsOk());
  }
  const std::string ascending = absl::StrCat(INT64_MIN, " ", -1, " ", 0, " ", 5, " ", 256, " ", INT64_MAX, " ");
  EXPECT_EQ(Sequences(object_.Await(items_.Scan(KeyRange::All()))), ascending);
  object_.Settle();
  EXPECT_EQ(Sequences(object_.Await(items_.Scan(KeyRange::All()))), ascending);
  EXPECT_EQ(Sequences(object_.Await(items_.Scan({NumberKey(-1), NumberKey(256)}))), "-1 0 5 ");
  EXPECT_EQ(Sequences(object_.Await(items_.Scan({NumberKey(5), ""}))), absl::StrCat("5 256 ", INT64_MAX, " "));
  EXPECT_EQ(Sequences(object_.Await(items_.Scan({NumberKey(0), NumberKey(257)}, {.reverse = true}))), "256 5 0 ");
  EXPECT_EQ(Sequences(object_.Await(items_.Scan({NumberKey(5), NumberKey(5)}))), "");
}

TEST_P(TableTest, ScanEndsAtItsBounds) {
  for (int i = 0; i < 10; ++i) ASSERT_THAT(object_.Await(items_.Insert(Item(i, std::string(96, 'x')))), IsOk());
  object_.Settle();
  const size_t row_bytes = Item(1, std::string(96, 'x')).SerializeAsString().size();
  EXPECT_EQ(Sequences(object_.Await(items_.Scan(KeyRange::All(), {.rows_max = 3}))), "0 1 2 ");
  EXPECT_EQ(Sequences(object_.Await(items_.Scan(KeyRange::All(), {.reverse = true, .rows_max = 2}))), "9 8 ");
  EXPECT_EQ(Sequences(object_.Await(items_.Scan(KeyRange::All(), {.rows_max = 0}))), "");
  const KeyRange from_one{NumberKey(1), ""};
  EXPECT_EQ(Sequences(object_.Await(items_.Scan(from_one, {.bytes_max = 2 * row_bytes}))), "1 2 ");
  EXPECT_EQ(Sequences(object_.Await(items_.Scan(from_one, {.bytes_max = 2 * row_bytes + 1}))), "1 2 3 ");
  EXPECT_EQ(Sequences(object_.Await(items_.Scan(from_one, {.bytes_max = 1}))), "1 ");
}

TEST_P(TableTest, CountAndDeleteRangeAgree) {
  for (int i = 0; i < 20; ++i) ASSERT_THAT(object_.Await(users_.Insert(User(absl::StrCat(100 + i), "e", i))), IsOk());
  object_.Settle();
  const KeyRange middle{TextKey("105"), TextKey("110")};
  EXPECT_THAT(object_.Await(users_.Count(middle)), IsOkAnd(5));
  EXPECT_THAT(object_.Await(users_.DeleteRange(middle)), IsOkAnd(5));
  EXPECT_THAT(object_.Await(users_.Count(middle)), IsOkAnd(0));
  EXPECT_THAT(object_.Await(users_.DeleteRange(middle)), IsOkAnd(0));
  EXPECT_THAT(object_.Await(users_.Count(KeyRange::All())), IsOkAnd(15));
  EXPECT_EQ(KeysOfKind(kIndexKind).size(), 30u);
  EXPECT_THAT(object_.Await(users_.DeleteRange(KeyRange::All())), IsOkAnd(15));
  EXPECT_THAT(object_.All(), IsEmpty());
}

// More than a thousand rows are removed as one range, unless there is an index to keep.
TEST_P(TableTest, DeleteRangeOfMany) {
  for (int i = 0; i < 1001; ++i) {
    items_.Write(Item(i, ""), nullptr);
    users_.Write(User(absl::StrCat(i), "e", i), nullptr);
  }
  object_.Settle();
  EXPECT_THAT(object_.Await(items_.DeleteRange({NumberKey(1), ""})), IsOkAnd(1000));
  EXPECT_TRUE(object_.storage().writes().removed().empty());
  object_.storage().DropTurn();
  EXPECT_THAT(object_.Await(items_.DeleteRange(KeyRange::All())), IsOkAnd(1001));
  EXPECT_EQ(object_.storage().writes().removed().size(), 1u);
  EXPECT_THAT(object_.Await(users_.DeleteRange(KeyRange::All())), IsOkAnd(1001));
  EXPECT_EQ(object_.storage().writes().removed().size(), 1u);
  EXPECT_EQ(object_.All().size(), 0u);
  object_.Settle();
  EXPECT_EQ(object_.All().size(), 0u);
}

TEST_P(TableTest, TablesDoNotMix) {
  Table<PendingItemRow> next(&object_.storage(), &ItemSpec(3));
  Table<PendingItemRow> last(&object_.storage(), &ItemSpec(0xffff));
  for (Table<PendingItemRow>* table : {&items_, &next, &last}) {
    ASSERT_THAT(object_.Await(table->Insert(Item(1, "first"))), IsOk());
    ASSERT_THAT(object_.Await(table->Insert(Item(INT64_MAX, "last"))), IsOk());
  }
  ASSERT_THAT(object_.Await(users_.Insert(User("ann", "e"))), IsOk());
  ASSERT_THAT(object_.storage().Put("key", "value"), IsOk());
  object_.Settle();
  EXPECT_THAT(object_.Await(last.Count(KeyRange::All())), IsOkAnd(2));
  EXPECT_THAT(object_.Await(items_.DeleteRange({NumberKey(1), ""})), IsOkAnd(2));
  EXPECT_THAT(object_.Await(next.Count(KeyRange::All())), IsOkAnd(2));
  EXPECT_THAT(object_.Await(last.DeleteRange(KeyRange::All())), IsOkAnd(2));
  EXPECT_THAT(object_.Await(users_.Count(KeyRange::All())), IsOkAnd(1));
  EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByEmail, KeyRange::All(), 10))), "ann ");
  EXPECT_THAT(object_.Await(object_.storage().List({})), IsOkAnd(SizeIs(1)));
}

TEST_P(TableTest, IndexScanIsInTheOrderOfTheIndex) {
  for (const UserRow& row : {User("1", "b", -1), User("2", "a", 7), User("3", "b", -9), User("4", "", 0)}) {
    ASSERT_THAT(object_.Await(users_.Insert(row)), IsOk());
  }
  for (const bool settled : {false, true}) {
    if (settled) object_.Settle();
    EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByEmail, KeyRange::All(), 10))), "4 2 1 3 ");
    EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByRevision, KeyRange::All(), 10))), "3 1 4 2 ");
    EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByEmail, KeyRange::Prefix(TextKey("b")), 10))), "1 3 ");
    EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByEmail, {TextKey("a"), TextKey("b")}, 10))), "2 ");
    EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByRevision, {NumberKey(-1), ""}, 2))), "1 4 ");
    EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByEmail, {TextKey("c"), ""}, 10))), "");
  }
}

TEST_P(TableTest, IndexScanOfNoRowsIsEmpty) {
  ASSERT_THAT(object_.Await(users_.Insert(User("1", "a"))), IsOk());
  EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByEmail, KeyRange::All(), 0))), "");
}

TEST_P(TableTest, IndexFollowsTheRow) {
  ASSERT_THAT(object_.Await(users_.Insert(User("1", "old", 5))), IsOk());
  object_.Settle();
  ASSERT_THAT(object_.Await(users_.Replace(User("1", "new", 5))), IsOk());
  for (const bool settled : {false, true}) {
    if (settled) object_.Settle();
    EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByEmail, KeyRange::Prefix(TextKey("old")), 10))), "");
    EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByEmail, KeyRange::Prefix(TextKey("new")), 10))), "1 ");
    EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByRevision, KeyRange::All(), 10))), "1 ");
    EXPECT_EQ(KeysOfKind(kIndexKind).size(), 2u);
  }
  ASSERT_THAT(object_.Await(users_.Replace(User("1", "old", 5))), IsOk());
  ASSERT_THAT(object_.Await(users_.Replace(User("1", "new", 5))), IsOk());
  EXPECT_EQ(Ids(object_.Await(users_.ScanIndex(kByEmail, KeyRange::All(), 10))), "1 ");
  EXPECT_EQ(KeysOfKind(kIndexKind).size(), 2u);
}

TEST_P(TableTest, GarbledRowIsDataLoss) {
  ASSERT_THAT(object_.Await(users_.Insert(User("1", "e"))), IsOk());
  ASSERT_THAT(object_.Await(users_.Insert(User("2", "e"))), IsOk());
  std::string row_key(1, kRowKind);
  AppendUint16(&row_key, UserSpec().id);
  row_key += TextKey("2");
  object_.storage().writes().Put(row_key, "\xff garbled");
  object_.Settle();
  const auto data_loss = IsStatus(absl::StatusCode::kDataLoss, "garbled");
  EXPECT_THAT(object_.Await(users_.Get(TextKey("2"))), data_loss);
  EXPECT_THAT(object_.Await(users_.Replace(User("2", "f"))), data_loss);
  EXPECT_THAT(object_.Await(users_.Delete(TextKey("2"))), data_loss);
  EXPECT_THAT(object_.Await(users_.Scan(KeyRange::All())), data_loss);
  EXPECT_THAT(object_.Await(users_.Scan(KeyRange::All(), {.reverse = true})), data_loss);
  EXPECT_THAT(object_.Await(users_.DeleteRange(KeyRange::All())), data_loss);
  EXPECT_THAT(object_.Await(users_.ScanIndex(kByEmail, KeyRange::All(), 10)), data_loss);
  EXPECT_FALSE(object_.storage().wrote());
  EXPECT_EQ(Ids(object_.Await(users_.Scan(KeyRange::All(), {.rows_max = 1}))), "1 ");
}

TEST_P(TableTest, ManyRowsAreReadAwayFromTheExecutor) {
  for (int i = 0; i < 2 * View::kInlineEntriesMax; ++i) users_.Write(User(absl::StrCat(i), "e", i), nullptr);
  object_.Settle();
  EXPECT_THAT(object_.Await(users_.Scan(KeyRange::All())), IsOkAnd(SizeIs(2 * View::kInlineEntriesMax)));
  EXPECT_EQ(object_.disk_reads(), 1);
  EXPECT_THAT(object_.Await(users_.Count(KeyRange::All())), IsOkAnd(2 * View::kInlineEntriesMax));
  EXPECT_EQ(object_.disk_reads(), 2);
  EXPECT_THAT(object_.Await(users_.ScanIndex(kByRevision, KeyRange::All(), SIZE_MAX)),
              IsOkAnd(SizeIs(2 * View::kInlineEntriesMax)));
  EXPECT_EQ(object_.disk_reads(), 3);
  // With RocksDB every walk may have to wait for the disk, and with PostgreSQL each of many rows.
  EXPECT_THAT(object_.Await(users_.Scan(KeyRange::All(), {.rows_max = 100})), IsOkAnd(SizeIs(100)));
  // Writes that are not folded yet are in memory anyway.
  if (GetParam() == StoreKind::kPostgresLogged || GetParam() == StoreKind::kPostgresDivided) return;
  const bool on_disk =
      GetParam() == StoreKind::kRocksDb || GetParam() == StoreKind::kLoggedFiles || GetParam() == StoreKind::kPostgres;
  EXPECT_EQ(object_.disk_reads(), on_disk ? 4 : 3);
}

// Random calls are compared with a plain map. The index has an entry for each row, and no other: no key is stale.
TEST_P(TableTest, RandomRowsAreThoseOfAPlainMap) {
  ForEachSeed(25, [](Random& random) {
    AnyStore store(GetParam());
    auto* memory_store = dynamic_cast<MemoryStore*>(store.get());
    ObjectHarness object(store.get());
    Table<UserRow> users(&object.storage(), &UserSpec());
    std::map<std::string, UserRow> committed;
    std::map<std::string, UserRow> model;
    const auto random_row = [&] {
      return User(random.Text(2, absl::string_view("\x00\x61\x62", 3)),
                  random.Text(2, absl::string_view("\x00\x61", 2)), static_cast<int64_t>(random.Below(3)) - 1);
    };
    const auto random_range = [&] {
      KeyRange range{TextKey(random_row().id()), random.OneIn(3) ? "" : TextKey(random_row().id())};
      if (range.IsEmpty()) std::swap(range.start, range.end);
      return range;
    };
    for (int step = 0; step < 100; ++step) {
      if (memory_store != nullptr) memory_store->set_cold(random.OneIn(3));
      switch (random.Below(9)) {
        case 0:
        case 1: {
          const UserRow row = random_row();
          const bool exists = model.count(row.id()) > 0;
          const absl::Status status = object.Await(users.Insert(row)).status();
          ASSERT_EQ(status.code(), exists ? absl::StatusCode::kAlreadyExists : absl::StatusCode::kOk);
          model.try_emplace(row.id(), row);
          break;
        }
        case 2:
        case 3: {
          const UserRow row = random_row();
          auto old = object.Await(users.Replace(row));
          ASSERT_THAT(old, IsOk());
          ASSERT_EQ(old->has_value(), model.count(row.id()) > 0);
          if (*old) ASSERT_THAT(**old, IsRow(model[row.id()]));
          model[row.id()] = row;
          break;
        }
        case 4: {
          const std::string id = random_row().id();
          ASSERT_THAT(object.Await(users.Delete(TextKey(id))), IsOkAnd(model.erase(id) > 0));
          break;
        }
        case 5: {
          if (!random.OneIn(3)) break;
          const KeyRange range = random_range();
          const auto erased = std::erase_if(model, [&](const auto& row) { return range.Contains(TextKey(row.first)); });
          ASSERT_THAT(object.Await(users.DeleteRange(range)), IsOkAnd(static_cast<int64_t>(erased)));
          break;
        }
        case 6:
          random.OneIn(2) ? object.EndTurn() : object.Settle();
          committed = model;
          break;
        case 7:
          object.pipeline().Submit();
          break;
        default:
          if (!random.OneIn(3)) break;
          object.storage().DropTurn();
          model = committed;
      }

      std::vector<std::string> expected_index;
      for (const auto& [id, row] : model) {
        expected_index.push_back(std::string("\x21\0\x01\0\x01", 5) + TextKey(row.email()) + TextKey(id));
        expected_index.push_back(std::string("\x21\0\x01\0\x02", 5) + NumberKey(row.revision()) + TextKey(id));
      }
      std::sort(expected_index.begin(), expected_index.end());
      std::vector<std::string> index;
      size_t rows = 0;
      for (const auto& [key, value] : object.All()) key[0] == kIndexKind ? index.push_back(key) : (void)++rows;
      ASSERT_EQ(index, expected_index) << "step " << step;
      ASSERT_EQ(rows, model.size());

      const KeyRange range = random_range();
      const bool reverse = random.OneIn(2);
      std::vector<UserRow> expected;
      for (const auto& [id, row] : model) {
        if (range.Contains(TextKey(id))) expected.push_back(row);
      }
      ASSERT_THAT(object.Await(users.Count(range)), IsOkAnd(static_cast<int64_t>(expected.size())));
      if (reverse) std::reverse(expected.begin(), expected.end());
      ASSERT_EQ(Ids(object.Await(users.Scan(range, {.reverse = reverse}))), Ids(expected));

      std::vector<UserRow> by_revision;
      for (const auto& [id, row] : model) by_revision.push_back(row);
      std::stable_sort(by_revision.begin(), by_revision.end(),
                       [](const UserRow& a, const UserRow& b) { return a.revision() < b.revision(); });
      const size_t rows_max = 1 + random.Below(4);
      if (by_revision.size() > rows_max) by_revision.resize(rows_max);
      ASSERT_EQ(Ids(object.Await(users.ScanIndex(kByRevision, KeyRange::All(), rows_max))), Ids(by_revision));
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Stores, TableTest, AllStores(), StoreName);

}  // namespace
}  // namespace holdfast::storage
