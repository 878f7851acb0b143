#include "actors/wire/utf8.h"

#include <gtest/gtest.h>

namespace holdfast::actors {
namespace {

TEST(Utf8, WhatIsOfNoCharacterIsReplaced) {
  EXPECT_EQ(ValidUtf8(""), "");
  EXPECT_EQ(ValidUtf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(ValidUtf8("a\xff z"), "a\xef\xbf\xbd z");
  EXPECT_EQ(ValidUtf8("\xc3\xa9\xa9"), "\xc3\xa9\xef\xbf\xbd");
  EXPECT_EQ(ValidUtf8("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd") << "cut off";
  EXPECT_EQ(ValidUtf8("\xc3z"), "\xef\xbf\xbdz");
  EXPECT_EQ(ValidUtf8("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") << "a surrogate";
  EXPECT_TRUE(IsUtf8(ValidUtf8("\xf8\x88\x80\x80\x80\xc0\x80")));
}

}  // namespace
}  // namespace holdfast::actors
