#include "actors/wire/utf8.h"

#include <gtest/gtest.h>

#include <string>

#include "proto/utf8.h"

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

TEST(Utf8, TheSizeOfACharacterIsThatOfItsShortestForm) {
  EXPECT_EQ(Utf8CharacterSize("a\xc3\xa9"), 1u);
  EXPECT_EQ(Utf8CharacterSize("\xc3\xa9z"), 2u);
  EXPECT_EQ(Utf8CharacterSize("\xe2\x82\xacz"), 3u);
  EXPECT_EQ(Utf8CharacterSize("\xf4\x8f\xbf\xbf"), 4u) << "the last code point";
  EXPECT_EQ(Utf8CharacterSize("\xf4\x90\x80\x80"), 0u) << "behind the last code point";
  EXPECT_EQ(Utf8CharacterSize("\xc1\xbf"), 0u) << "longer than it need be";
  EXPECT_EQ(Utf8CharacterSize("\xe0\x9f\xbf"), 0u) << "longer than it need be";
  EXPECT_EQ(Utf8CharacterSize("\xf0\x8f\xbf\xbf"), 0u) << "longer than it need be";
  EXPECT_EQ(Utf8CharacterSize("\xa9"), 0u) << "the middle of a character";
}

TEST(Utf8, AByteOutsideACharacterIsFoundAnywhereInALongText) {
  const std::string text = "sixteen and more bytes of text";
  EXPECT_TRUE(IsUtf8(text));
  for (size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = '\xff';
    EXPECT_FALSE(IsUtf8(other)) << i;
    other.replace(i, 1, "\xe2\x82\xac");
    EXPECT_TRUE(IsUtf8(other)) << i;
  }
}

}  // namespace
}  // namespace holdfast::actors
