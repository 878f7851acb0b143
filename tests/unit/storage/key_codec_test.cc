#include "storage/store/key_codec.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "tests/unit/storage/random.h"

namespace holdfast::storage {
namespace {

using Part = std::variant<std::string, int64_t, uint16_t, uint32_t>;
using Tuple = std::vector<Part>;

constexpr absl::string_view kEdgeBytes("\x00\x01\x02\x61\xfe\xff", 6);

int64_t RandomInt64(Random& random) {
  static constexpr int64_t kEdges[] = {
      std::numeric_limits<int64_t>::min(),     std::numeric_limits<int64_t>::min() + 1, -256, -1, 0, 1, 255, 256,
      std::numeric_limits<int64_t>::max() - 1, std::numeric_limits<int64_t>::max()};
  return random.OneIn(2) ? kEdges[random.Below(std::size(kEdges))] : static_cast<int64_t>(random.Bits());
}

Part RandomPart(Random& random, size_t type) {
  switch (type) {
    case 0:
      return random.Text(4, kEdgeBytes);
    case 1:
      return RandomInt64(random);
    case 2:
      return static_cast<uint16_t>(random.Bits());
    default:
      return static_cast<uint32_t>(random.Bits());
  }
}

std::string Encode(const Tuple& tuple) {
  std::string key;
  for (const Part& part : tuple) {
    if (const auto* text = std::get_if<std::string>(&part)) AppendText(&key, *text);
    if (const auto* number = std::get_if<int64_t>(&part)) AppendInt64(&key, *number);
    if (const auto* number = std::get_if<uint16_t>(&part)) AppendUint16(&key, *number);
    if (const auto* number = std::get_if<uint32_t>(&part)) AppendUint32(&key, *number);
  }
  return key;
}

int Sign(int comparison) { return comparison < 0 ? -1 : comparison > 0; }

TEST(KeyCodec, OrderOfEncodingsIsOrderOfTuples) {
  ForEachSeed(20, [](Random& random) {
    for (int round = 0; round < 1000; ++round) {
      Tuple a;
      Tuple b;
      for (uint64_t parts = 1 + random.Below(4); parts > 0; --parts) {
        const size_t type = random.Below(4);
        a.push_back(RandomPart(random, type));
        b.push_back(random.OneIn(2) ? a.back() : RandomPart(random, type));
      }
      const int tuples = a < b ? -1 : a > b;
      ASSERT_EQ(Sign(Encode(a).compare(Encode(b))), tuples)
          << testing::PrintToString(Encode(a)) << " and " << testing::PrintToString(Encode(b));
    }
  });
}

TEST(KeyCodec, TuplesComeBack) {
  ForEachSeed(20, [](Random& random) {
    for (int round = 0; round < 500; ++round) {
      Tuple tuple;
      for (uint64_t parts = random.Below(5); parts > 0; --parts) tuple.push_back(RandomPart(random, random.Below(4)));
      const std::string rest = random.Bytes(3);
      const std::string key = Encode(tuple) + rest;
      absl::string_view left = key;
      for (const Part& part : tuple) {
        if (const auto* text = std::get_if<std::string>(&part)) {
          std::string decoded = "something before";
          ASSERT_TRUE(ConsumeText(&left, &decoded));
          EXPECT_EQ(decoded, *text);
        } else if (const auto* number = std::get_if<int64_t>(&part)) {
          int64_t decoded;
          ASSERT_TRUE(ConsumeInt64(&left, &decoded));
          EXPECT_EQ(decoded, *number);
        } else if (const auto* number = std::get_if<uint16_t>(&part)) {
          uint16_t decoded;
          ASSERT_TRUE(ConsumeUint16(&left, &decoded));
          EXPECT_EQ(decoded, *number);
        } else {
          uint32_t decoded;
          ASSERT_TRUE(ConsumeUint32(&left, &decoded));
          EXPECT_EQ(decoded, std::get<uint32_t>(part));
        }
      }
      EXPECT_EQ(std::string(left), rest);
    }
  });
}

TEST(KeyCodec, BytesAreAsDocumented) {
  std::string key;
  AppendText(&key, absl::string_view("a\0b", 3));
  AppendInt64(&key, -2);
  AppendUint16(&key, 0x1234);
  AppendUint32(&key, 0x56789abc);
  EXPECT_EQ(key, std::string("a\0\xff"
                             "b\0\x01"
                             "\x7f\xff\xff\xff\xff\xff\xff\xfe"
                             "\x12\x34\x56\x78\x9a\xbc",
                             20));
}

TEST(KeyCodec, TextWithoutItsEndIsRefused) {
  std::string key;
  AppendText(&key, absl::string_view("a\0b\xff", 4));
  for (size_t length = 0; length < key.size(); ++length) {
    absl::string_view cut(key.data(), length);
    std::string text;
    EXPECT_FALSE(ConsumeText(&cut, &text)) << length;
  }
}

TEST(KeyCodec, UnknownMarkAfterNulIsRefused) {
  for (int mark = 0; mark < 256; ++mark) {
    const std::string key = {'a', '\0', static_cast<char>(mark), '\0', '\x01'};
    absl::string_view left = key;
    std::string text;
    EXPECT_EQ(ConsumeText(&left, &text), mark == 0x01 || mark == 0xff) << mark;
  }
}

TEST(KeyCodec, ShortNumbersAreRefused) {
  const std::string bytes(8, '\x80');
  for (size_t length = 0; length < 8; ++length) {
    absl::string_view left(bytes.data(), length);
    int64_t number;
    EXPECT_FALSE(ConsumeInt64(&left, &number)) << length;
  }
  for (size_t length = 0; length < 2; ++length) {
    absl::string_view left(bytes.data(), length);
    uint16_t number;
    EXPECT_FALSE(ConsumeUint16(&left, &number)) << length;
  }
  for (size_t length = 0; length < 4; ++length) {
    absl::string_view left(bytes.data(), length);
    uint32_t number;
    EXPECT_FALSE(ConsumeUint32(&left, &number)) << length;
  }
}

// No two encoded keys mean the same.
TEST(KeyCodec, WhatIsAcceptedIsWhatWouldBeWritten) {
  ForEachSeed(20, [](Random& random) {
    for (int round = 0; round < 2000; ++round) {
      const std::string bytes = random.Text(8, absl::string_view("\x00\x00\x01\xff\x61", 5));
      absl::string_view left = bytes;
      std::string text;
      if (!ConsumeText(&left, &text)) continue;
      std::string again;
      AppendText(&again, text);
      ASSERT_EQ(again + std::string(left), bytes);
    }
  });
}

TEST(KeyCodec, PrefixEndIsTheFirstKeyAfterThePrefix) {
  ForEachSeed(20, [](Random& random) {
    for (int round = 0; round < 2000; ++round) {
      const std::string prefix = random.Text(3, kEdgeBytes);
      const std::string key = random.OneIn(2) ? prefix + random.Text(2, kEdgeBytes) : random.Text(5, kEdgeBytes);
      const std::string end = PrefixEnd(prefix);
      const bool begins = key.compare(0, prefix.size(), prefix) == 0;
      ASSERT_EQ(key >= prefix && (end.empty() || key < end), begins)
          << testing::PrintToString(prefix) << " and " << testing::PrintToString(key);
      ASSERT_EQ(KeyRange::Prefix(prefix).Contains(key), begins);
    }
  });
}

TEST(KeyCodec, PrefixOfOnlyFFHasNoEnd) {
  EXPECT_EQ(PrefixEnd(""), "");
  EXPECT_EQ(PrefixEnd("\xff"), "");
  EXPECT_EQ(PrefixEnd("\xff\xff\xff"), "");
  EXPECT_EQ(PrefixEnd("a\xff\xff"), "b");
  EXPECT_EQ(PrefixEnd("\x7f\xff"), "\x80");
  EXPECT_EQ(PrefixEnd("a"), "b");
  EXPECT_EQ(PrefixEnd(absl::string_view("a\0", 2)), "a\x01");
}

TEST(KeyRange, SingleHoldsOneKey) {
  const KeyRange range = KeyRange::Single("ab");
  EXPECT_TRUE(range.Contains("ab"));
  EXPECT_FALSE(range.Contains("a"));
  EXPECT_FALSE(range.Contains("aa\xff"));
  EXPECT_FALSE(range.Contains(absl::string_view("ab\0", 3)));
  EXPECT_FALSE(range.IsEmpty());
}

TEST(KeyRange, EmptyEndMeansAllThatFollow) {
  EXPECT_TRUE(KeyRange::All().Contains(""));
  EXPECT_TRUE(KeyRange::All().Contains("\xff\xff"));
  EXPECT_FALSE(KeyRange::All().IsEmpty());
  const KeyRange from_b{"b", ""};
  EXPECT_TRUE(from_b.Contains("b"));
  EXPECT_TRUE(from_b.Contains("\xff"));
  EXPECT_FALSE(from_b.Contains("a\xff"));
}

TEST(KeyRange, StartAtOrAfterEndIsEmpty) {
  EXPECT_TRUE((KeyRange{"b", "b"}).IsEmpty());
  EXPECT_TRUE((KeyRange{"c", "b"}).IsEmpty());
  EXPECT_FALSE((KeyRange{"b", std::string("b\0", 2)}).IsEmpty());
  EXPECT_FALSE((KeyRange{"b", ""}).IsEmpty());
}

}  // namespace
}  // namespace holdfast::storage
