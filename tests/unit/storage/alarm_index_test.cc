#include "storage/node/alarm_index.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "storage/store/object_id.h"
#include "tests/unit/storage/random.h"

namespace holdfast::storage {
namespace {

AlarmEntry RandomEntry(Random& random) {
  static constexpr int64_t kEdges[] = {std::numeric_limits<int64_t>::min(), -1, 0, 1, 1'700'000'000'000'000,
                                       std::numeric_limits<int64_t>::max()};
  const int64_t due = random.OneIn(4) ? static_cast<int64_t>(random.Bits()) : kEdges[random.Below(std::size(kEdges))];
  return {due, ObjectKey("ns", "Class", random.Text(2, absl::string_view("\x00\x61\xff", 3))).encoded()};
}

TEST(AlarmIndex, EntriesComeBackInTheOrderOfTheirTimes) {
  ForEachSeed(20, [](Random& random) {
    for (int round = 0; round < 500; ++round) {
      const AlarmEntry a = RandomEntry(random);
      const AlarmEntry b = RandomEntry(random);
      ASSERT_EQ(AlarmIndexKey(a.due_us, a.object) < AlarmIndexKey(b.due_us, b.object), a < b);
      AlarmEntry parsed;
      ASSERT_TRUE(ParseAlarmIndexKey(AlarmIndexKey(a.due_us, a.object), &parsed));
      ASSERT_EQ(parsed, a);
    }
  });
}

TEST(AlarmIndex, KeyWithoutATimeIsRefused) {
  AlarmEntry entry;
  for (size_t length = 0; length < 8; ++length) {
    EXPECT_FALSE(ParseAlarmIndexKey(std::string(length, 'x'), &entry)) << length;
  }
}

}  // namespace
}  // namespace holdfast::storage
