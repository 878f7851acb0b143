#include "storage/store/object_id.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/storage/random.h"

namespace holdfast::storage {
namespace {

ObjectId RandomId(Random& random) {
  static constexpr absl::string_view kAlphabet("\x00\x01\x61\x2f\xff", 5);
  return {random.Text(3, kAlphabet), random.Text(3, kAlphabet), random.Text(4, kAlphabet)};
}

TEST(ObjectKey, IdComesBack) {
  ForEachSeed(20, [](Random& random) {
    for (int round = 0; round < 500; ++round) {
      const ObjectId id = RandomId(random);
      ObjectId decoded;
      ASSERT_TRUE(ObjectKey(id).Decode(&decoded));
      ASSERT_EQ(decoded, id);
      const ObjectKey again = ObjectKey::FromEncoded(ObjectKey(id).encoded());
      ASSERT_EQ(again, ObjectKey(id));
      ASSERT_EQ(again.hash(), ObjectKey(id).hash());
    }
  });
}

TEST(ObjectKey, OrderIsThatOfIds) {
  ForEachSeed(20, [](Random& random) {
    for (int round = 0; round < 500; ++round) {
      const ObjectId a = RandomId(random);
      const ObjectId b = RandomId(random);
      ASSERT_EQ(ObjectKey(a).encoded() < ObjectKey(b).encoded(), a < b);
      ASSERT_EQ(ObjectKey(a) == ObjectKey(b), a == b);
    }
  });
}

TEST(ObjectKey, GarbledBytesAreNoId) {
  const std::string encoded = ObjectKey("ns", "Class", absl::string_view("na\0me", 5)).encoded();
  ObjectId id;
  for (size_t length = 0; length < encoded.size(); ++length) {
    EXPECT_FALSE(ObjectKey::FromEncoded(encoded.substr(0, length)).Decode(&id)) << length;
  }
  EXPECT_FALSE(ObjectKey::FromEncoded(encoded + "x").Decode(&id));
  EXPECT_FALSE(ObjectKey().Decode(&id));
}

// The hash determines the shard, so that it is part of the format on disk. The values are those of xxHash 0.8.1 itself.
TEST(ObjectKey, HashIsFixed) {
  const ObjectKey key("default", "Counter", "visits");
  EXPECT_EQ(key.hash(), 0x9f20ad028af4a15fu);
  EXPECT_EQ(key.shard(), ShardId{0x5f});
  EXPECT_EQ(ObjectKey("", "", "").hash(), 0xc9083ce022a48654u);
  EXPECT_EQ(ObjectKey("n", "C", absl::string_view("a\0b\xff", 4)).hash(), 0xf16d2db492f64701u);
}

TEST(ObjectKey, EveryShardIsUsedAndNoOther) {
  std::set<uint32_t> used;
  for (int i = 0; i < 10'000; ++i) {
    const auto shard = static_cast<uint32_t>(ObjectKey("default", "Counter", absl::StrCat("counter-", i)).shard());
    ASSERT_LT(shard, kShardCount);
    used.insert(shard);
  }
  EXPECT_EQ(used.size(), kShardCount);
}

TEST(ObjectKey, DebugStringEscapes) {
  EXPECT_EQ(ObjectKey("default", "Counter", "visits").DebugString(), "default/Counter/visits");
  EXPECT_EQ(ObjectKey("n", "C", absl::string_view("a\0\n\"\xff", 5)).DebugString(), "n/C/a\\x00\\n\\\"\\xff");
  EXPECT_EQ(ObjectKey::FromEncoded("a\n").DebugString(), "(not an id: a\\n)");
}

}  // namespace
}  // namespace holdfast::storage
