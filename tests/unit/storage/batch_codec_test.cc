#include "storage/fold/batch_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

constexpr FamilyId kOwn{7};

std::string Encode(const std::vector<KeyspaceWrites>& writes) {
  std::string bytes;
  EncodeBatch(
      writes, [](FamilyId family) { return absl::StrCat("family ", static_cast<uint32_t>(family)); }, &bytes);
  return bytes;
}

// Returns the writes of a part that has no patches.
WriteSet WritesOf(const BatchPart& part) {
  WriteSet writes;
  for (const auto& [start, end] : part.removed) writes.DeleteRange({std::string(start), std::string(end)});
  for (const auto& [kind, key, bytes] : part.points) {
    kind == PointKind::kValue ? writes.Put(key, std::string(bytes)) : writes.Delete(key);
  }
  return writes;
}

std::vector<std::pair<std::string, std::string>> RangesOf(const WriteSet& writes) {
  std::vector<std::pair<std::string, std::string>> ranges;
  for (const KeyRange& range : writes.removed()) ranges.emplace_back(range.start, range.end);
  return ranges;
}

TEST(BatchCodecTest, PartsNameTheirPlaces) {
  WriteSet first = OnePut("k", "v");
  first.Delete("gone");
  WriteSet second = Removes({"a", ""});
  const Location packed = {FamilyId::kPacked, "p/"};
  const Location own = WholeFamily(kOwn);
  const std::string bytes = Encode({{&packed, &first}, {&own, &second}});
  const auto parts = DecodeBatch(bytes);
  ASSERT_TRUE(parts.ok()) << parts.status();
  ASSERT_EQ(parts->size(), 2u);
  EXPECT_EQ((*parts)[0].family, FamilyId::kPacked);
  EXPECT_EQ((*parts)[0].prefix, "p/");
  EXPECT_EQ(WritesOf((*parts)[0]).points(), first.points());
  EXPECT_EQ((*parts)[1].family, FamilyId::kFirstOwn);
  EXPECT_EQ((*parts)[1].name, "family 7");
  EXPECT_EQ(RangesOf(WritesOf((*parts)[1])), RangesOf(second));
}

TEST(BatchCodecTest, APointWithAPatchIsThePatchAlone) {
  WriteSet writes;
  writes.PutChanged("page", "abcdefgh", "a patch");
  const Location packed = {FamilyId::kPacked, "p/"};
  const std::string bytes = Encode({{&packed, &writes}});
  const auto parts = DecodeBatch(bytes);
  ASSERT_TRUE(parts.ok()) << parts.status();
  ASSERT_EQ(parts->front().points.size(), 1u);
  EXPECT_EQ(parts->front().points[0].kind, PointKind::kPatch);
  EXPECT_EQ(parts->front().points[0].key, "page");
  EXPECT_EQ(parts->front().points[0].bytes, "a patch");
}

TEST(BatchCodecTest, AnyWritesComeBack) {
  ForEachSeed(200, [](Random& random) {
    std::vector<Location> locations;
    std::vector<WriteSet> sets;
    for (uint64_t n = random.Below(5); n > 0; --n) {
      locations.push_back({FamilyId(random.Below(9)), random.Bytes(6)});
      sets.push_back(RandomWrites(random, 20));
    }
    std::vector<KeyspaceWrites> writes;
    for (size_t i = 0; i < sets.size(); ++i) writes.push_back({&locations[i], &sets[i]});
    const std::string bytes = Encode(writes);
    const auto parts = DecodeBatch(bytes);
    ASSERT_TRUE(parts.ok()) << parts.status();
    ASSERT_EQ(parts->size(), sets.size());
    for (size_t i = 0; i < sets.size(); ++i) {
      EXPECT_EQ((*parts)[i].prefix, locations[i].prefix);
      const WriteSet decoded = WritesOf((*parts)[i]);
      EXPECT_EQ(decoded.points(), sets[i].points());
      EXPECT_EQ(RangesOf(decoded), RangesOf(sets[i]));
    }
  });
}

TEST(BatchCodecTest, OtherBytesAreRefused) {
  WriteSet writes = Puts({{"a", "1"}, {"b", "2"}});
  writes.Delete("c");
  writes.DeleteRange({"d", "e"});
  const Location own = WholeFamily(kOwn);
  const std::string bytes = Encode({{&own, &writes}});
  for (size_t length = 1; length < bytes.size(); ++length) {
    EXPECT_THAT(DecodeBatch(bytes.substr(0, length)).status(), IsStatus(absl::StatusCode::kDataLoss, "garbled"))
        << length;
  }
  EXPECT_THAT(DecodeBatch("\x06").status(), IsStatus(absl::StatusCode::kDataLoss, "garbled"));
  EXPECT_THAT(DecodeBatch(std::string(20, '\xff')).status(), IsStatus(absl::StatusCode::kDataLoss, "garbled"));
  // Whatever the bytes are, no text goes past their end.
  ForEachSeed(300, [&](Random& random) {
    std::string other = bytes;
    other[random.Below(other.size())] = static_cast<char>(random.Bits());
    (void)DecodeBatch(other);
    (void)DecodeBatch(random.Bytes(40));
  });
}

}  // namespace
}  // namespace holdfast::storage
