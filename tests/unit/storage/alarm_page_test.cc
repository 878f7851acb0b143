#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/node/alarm_index.h"
#include "storage/store/object_id.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class AlarmPageTest : public testing::Test {
 protected:
  void Add(int64_t due_us, const std::string& name) {
    WriteSet writes;
    writes.Put(AlarmIndexKey(due_us, ObjectKey("shop", "Object", name).encoded()), "");
    ASSERT_THAT(Commit(*store_, {{{FamilyId::kAlarms, ""}, writes}}), IsOk());
  }
  // Returns "time name" of the alarms of all pages.
  std::vector<std::string> List(size_t count_max, size_t bytes_max) {
    std::vector<std::string> all;
    std::string after;
    do {
      const auto page = ReadAlarmPage(store_.get(), after, count_max, bytes_max);
      EXPECT_THAT(page, IsOk());
      if (!page.ok()) break;
      EXPECT_LE(page->alarms.size(), count_max);
      for (const AlarmEntry& entry : page->alarms) {
        ObjectId id;
        EXPECT_TRUE(ObjectKey::FromEncoded(entry.object).Decode(&id));
        all.push_back(absl::StrCat(entry.due_us, " ", id.name));
      }
      EXPECT_TRUE(page->next.empty() || page->next != after) << "goes round";
      after = page->next;
      ++pages_;
    } while (!after.empty());
    return all;
  }

  AnyStore store_{StoreKind::kMemory};
  int pages_ = 0;
};

TEST_F(AlarmPageTest, AnEmptyIndexHasNone) { EXPECT_THAT(List(10, 1000), IsEmpty()); }

TEST_F(AlarmPageTest, TheAlarmsComeByTimeThenByObject) {
  Add(30, "a");
  Add(-5, "z");
  Add(30, "b");
  Add(4, "c");
  const auto all = ElementsAre("-5 z", "4 c", "30 a", "30 b");
  EXPECT_THAT(List(10, 1000), all);
  EXPECT_EQ(pages_, 1);
  EXPECT_THAT(List(1, 1000), all);
  EXPECT_EQ(pages_, 1 + 4);
  // Each page ends with the alarm that makes it large enough.
  EXPECT_THAT(List(10, 1), all);
  EXPECT_EQ(pages_, 1 + 4 + 4);
}

TEST_F(AlarmPageTest, APlaceThatIsNoneIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(ReadAlarmPage(store_.get(), "short", 10, 1000).status()));
}

}  // namespace
}  // namespace holdfast::storage
