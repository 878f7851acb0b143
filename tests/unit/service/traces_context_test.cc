// The cases of the W3C's own tests of traceparent, and those of its grammar.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/traces/trace_context.h"

namespace holdfast::service {
namespace {

constexpr char kTrace[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kSpan[] = "b7ad6b7169203331";

std::string Header(absl::string_view version, absl::string_view trace, absl::string_view span,
                   absl::string_view flags) {
  return absl::StrCat(version, "-", trace, "-", span, "-", flags);
}

TEST(Traceparent, IsTakenApart) {
  const auto caller = ParseTraceparent(Header("00", kTrace, kSpan, "01"));
  ASSERT_TRUE(caller.has_value());
  EXPECT_EQ(caller->trace_id.ToHex(), kTrace);
  EXPECT_EQ(caller->span_id.ToHex(), kSpan);
  EXPECT_TRUE(caller->sampled);
  EXPECT_EQ(caller->trace_id.ToBytes().size(), 16u);
  EXPECT_EQ(caller->trace_id.ToBytes().front(), '\x0a');
  EXPECT_EQ(caller->trace_id.ToBytes().back(), '\x9c');
  EXPECT_EQ(caller->span_id.ToBytes(), "\xb7\xad\x6b\x71\x69\x20\x33\x31");
}

TEST(Traceparent, OnlyTheLastFlagSaysThatTheCallerTraces) {
  const std::pair<const char*, bool> cases[] = {{"00", false}, {"01", true},  {"02", false},
                                                {"03", true},  {"fe", false}, {"ff", true}};
  for (const auto& [flags, sampled] : cases) {
    const auto caller = ParseTraceparent(Header("00", kTrace, kSpan, flags));
    ASSERT_TRUE(caller.has_value()) << flags;
    EXPECT_EQ(caller->sampled, sampled) << flags;
  }
}

TEST(Traceparent, OfALaterVersionMayHaveMoreFields) {
  const std::string header = Header("cc", kTrace, kSpan, "01");
  EXPECT_TRUE(ParseTraceparent(header).has_value());
  EXPECT_TRUE(ParseTraceparent(header + "-").has_value());
  EXPECT_TRUE(ParseTraceparent(header + "-what-the-future-will-be-like").has_value());
  EXPECT_FALSE(ParseTraceparent(header + ".what-the-future-will-be-like").has_value());
  EXPECT_FALSE(ParseTraceparent(header + "what").has_value());
}

TEST(Traceparent, OfAnotherFormIsNone) {
  const std::string good = Header("00", kTrace, kSpan, "01");
  const std::string cases[] = {
      "",
      "-",
      "00",
      good.substr(0, good.size() - 1),
      good + "-",
      good + "-01",
      good + "0",
      good + " ",
      " " + good,
      // An invalid version, and digits that are none.
      Header("ff", kTrace, kSpan, "01"),
      Header("0g", kTrace, kSpan, "01"),
      Header(".0", kTrace, kSpan, "01"),
      Header("00", "0af7651916cd43dd8448eb211c80319.", kSpan, "01"),
      Header("00", "0AF7651916CD43DD8448EB211C80319C", kSpan, "01"),
      Header("00", kTrace, "B7AD6B7169203331", "01"),
      Header("00", kTrace, "b7ad6b716920333.", "01"),
      Header("00", kTrace, kSpan, ".0"),
      Header("00", kTrace, kSpan, "0A"),
      // Too long and too short, with the whole as long as it should be.
      Header("000", "0af7651916cd43dd8448eb211c80319", kSpan, "01"),
      Header("00", "0af7651916cd43dd8448eb211c80319", "b7ad6b71692033311", "01"),
      Header("00", kTrace, "b7ad6b716920333", "001"),
      // No id may be all zero.
      Header("00", std::string(32, '0'), kSpan, "01"),
      Header("00", kTrace, std::string(16, '0'), "01"),
      // Other separators.
      absl::StrCat("00_", kTrace, "-", kSpan, "-01"),
      absl::StrCat("00-", kTrace, "_", kSpan, "-01"),
      absl::StrCat("00-", kTrace, "-", kSpan, "_01"),
      std::string(55, '\0'),
      std::string(4096, '0'),
  };
  for (const std::string& text : cases) EXPECT_FALSE(ParseTraceparent(text).has_value()) << text;
}

TEST(Traceparent, HalfOfTheTraceIdMayBeZero) {
  const std::string zero(16, '0');
  EXPECT_TRUE(ParseTraceparent(Header("00", absl::StrCat(zero, kSpan), kSpan, "00")).has_value());
  EXPECT_TRUE(ParseTraceparent(Header("00", absl::StrCat(kSpan, zero), kSpan, "00")).has_value());
}

}  // namespace
}  // namespace holdfast::service
