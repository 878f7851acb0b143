#include "storage/store/patch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/unit/storage/random.h"

namespace holdfast::storage {
namespace {

using testing::Optional;

// Returns `base` with some runs of bytes overwritten; runs may touch, and may change nothing.
std::string Changed(Random& random, const std::string& base, size_t run_max) {
  std::string value = base;
  for (uint64_t runs = random.Below(6); runs > 0 && !value.empty(); --runs) {
    const size_t at = random.OneIn(4) ? value.size() - 1 : random.Below(value.size());
    std::string run = random.Bytes(run_max);
    run.resize(std::min(run.size(), value.size() - at));
    value.replace(at, run.size(), run);
  }
  return value;
}

std::string Applied(const std::string& patch, std::string value) {
  EXPECT_TRUE(ApplyPatch(patch, &value));
  return value;
}

TEST(Patch, MakesTheNewValueOfTheOld) {
  ForEachSeed(300, [](Random& random) {
    const std::string base(random.Below(2) == 0 ? 4097 : random.Below(300), '\0');
    std::string from = Changed(random, base, 40);
    int patches = 0;
    for (int i = 0; i < 10; ++i) {
      const std::string to = Changed(random, from, random.OneIn(5) ? 3000 : 40);
      if (const auto patch = MakePatch(from, to)) {
        ++patches;
        ASSERT_LE(patch->size(), to.size() / 2);
        ASSERT_EQ(Applied(*patch, from), to);
        ASSERT_EQ(Applied(*patch, to), to) << "twice is as good as once";
      }
      from = to;
    }
    if (base.size() > 1000) EXPECT_GT(patches, 0);
  });
}

TEST(Patch, TwoInARowAreOne) {
  ForEachSeed(300, [](Random& random) {
    const std::string a = random.Bytes(2000);
    const std::string b = Changed(random, a, 40);
    const std::string c = Changed(random, b, 40);
    const auto older = MakePatch(a, b);
    const auto newer = MakePatch(b, c);
    if (!older || !newer) return;
    const auto both = JoinPatches(*older, *newer, c);
    if (!both) return;
    ASSERT_LE(both->size(), c.size() / 2);
    ASSERT_EQ(Applied(*both, a), c);
    ASSERT_EQ(Applied(*both, c), c);
    // The same two patches are applied again, like after a crash.
    ASSERT_EQ(Applied(*newer, Applied(*older, c)), c);
  });
}

TEST(Patch, BytesAreAsDocumented) {
  std::string base(1000, 'a');
  std::string value = base;
  value[3] = 'b';
  value[500] = 'c';
  value[501] = 'd';
  EXPECT_THAT(MakePatch(base, value), Optional(std::string("\x03\x01"
                                                           "b\xf0\x03\x02"
                                                           "cd")));
  EXPECT_THAT(MakePatch(base, base), Optional(std::string()));
}

TEST(Patch, ShortGapsAreFilled) {
  const std::string base(100, 'a');
  std::string value = base;
  value[10] = value[10 + kPatchGapMin] = 'b';  // the gap between them is one byte shorter
  EXPECT_THAT(MakePatch(base, value), Optional(std::string("\x0a\x05"
                                                           "baaab")));
  value = base;
  value[10] = value[10 + kPatchGapMin + 1] = 'b';
  EXPECT_THAT(MakePatch(base, value), Optional(std::string("\x0a\x01"
                                                           "b\x04\x01"
                                                           "b")));
}

TEST(Patch, WhatChangesMoreThanHalfIsNotWorthIt) {
  const std::string base(1000, 'a');
  std::string value = base;
  // The length takes two bytes, the gap one.
  value.replace(0, 497, std::string(497, 'b'));
  EXPECT_TRUE(MakePatch(base, value).has_value());
  value[497] = 'b';
  EXPECT_FALSE(MakePatch(base, value).has_value());
  EXPECT_FALSE(MakePatch(base, base + 'a').has_value());
  EXPECT_FALSE(MakePatch("", value).has_value());
  EXPECT_THAT(MakePatch("", ""), Optional(std::string()));
}

TEST(Patch, JoinedTooLargeIsNotWorthIt) {
  const std::string a(1000, 'a');
  std::string b = a;
  b.replace(0, 300, std::string(300, 'b'));
  std::string c = b;
  c.replace(500, 300, std::string(300, 'c'));
  EXPECT_FALSE(JoinPatches(*MakePatch(a, b), *MakePatch(b, c), c).has_value());
  // A patch that is joined with patches of the same bytes again and again stays the same.
  std::string patch = *MakePatch(a, b);
  for (int i = 0; i < 100; ++i) patch = *JoinPatches(patch, *MakePatch(a, b), b);
  EXPECT_EQ(patch, *MakePatch(a, b));
}

TEST(Patch, GarbledOnesAreRefused) {
  const auto refused = [](const std::string& patch) {
    std::string value(100, 'a');
    const bool applied = ApplyPatch(patch, &value);
    EXPECT_EQ(value.size(), 100u);
    return !applied;
  };
  EXPECT_FALSE(refused("\x63\x01z"));
  EXPECT_TRUE(refused("\x64\x01z")) << "a byte behind the value";
  EXPECT_TRUE(refused("\x63\x02zz"));
  EXPECT_TRUE(refused("\x01"));
  EXPECT_TRUE(refused("\x01\x02z")) << "fewer bytes than it says";
  EXPECT_TRUE(refused(std::string("\x01\x00", 2))) << "a range of nothing";
  EXPECT_TRUE(refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01z"));
  EXPECT_TRUE(refused("\x80\x80\x80\x80"));
  EXPECT_FALSE(JoinPatches("\x64\x01z", "", std::string(100, 'a')).has_value());
  EXPECT_FALSE(JoinPatches("", "\x01\x02z", std::string(100, 'a')).has_value());
}

TEST(Patch, AnyBytesStayWithinTheValue) {
  ForEachSeed(2000, [](Random& random) {
    // The buffer is exactly as long as its content, so that the address sanitizer sees a read beyond it.
    std::string value(random.Below(200), 'a');
    value.shrink_to_fit();
    const size_t size = value.size();
    (void)ApplyPatch(random.Bytes(30), &value);
    ASSERT_EQ(value.size(), size);
    (void)JoinPatches(random.Bytes(30), random.Bytes(30), value);
  });
}

}  // namespace
}  // namespace holdfast::storage
