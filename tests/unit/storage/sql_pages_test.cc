#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "storage/sql/page_source.h"
#include "storage/sql/pages.h"
#include "storage/store/format.h"
#include "storage/store/memory_store.h"
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

constexpr int64_t kCountedBytes = 4096 + 9;

TEST(SqlPages, KeysAreAsDocumented) {
  EXPECT_EQ(PageKey(0x0a0b0c0d, 0x01020304), std::string("\x31\x0a\x0b\x0c\x0d\x01\x02\x03\x04"));
  EXPECT_TRUE(DatabaseRange().Contains(kSqlDatabaseKey));
  EXPECT_TRUE(DatabaseRange().Contains(PageKey(0, 1)));
  EXPECT_TRUE(DatabaseRange().Contains(PageKey(0xffffffff, 0xffffffff)));
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

// SQLite counts pages that it never writes: free ones, and the one with the lock byte. Those before a written page are
// zeros.
TEST(SqlPages, PagesThatWereLeftOutAreZeros) {
  SqlObject object;
  EXPECT_THAT(object.pages().WritePage(3, Page('c')), IsOk());
  const std::string expected = Page('\0') + Page('\0') + Page('c');
  EXPECT_EQ(object.File(), expected);
  object.EndTurn();
  EXPECT_EQ(object.File(), expected);
  EXPECT_EQ(object.object().All().at(PageKey(0, 2)), "");
  EXPECT_EQ(object.usage().size_bytes(), 3 * kCountedBytes);
}

// Pages that were cut off must not come back when the database grows again.
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
  object.JoinTurn();
  EXPECT_EQ(object.object().storage().writes().removed().size(), 1u);
  object.EndTurn();
  EXPECT_EQ(object.File(), Page('a') + Page('a') + Page('b'));
  EXPECT_EQ(object.object().All().size(), 4u);
  EXPECT_EQ(object.usage().size_bytes(), 3 * kCountedBytes);
}

// Returns how often a page was patched since it was written in full; -1 if it is written in full now.
int Patches(SqlObject& object, uint32_t number) {
  object.JoinTurn();
  const WriteSet& writes = object.object().storage().writes();
  const bool patched = writes.patches().contains(PageKey(0, number));
  const auto point = writes.points().find(PageKey(0, number));
  if (point == writes.points().end()) {
    ADD_FAILURE() << "page " << number << " was not written";
    return -1;
  }
  const int patches = static_cast<uint8_t>(point->second->back());
  EXPECT_EQ(patched, patches > 0);
  return patched ? patches : -1;
}

TEST(SqlPages, AFewBytesAreWrittenAsAPatchAndInFullNowAndThen) {
  SqlObject object;
  std::string page = Page('a');
  for (int write = 0; write < 40; ++write) {
    SCOPED_TRACE(write);
    page[write] = 'b';
    EXPECT_THAT(object.pages().WritePage(1, page), IsOk());
    const int patches = write % (kPagePatchesMax + 1);
    EXPECT_EQ(Patches(object, 1), patches == 0 ? -1 : patches);
    if (patches > 0) EXPECT_LT(object.object().storage().writes().patches().at(PageKey(0, 1)).size(), 10u);
    write % 3 == 0 ? object.Settle() : object.EndTurn();
    EXPECT_EQ(object.File(), page);
  }
}

TEST(SqlPages, APageThatChangesMuchIsWrittenInFull) {
  SqlObject object;
  EXPECT_THAT(object.pages().WritePage(1, Page('a')), IsOk());
  object.EndTurn();
  EXPECT_THAT(object.pages().WritePage(1, Page('b')), IsOk());
  EXPECT_EQ(Patches(object, 1), -1);
  object.EndTurn();
  EXPECT_EQ(object.File(), Page('b'));
}

TEST(SqlPages, APageThatIsAsItWasIsNotWritten) {
  SqlObject object;
  EXPECT_THAT(object.pages().WritePage(1, Page('a')), IsOk());
  object.EndTurn();
  EXPECT_THAT(object.pages().WritePage(1, Page('a')), IsOk());
  object.JoinTurn();
  EXPECT_TRUE(object.object().storage().writes().empty());
}

// The view still has the page that was cut off; the page that takes its place must not be a patch of it.
TEST(SqlPages, APageThatWasCutOffIsWrittenInFull) {
  SqlObject object;
  std::string page = Page('a');
  for (uint32_t number = 1; number <= 3; ++number) EXPECT_THAT(object.pages().WritePage(number, page), IsOk());
  object.Settle();
  EXPECT_THAT(object.pages().Truncate(1), IsOk());
  for (uint32_t number = 2; number <= 3; ++number) EXPECT_THAT(object.pages().WritePage(number, page), IsOk());
  EXPECT_EQ(Patches(object, 2), -1);
  object.Settle();
  EXPECT_EQ(object.File(), page + page + page);
}

TEST(SqlPages, WhatIsNotInMemoryIsWrittenInFull) {
  SqlObject object;
  std::string page = Page('a');
  EXPECT_THAT(object.pages().WritePage(1, page), IsOk());
  object.Settle();
  page[0] = 'b';
  EXPECT_THAT(object.pages().WritePage(1, page), IsOk());
  object.store().set_cold(true);
  EXPECT_EQ(Patches(object, 1), -1);
  object.Settle();
  object.store().set_cold(false);
  EXPECT_EQ(object.File(), page);
}

TEST(SqlPages, ThePagesOfAnotherGenerationAreNotTouched) {
  SqlObject object;
  v1::SqlDatabase database;
  database.set_page_count(1);
  database.set_generation(7);
  WriteSet& writes = object.object().storage().writes();
  writes.Put(kSqlDatabaseKey, database.SerializeAsString());
  writes.Put(PageKey(7, 1), Page('a') + '\0');
  for (uint32_t generation : {6, 8}) writes.Put(PageKey(generation, 1), "another");
  object.Settle();
  object.Reopen();
  EXPECT_EQ(object.File(), Page('a'));
  for (uint32_t number = 1; number <= 1200; ++number) EXPECT_THAT(object.pages().WritePage(number, Page('b')), IsOk());
  object.EndTurn();
  EXPECT_THAT(object.pages().Truncate(2), IsOk());
  object.EndTurn();
  object.Reopen();
  EXPECT_EQ(object.File(), Page('b') + Page('b'));
  const Entries all = object.object().All();
  EXPECT_EQ(all.size(), 5u);
  for (uint32_t generation : {6, 8}) EXPECT_EQ(all.at(PageKey(generation, 1)), "another");
  EXPECT_TRUE(database.ParseFromString(all.at(kSqlDatabaseKey)));
  EXPECT_EQ(database.generation(), 7u);
}

TEST(SqlPages, APatchWithoutItsPageIsDataLoss) {
  SqlObject object;
  EXPECT_THAT(object.pages().WritePage(1, Page('a')), IsOk());
  object.EndTurn();
  object.object().storage().writes().Delete(PageKey(0, 1));
  object.Settle();
  object.object().storage().writes().PutChanged(PageKey(0, 1), Page('b') + '\1', "\1\1b");
  object.Settle();
  char page[kPageBytes];
  EXPECT_THAT(object.pages().ReadPage(1, page), IsStatus(absl::StatusCode::kDataLoss, "page 1"));
  EXPECT_THAT(object.pages().WritePage(1, Page('c')), IsOk());
  EXPECT_EQ(Patches(object, 1), -1);
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
  object.object().storage().writes().Delete(PageKey(0, 2));
  object.object().storage().writes().Put(PageKey(0, 3), "short");
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
          std::string page = Page(static_cast<char>('a' + random.Below(26)));
          if (random.OneIn(2) && file.size() >= number * kPageBytes) {
            page = file.substr((number - 1) * kPageBytes, kPageBytes);
            page[random.Below(kPageBytes)] = static_cast<char>(random.Bits());
          }
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
          // Each page has its key, there are no other keys, and the usage counts the pages.
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
