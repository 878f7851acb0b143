#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "storage/format.h"
#include "storage/memory_store.h"
#include "storage/sql/page_source.h"
#include "storage/sql/pages.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/sql_harness.h"

namespace holdfast::storage::sql {
namespace {

std::string Page(char fill) { return std::string(kPageBytes, fill); }

std::vector<std::string> Split(const std::string& file) {
  std::vector<std::string> pages;
  for (size_t at = 0; at < file.size(); at += kPageBytes) pages.push_back(file.substr(at, kPageBytes));
  return pages;
}

constexpr int64_t kCountedBytes = 4096 + 5;

TEST(SqlPages, KeysAreAsDocumented) {
  EXPECT_EQ(PageKey(0x01020304), std::string("\x31\x01\x02\x03\x04"));
  EXPECT_TRUE(DatabaseRange().Contains(kSqlDatabaseKey));
  EXPECT_TRUE(DatabaseRange().Contains(PageKey(1)));
  EXPECT_TRUE(DatabaseRange().Contains(PageKey(0xffffffff)));
  EXPECT_FALSE(DatabaseRange().Contains(std::string(1, kIndexKind) + "x"));
}

TEST(SqlPages, ADroppedTurnLeavesNothing) {
  SqlObject object;
  EXPECT_THAT(object.pages().WritePage(1, Page('a')), IsOk());
  object.EndTurn();
  const Entries before = object.object().All();
  EXPECT_THAT(object.pages().WritePage(1, Page('b')), IsOk());
  EXPECT_THAT(object.pages().WritePage(7, Page('c')), IsOk());
  EXPECT_THAT(object.pages().Truncate(3), IsOk());
  EXPECT_TRUE(object.pages().wrote());
  object.DropTurn();
  EXPECT_FALSE(object.pages().wrote());
  EXPECT_EQ(object.object().All(), before);
  EXPECT_EQ(object.File(), Page('a'));
}

// So far as SQLite has counted pages that it never writes: free ones, and the one with the lock byte.
TEST(SqlPages, PagesThatWereLeftOutAreZeros) {
  SqlObject object;
  EXPECT_THAT(object.pages().WritePage(3, Page('c')), IsOk());
  const std::string expected = Page('\0') + Page('\0') + Page('c');
  EXPECT_EQ(object.File(), expected);
  object.EndTurn();
  EXPECT_EQ(object.File(), expected);
  EXPECT_EQ(object.object().All().at(PageKey(2)), "");
  EXPECT_EQ(object.usage().size_bytes(), 3 * kCountedBytes);
}

// What was there before the database became shorter must not come back.
TEST(SqlPages, CutOffAndLongAgainInOneTurn) {
  SqlObject object;
  for (uint32_t number = 1; number <= 4; ++number) EXPECT_THAT(object.pages().WritePage(number, Page('a')), IsOk());
  object.EndTurn();
  EXPECT_THAT(object.pages().Truncate(1), IsOk());
  EXPECT_THAT(object.pages().WritePage(5, Page('e')), IsOk());
  EXPECT_THAT(object.pages().Truncate(4), IsOk());
  const std::string expected = Page('a') + Page('\0') + Page('\0') + Page('\0');
  EXPECT_EQ(object.File(), expected);
  EXPECT_TRUE(object.pages().wrote());
  object.EndTurn();
  object.Reopen();
  EXPECT_EQ(object.File(), expected);
}

TEST(SqlPages, ManyPagesAreRemovedAsARange) {
  SqlObject object;
  for (uint32_t number = 1; number <= 1200; ++number) EXPECT_THAT(object.pages().WritePage(number, Page('a')), IsOk());
  object.EndTurn();
  EXPECT_THAT(object.pages().Truncate(2), IsOk());
  EXPECT_THAT(object.pages().WritePage(3, Page('b')), IsOk());
  object.pages().JoinTurn(&object.object().storage().writes(), &object.object().storage().usage());
  EXPECT_EQ(object.object().storage().writes().removed().size(), 1u);
  object.EndTurn();
  EXPECT_EQ(object.File(), Page('a') + Page('a') + Page('b'));
  EXPECT_EQ(object.object().All().size(), 4u);
  EXPECT_EQ(object.usage().size_bytes(), 3 * kCountedBytes);
}

TEST(SqlPages, ATurnIsBounded) {
  SqlObject object({}, 2 * kPageBytes);
  EXPECT_THAT(object.pages().WritePage(1, Page('a')), IsOk());
  EXPECT_THAT(object.pages().WritePage(2, Page('b')), IsOk());
  EXPECT_THAT(object.pages().WritePage(3, Page('c')), IsStatus(absl::StatusCode::kResourceExhausted, "8192 bytes"));
  EXPECT_THAT(object.pages().WritePage(2, Page('d')), IsOk()) << "it holds that one already";
  EXPECT_EQ(object.PageCount(), 2u);
}

TEST(SqlPages, TellsThatTheDiskIsNeeded) {
  SqlObject object;
  EXPECT_THAT(object.pages().WritePage(1, Page('a')), IsOk());
  object.EndTurn();
  object.Settle();
  object.set_tier(ReadTier::kMemory);
  object.store().set_cold(true);
  object.DropTurn();
  EXPECT_TRUE(IsNeedsWorker(object.pages().PageCount().status()));
  object.set_tier(ReadTier::kDisk);
  object.DropTurn();
  EXPECT_EQ(object.File(), Page('a'));
}

TEST(SqlPages, WhatIsMissingOrCutIsDataLoss) {
  SqlObject object;
  for (uint32_t number = 1; number <= 3; ++number) EXPECT_THAT(object.pages().WritePage(number, Page('a')), IsOk());
  object.EndTurn();
  char page[kPageBytes];
  object.object().storage().writes().Delete(PageKey(2));
  object.object().storage().writes().Put(PageKey(3), "short");
  object.BeginTurn();
  EXPECT_THAT(object.pages().ReadPage(1, page), IsOk());
  EXPECT_THAT(object.pages().ReadPage(2, page), IsStatus(absl::StatusCode::kDataLoss, "page 2"));
  EXPECT_THAT(object.pages().ReadPage(3, page), IsStatus(absl::StatusCode::kDataLoss, "5 bytes"));
  object.DropTurn();
  object.object().storage().writes().Put(kSqlDatabaseKey, "\xff\xff");
  object.BeginTurn();
  EXPECT_THAT(object.pages().PageCount(), IsStatus(absl::StatusCode::kDataLoss, "record"));
}

TEST(SqlPages, RandomTurnsAreAsOnAFile) {
  ForEachSeed(30, [](Random& random) {
    SqlObject object;
    std::string stored;
    std::string file;
    for (int step = 0; step < 200; ++step) {
      switch (random.Below(8)) {
        case 0:
        case 1:
        case 2:
        case 3: {
          const uint32_t number = 1 + static_cast<uint32_t>(random.Below(12));
          const std::string page = Page(static_cast<char>('a' + random.Below(26)));
          ASSERT_THAT(object.pages().WritePage(number, page), IsOk());
          if (file.size() < number * kPageBytes) file.resize(number * kPageBytes);
          file.replace((number - 1) * kPageBytes, kPageBytes, page);
          break;
        }
        case 4: {
          const uint32_t count = static_cast<uint32_t>(random.Below(12));
          ASSERT_THAT(object.pages().Truncate(count), IsOk());
          if (file.size() > count * kPageBytes) file.resize(count * kPageBytes);
          break;
        }
        case 5:
          object.DropTurn();
          file = stored;
          break;
        case 6:
          object.EndTurn();
          stored = file;
          if (random.OneIn(2)) object.Settle();
          // Each page has its key, nothing else is there, and it is counted.
          ASSERT_EQ(object.object().All().size(), file.empty() ? 0 : 1 + file.size() / kPageBytes);
          ASSERT_EQ(object.usage().size_bytes(), static_cast<int64_t>(file.size() / kPageBytes) * kCountedBytes);
          break;
        default:
          object.EndTurn();
          stored = file;
          object.Reopen();
      }
      ASSERT_EQ(Split(object.File()), Split(file));
    }
  });
}

}  // namespace
}  // namespace holdfast::storage::sql
