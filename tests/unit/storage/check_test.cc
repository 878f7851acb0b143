#include "storage/base/check.h"

#include <gtest/gtest.h>

#include <string>

#include "storage/store/object_id.h"

namespace holdfast {
namespace {

TEST(CheckDeathTest, ABrokenInvariantEndsTheProcessAndSaysWhich) {
  const int entries = 3;
  EXPECT_DEATH(HOLDFAST_CHECK(entries < 3, "the cache"),
               "level=error event=invariant_broken at=check_test.cc:[0-9]+ expression=\"entries < 3\" "
               "object=\"the cache\"");
}

TEST(CheckDeathTest, AnObjectIsNamedByItsDebugString) {
  const storage::ObjectKey key("default", "Counter", "a");
  EXPECT_DEATH(HOLDFAST_CHECK(key.encoded().empty(), key), "object=default/Counter/a");
}

TEST(CheckTest, AnInvariantThatHoldsCostsItsConditionOnly) {
  int conditions = 0;
  HOLDFAST_CHECK(++conditions == 1, (ADD_FAILURE() << "the subject is evaluated", std::string()));
  EXPECT_EQ(conditions, 1);
}

}  // namespace
}  // namespace holdfast
