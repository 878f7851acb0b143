#include "service/call/flood_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
constexpr uint64_t kMiB = 1 << 20;

TEST(FloodGuard, ThoseWhoSentTheMostAreFloods) {
  EXPECT_THAT(FloodGuard::Floods({{"a", 5 * kMiB}, {"b", 5 * kMiB}, {"c", 900 * kMiB}},
                                 {{"a", 9 * kMiB}, {"b", 7 * kMiB}, {"c", 901 * kMiB}}),
              ElementsAre("a", "b"));
}

TEST(FloodGuard, NobodyIsWhoSentLittle) {
  EXPECT_THAT(FloodGuard::Floods({{"a", 0}, {"b", 10}}, {{"a", 60'000}, {"b", 10}}), IsEmpty());
}

TEST(FloodGuard, ANewConnectionCountsFromZeroAndAClosedOneNotAtAll) {
  EXPECT_THAT(FloodGuard::Floods({{"closed", 8 * kMiB}, {"gone", kMiB}}, {{"closed", 0}, {"new", kMiB}}),
              ElementsAre("new"));
}

}  // namespace
}  // namespace holdfast::service
