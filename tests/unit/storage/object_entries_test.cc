// What an object's keys do for whoever uses them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/object/object_storage.h"
#include "storage/store/format.h"
#include "storage/store/memory_store.h"
#include "tests/unit/storage/object_harness.h"
#include "tests/unit/storage/status_matchers.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// Keys mean the same wherever they are on their way from a turn to the disk.
enum class Where { kTurn, kFilling, kInFlight, kStored, kCold };

std::string WhereName(const testing::TestParamInfo<Where>& info) {
  static constexpr const char* kNames[] = {"Turn", "Filling", "InFlight", "Stored", "Cold"};
  return kNames[static_cast<int>(info.param)];
}

class EntriesTest : public testing::TestWithParam<Where> {
 protected:
  // Moves what was written so far to where the test is about.
  void Lay() {
    if (GetParam() == Where::kTurn) return;
    object_.EndTurn();
    if (GetParam() == Where::kFilling) return;
    object_.pipeline().Submit();
    if (GetParam() == Where::kInFlight) return;
    object_.commits().RunAll();
    store_.set_cold(GetParam() == Where::kCold);
  }
  void PutAndLay(const std::vector<Entry>& entries) {
    for (const auto& [key, value] : entries) ASSERT_THAT(storage_.Put(key, value), IsOk());
    Lay();
  }

  absl::StatusOr<std::optional<std::string>> Get(absl::string_view key) { return object_.Await(storage_.Get(key)); }
  absl::StatusOr<std::map<std::string, std::string>> GetMany(const std::vector<std::string>& keys) {
    return object_.Await(storage_.GetMany(keys));
  }
  absl::StatusOr<int64_t> Delete(const std::vector<std::string>& keys) { return object_.Await(storage_.Delete(keys)); }
  absl::StatusOr<bool> DeleteAll(bool keep_alarm = false) { return object_.Await(storage_.DeleteAll(keep_alarm)); }
  // The keys that it lists, with a space after each.
  std::string List(const ListOptions& options = {}) {
    auto entries = object_.Await(storage_.List(options));
    if (!entries.ok()) return entries.status().ToString();
    std::string keys;
    for (const auto& [key, value] : *entries) absl::StrAppend(&keys, key, " ");
    return keys;
  }

  MemoryStore store_;
  ObjectHarness object_{&store_};
  ObjectStorage& storage_ = object_.storage();
};

TEST_P(EntriesTest, MissingKeyIsAbsent) {
  PutAndLay({{"a", "1"}});
  EXPECT_THAT(Get("b"), IsOkAnd(Eq(std::nullopt)));
  EXPECT_THAT(Get("a "), IsOkAnd(Eq(std::nullopt)));
}

TEST_P(EntriesTest, BytesComeBack) {
  std::string every_byte;
  for (int c = 0; c < 256; ++c) every_byte.push_back(static_cast<char>(c));
  PutAndLay({{"bytes", every_byte}, {"empty", ""}, {every_byte, "of a key with every byte"}});
  EXPECT_THAT(Get("bytes"), IsOkAnd(Optional(every_byte)));
  EXPECT_THAT(Get("empty"), IsOkAnd(Optional(std::string())));
  EXPECT_THAT(Get(every_byte), IsOkAnd(Optional(std::string("of a key with every byte"))));
}

TEST_P(EntriesTest, LastPutCounts) {
  PutAndLay({{"a", "1"}});
  ASSERT_THAT(storage_.Put("a", "2"), IsOk());
  EXPECT_THAT(Get("a"), IsOkAnd(Optional(std::string("2"))));
}

TEST_P(EntriesTest, GetManyIsSortedWithoutTheMissing) {
  PutAndLay({{"c", "3"}, {"a", "1"}, {"b", "2"}});
  EXPECT_THAT(GetMany({"c", "x", "a", "c"}), IsOkAnd(ElementsAre(Pair("a", "1"), Pair("c", "3"))));
  EXPECT_THAT(GetMany({}), IsOkAnd(IsEmpty()));
}

TEST_P(EntriesTest, DeleteTellsHowManyExisted) {
  PutAndLay({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  EXPECT_THAT(Delete({"a"}), IsOkAnd(1));
  EXPECT_THAT(Delete({"a"}), IsOkAnd(0));
  EXPECT_THAT(Delete({"b", "x", "a", "c", "b"}), IsOkAnd(2));
  EXPECT_THAT(Delete({}), IsOkAnd(0));
  EXPECT_EQ(List(), "");
}

TEST_P(EntriesTest, ListIsInByteOrder) {
  PutAndLay({{"b", ""}, {"a\xff", ""}, {"\xff", ""}, {"a", ""}, {"B", ""}, {"aa", ""}, {"\x01", ""}});
  EXPECT_EQ(List(), "\x01 B a aa a\xff b \xff ");
}

TEST_P(EntriesTest, ListBoundsAreAsNamed) {
  PutAndLay({{"a", ""}, {"b", ""}, {"b0", ""}, {"c", ""}, {"d", ""}});
  EXPECT_EQ(List({.start = "b"}), "b b0 c d ");
  EXPECT_EQ(List({.start_after = "b"}), "b0 c d ");
  EXPECT_EQ(List({.end = "c"}), "a b b0 ");
  EXPECT_EQ(List({.start = "b", .end = "c"}), "b b0 ");
  EXPECT_EQ(List({.start_after = "b", .end = "b0"}), "");
  EXPECT_EQ(List({.start = "c", .end = "b"}), "");
  EXPECT_EQ(List({.start = "b", .end = "b"}), "");
  EXPECT_EQ(List({.start = ""}), "a b b0 c d ");
  EXPECT_EQ(List({.start_after = ""}), "a b b0 c d ");
  EXPECT_EQ(List({.end = ""}), "");
  EXPECT_EQ(List({.start = "\xff\xff"}), "");
}

TEST_P(EntriesTest, StartAndStartAfterExcludeEachOther) {
  PutAndLay({{"a", ""}});
  EXPECT_THAT(object_.Await(storage_.List({.start = "a", .start_after = "a"})), IsStatus(kInvalid, "start_after"));
}

TEST_P(EntriesTest, PrefixClampsTheBounds) {
  PutAndLay({{"a", ""}, {"b", ""}, {"b1", ""}, {"b2", ""}, {"b3", ""}, {"c", ""}});
  EXPECT_EQ(List({.prefix = "b"}), "b b1 b2 b3 ");
  EXPECT_EQ(List({.start = "a", .end = "z", .prefix = "b"}), "b b1 b2 b3 ");
  EXPECT_EQ(List({.start = "b2", .prefix = "b"}), "b2 b3 ");
  EXPECT_EQ(List({.start_after = "b2", .prefix = "b"}), "b3 ");
  EXPECT_EQ(List({.start_after = "a", .prefix = "b"}), "b b1 b2 b3 ");
  EXPECT_EQ(List({.end = "b2", .prefix = "b"}), "b b1 ");
  EXPECT_EQ(List({.start = "c", .prefix = "b"}), "");
  EXPECT_EQ(List({.end = "a", .prefix = "b"}), "");
  EXPECT_EQ(List({.prefix = "bb"}), "");
}

TEST_P(EntriesTest, PrefixOfFFWorks) {
  PutAndLay({{"a", ""}, {"\xfe", ""}, {"\xff", ""}, {"\xff\xff", ""}, {"\xff\xff\xff", ""}});
  EXPECT_EQ(List({.prefix = "\xff"}), "\xff \xff\xff \xff\xff\xff ");
  EXPECT_EQ(List({.prefix = "\xff\xff"}), "\xff\xff \xff\xff\xff ");
  EXPECT_EQ(List({.prefix = "\xff", .reverse = true, .limit = 1}), "\xff\xff\xff ");
}

TEST_P(EntriesTest, ReverseKeepsTheMeaningOfBounds) {
  PutAndLay({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}});
  EXPECT_EQ(List({.reverse = true}), "d c b a ");
  EXPECT_EQ(List({.start = "b", .end = "d", .reverse = true}), "c b ");
  EXPECT_EQ(List({.start_after = "b", .reverse = true}), "d c ");
  EXPECT_EQ(List({.reverse = true, .limit = 2}), "d c ");
  EXPECT_EQ(List({.end = "c", .reverse = true, .limit = 1}), "b ");
}

TEST_P(EntriesTest, LimitIsAtLeastOne) {
  PutAndLay({{"a", ""}, {"b", ""}});
  EXPECT_EQ(List({.limit = 1}), "a ");
  EXPECT_EQ(List({.limit = 2}), "a b ");
  EXPECT_EQ(List({.limit = 3}), "a b ");
  for (const int64_t limit : {int64_t{0}, int64_t{-1}, INT64_MIN}) {
    EXPECT_THAT(object_.Await(storage_.List({.limit = limit})), IsStatus(kInvalid, "limit"));
  }
}

TEST_P(EntriesTest, ListEndsWithTheEntryThatFillsItsBytes) {
  PutAndLay({{"a", "123"}, {"b", "123"}, {"c", ""}});
  // Keys and values count as a caller sees them.
  EXPECT_EQ(List({.bytes_max = 4}), "a ");
  EXPECT_EQ(List({.bytes_max = 5}), "a b ");
  EXPECT_EQ(List({.bytes_max = 8}), "a b ");
  EXPECT_EQ(List({.bytes_max = 9}), "a b c ");
}

TEST_P(EntriesTest, NulIsAByteOfAKeyLikeAnyOther) {
  const std::string nul("a\0", 2);
  const std::string nul_b("a\0b", 3);
  PutAndLay({{"a", "1"}, {nul, "2"}, {nul_b, "3"}, {"aa", "4"}});
  EXPECT_THAT(Get(nul), IsOkAnd(Optional(std::string("2"))));
  EXPECT_EQ(List(), "a " + nul + " " + nul_b + " aa ");
  EXPECT_EQ(List({.start_after = "a"}), nul + " " + nul_b + " aa ");
  EXPECT_EQ(List({.start_after = nul}), nul_b + " aa ");
  EXPECT_EQ(List({.end = nul_b}), "a " + nul + " ");
  EXPECT_EQ(List({.prefix = nul}), nul + " " + nul_b + " ");
  EXPECT_THAT(Delete({nul}), IsOkAnd(1));
  EXPECT_EQ(List(), "a " + nul_b + " aa ");
}

TEST_P(EntriesTest, KeysUpToTheLimit) {
  const std::string longest(kEntryKeyBytesMax, '\xff');
  PutAndLay({{longest, "longest"}, {longest.substr(1), "shorter"}});
  EXPECT_THAT(Get(longest), IsOkAnd(Optional(std::string("longest"))));
  EXPECT_THAT(Get(longest.substr(1)), IsOkAnd(Optional(std::string("shorter"))));
  for (const std::string& bad : {longest + "x", std::string()}) {
    EXPECT_THAT(storage_.Put(bad, ""), IsStatus(kInvalid, "key"));
    EXPECT_THAT(Get(bad), IsStatus(kInvalid, "key"));
    EXPECT_THAT(GetMany({"a", bad}), IsStatus(kInvalid, "key"));
    EXPECT_THAT(Delete({longest, bad}), IsStatus(kInvalid, "key"));
  }
  EXPECT_EQ(List(), longest.substr(1) + " " + longest + " ");
}

TEST_P(EntriesTest, ValuesUpToTheLimit) {
  const std::string longest(kEntryValueBytesMax, 'x');
  PutAndLay({{"longest", longest}, {"shorter", longest.substr(1)}});
  EXPECT_TRUE(Get("longest").value() == longest);
  EXPECT_TRUE(Get("shorter").value() == longest.substr(1));
  EXPECT_THAT(storage_.Put("longer", longest + "x"), IsStatus(kInvalid, "value"));
  EXPECT_EQ(List(), "longest shorter ");
}

TEST_P(EntriesTest, KeysOfACallUpToTheLimit) {
  std::vector<std::string> keys;
  for (size_t i = 0; i < kEntriesPerCallMax; ++i) {
    keys.push_back(absl::StrCat(i));
    ASSERT_THAT(storage_.Put(keys.back(), ""), IsOk());
  }
  Lay();
  EXPECT_EQ(GetMany(keys)->size(), kEntriesPerCallMax);
  keys.push_back("0");
  EXPECT_THAT(GetMany(keys), IsStatus(kInvalid, "129"));
  EXPECT_THAT(Delete(keys), IsStatus(kInvalid, "129"));
  keys.pop_back();
  EXPECT_THAT(Get("0"), IsOkAnd(Optional(std::string())));
  EXPECT_THAT(Delete(keys), IsOkAnd(static_cast<int64_t>(kEntriesPerCallMax)));
}

TEST_P(EntriesTest, OtherKindsOfKeysAreNotListed) {
  for (const char kind : {kObjectHeaderKind, kAlarmKind, kRowKind, kIndexKind}) {
    storage_.writes().Put(std::string(1, kind) + "a", "");
    storage_.writes().Put(std::string(1, kind), "");
  }
  PutAndLay({{"a", ""}, {"b", ""}});
  EXPECT_EQ(List(), "a b ");
  EXPECT_EQ(List({.reverse = true}), "b a ");
  EXPECT_EQ(List({.end = "\xff\xff", .reverse = true}), "b a ");
}

TEST_P(EntriesTest, DeleteAllDeletesEveryKind) {
  for (const char kind : {kObjectHeaderKind, kAlarmKind, kRowKind, kIndexKind}) {
    storage_.writes().Put(std::string(1, kind) + "a", "");
  }
  PutAndLay({{"a", ""}, {"b", ""}});
  EXPECT_THAT(DeleteAll(), IsOkAnd(true));
  EXPECT_THAT(object_.All(), IsEmpty());
  EXPECT_TRUE(storage_.deleted_all());
  object_.Settle();
  EXPECT_THAT(Dump(store_, FamilyId::kPacked), IsEmpty());
}

TEST_P(EntriesTest, DeleteAllOfNothingIsFine) {
  Lay();
  EXPECT_THAT(DeleteAll(), IsOkAnd(false));
  EXPECT_TRUE(storage_.wrote());
  EXPECT_TRUE(storage_.deleted_all());
}

TEST_P(EntriesTest, DeleteAllLeavesNeighboursAlone) {
  WriteSet neighbour;
  neighbour.Put("k", "");
  for (const char* prefix : {"object", "object.", "object0"}) {
    ASSERT_THAT(Commit(store_, {{{FamilyId::kPacked, prefix}, neighbour}}), IsOk());
  }
  PutAndLay({{"a", ""}});
  EXPECT_THAT(DeleteAll(), IsOkAnd(true));
  object_.Settle();
  EXPECT_EQ(Dump(store_, FamilyId::kPacked).size(), 3u);
}

TEST_P(EntriesTest, PutAfterDeleteAllStays) {
  PutAndLay({{"a", "old"}, {"b", "old"}});
  EXPECT_THAT(DeleteAll(), IsOkAnd(true));
  ASSERT_THAT(storage_.Put("b", "new"), IsOk());
  EXPECT_EQ(List(), "b ");
  object_.Settle();
  EXPECT_EQ(List(), "b ");
  EXPECT_THAT(Get("b"), IsOkAnd(Optional(std::string("new"))));
}

// Up to a thousand keys are removed one by one, more as a range; the boundary is to be seen in the turn only.
TEST_P(EntriesTest, DeleteAllOfAThousandKeysAndMore) {
  for (const int count : {1000, 1001}) {
    SCOPED_TRACE(count);
    for (int i = 0; i < count; ++i) ASSERT_THAT(storage_.Put(absl::StrCat(i), "old"), IsOk());
    Lay();
    EXPECT_THAT(DeleteAll(), IsOkAnd(true));
    EXPECT_EQ(storage_.writes().removed().size(), count > 1000 ? 1u : 0u);
    EXPECT_THAT(object_.All(), IsEmpty());
    ASSERT_THAT(storage_.Put("after", ""), IsOk());
    object_.Settle();
    EXPECT_THAT(Dump(store_, FamilyId::kPacked), ElementsAre(Pair("object/\x10"
                                                                  "after",
                                                                  "")));
    EXPECT_THAT(Delete({"after"}), IsOkAnd(1));
    object_.Settle();
    store_.set_cold(false);
  }
}

TEST_P(EntriesTest, DeleteThenDeleteAllLeavesNothing) {
  PutAndLay({{"a", ""}, {"b", ""}});
  EXPECT_THAT(Delete({"a"}), IsOkAnd(1));
  EXPECT_THAT(DeleteAll(), IsOkAnd(true));
  EXPECT_EQ(List(), "");
  object_.Settle();
  EXPECT_THAT(Dump(store_, FamilyId::kPacked), IsEmpty());
}

TEST_P(EntriesTest, DeleteAllTwiceLeavesNothing) {
  for (const int count : {2, 1001}) {
    SCOPED_TRACE(count);
    for (int i = 0; i < count; ++i) ASSERT_THAT(storage_.Put(absl::StrCat(i), ""), IsOk());
    Lay();
    EXPECT_THAT(DeleteAll(), IsOkAnd(true));
    ASSERT_THAT(storage_.Put("between", ""), IsOk());
    EXPECT_THAT(DeleteAll(), IsOkAnd(true));
    EXPECT_THAT(DeleteAll(), IsOkAnd(false));
    EXPECT_EQ(object_.All().size(), 0u);
    object_.Settle();
    EXPECT_EQ(Dump(store_, FamilyId::kPacked).size(), 0u);
    store_.set_cold(false);
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, EntriesTest,
                         testing::Values(Where::kTurn, Where::kFilling, Where::kInFlight, Where::kStored, Where::kCold),
                         WhereName);

}  // namespace
}  // namespace holdfast::storage
