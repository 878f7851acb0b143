// The check of histories finds what is wrong, and nothing else.

#include "tests/cluster/history.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace holdfast::testing {
namespace {

using Kind = SeenCall::Kind;
using Found = Finding::Kind;

constexpr Limit kLimit = {.checks = 2, .window_us = 100};

SeenCall Call(Kind kind, int64_t sent_us, std::optional<int64_t> answered_us, int64_t value = 0,
              const std::string& object = "c") {
  return {kind, object, sent_us, answered_us, value};
}

// Returns what the only finding is; nothing if there is none or more than one.
std::optional<Found> OnlyFinding(const std::vector<SeenCall>& calls) {
  const std::vector<Finding> findings = FindingsOf(calls, kLimit);
  for (const Finding& finding : findings) SCOPED_TRACE(finding.what);
  if (findings.size() != 1) return std::nullopt;
  return findings[0].kind;
}

TEST(HistoryTest, ARightHistoryHasNoFindings) {
  EXPECT_TRUE(FindingsOf({Call(Kind::kRead, 0, 5, 0), Call(Kind::kIncrement, 10, 20, 1),
                          // These two overlap, so either may come first.
                          Call(Kind::kIncrement, 30, 50, 3), Call(Kind::kIncrement, 35, 60, 2),
                          // One without an answer, which has happened.
                          Call(Kind::kIncrement, 40, std::nullopt), Call(Kind::kRead, 70, 80, 4),
                          // Another one, which has not.
                          Call(Kind::kIncrement, 40, std::nullopt), Call(Kind::kRead, 90, 95, 4),
                          // Another object.
                          Call(Kind::kIncrement, 96, 97, 1, "other"),
                          // Unique numbers begin at 0, and have nothing to do with the value.
                          Call(Kind::kUniqueNumber, 10, 20, 0), Call(Kind::kUniqueNumber, 30, 40, 1)},
                         kLimit)
                  .empty());
}

TEST(HistoryTest, AReadMayTellAValueThatIsBeingMade) {
  EXPECT_TRUE(FindingsOf({Call(Kind::kIncrement, 10, 50, 1), Call(Kind::kRead, 20, 30, 1)}, kLimit).empty());
  EXPECT_TRUE(FindingsOf({Call(Kind::kIncrement, 10, 50, 1), Call(Kind::kRead, 20, 30, 0)}, kLimit).empty());
}

TEST(HistoryTest, AValueThatIsGivenTwiceIsFound) {
  EXPECT_EQ(OnlyFinding({Call(Kind::kIncrement, 10, 50, 1), Call(Kind::kIncrement, 20, 40, 1)}), Found::kDoubled);
  EXPECT_EQ(OnlyFinding({Call(Kind::kUniqueNumber, 10, 50, 0), Call(Kind::kUniqueNumber, 20, 40, 0)}), Found::kDoubled);
}

TEST(HistoryTest, AnAcknowledgedIncrementThatIsLostIsFound) {
  // By a read at the end.
  EXPECT_EQ(
      OnlyFinding({Call(Kind::kIncrement, 10, 20, 1), Call(Kind::kIncrement, 30, 40, 2), Call(Kind::kRead, 50, 60, 1)}),
      Found::kLost);
  // By the next increments, which build on an older value.
  EXPECT_FALSE(FindingsOf({Call(Kind::kIncrement, 10, 20, 1), Call(Kind::kIncrement, 30, 40, 2),
                           Call(Kind::kIncrement, 50, 60, 2)},
                          kLimit)
                   .empty());
}

TEST(HistoryTest, AnOldReadIsFound) {
  EXPECT_EQ(OnlyFinding({Call(Kind::kIncrement, 10, 20, 1), Call(Kind::kRead, 21, 30, 0)}), Found::kLost);
  // A read has shown the value of an increment that was not answered yet.
  EXPECT_EQ(
      OnlyFinding({Call(Kind::kIncrement, 10, 90, 1), Call(Kind::kRead, 20, 30, 1), Call(Kind::kRead, 40, 50, 0)}),
      Found::kLost);
}

TEST(HistoryTest, AnIncrementThatHappensTwiceIsFound) {
  EXPECT_EQ(OnlyFinding({Call(Kind::kIncrement, 10, 20, 1), Call(Kind::kRead, 30, 40, 2)}), Found::kDoubled);
  // The one without an answer accounts for one more, not for two.
  EXPECT_EQ(OnlyFinding({Call(Kind::kIncrement, 10, 20, 1), Call(Kind::kIncrement, 10, std::nullopt),
                         Call(Kind::kRead, 30, 40, 3)}),
            Found::kDoubled);
}

TEST(HistoryTest, AValueFromTheFutureIsFound) {
  EXPECT_EQ(OnlyFinding({Call(Kind::kIncrement, 5, std::nullopt), Call(Kind::kRead, 10, 20, 1),
                         Call(Kind::kIncrement, 30, 40, 2), Call(Kind::kRead, 10, 20, 1)}),
            std::nullopt);
  EXPECT_FALSE(FindingsOf({Call(Kind::kIncrement, 5, std::nullopt), Call(Kind::kRead, 10, 20, 1),
                           Call(Kind::kIncrement, 30, 40, 1)},
                          kLimit)
                   .empty());
}

TEST(HistoryTest, ChecksOverTheLimitWithinOneWindowAreFound) {
  EXPECT_TRUE(FindingsOf({Call(Kind::kAllowed, 0, 10), Call(Kind::kAllowed, 20, 30), Call(Kind::kAllowed, 110, 120),
                          Call(Kind::kAllowed, 125, 135)},
                         kLimit)
                  .empty());
  EXPECT_EQ(OnlyFinding({Call(Kind::kAllowed, 0, 10), Call(Kind::kAllowed, 20, 30), Call(Kind::kAllowed, 80, 90)}),
            Found::kDoubled);
  // The last one may have been allowed after the window of the first.
  EXPECT_TRUE(
      FindingsOf({Call(Kind::kAllowed, 0, 10), Call(Kind::kAllowed, 20, 30), Call(Kind::kAllowed, 80, 150)}, kLimit)
          .empty());
  // Another key.
  EXPECT_TRUE(
      FindingsOf({Call(Kind::kAllowed, 0, 10), Call(Kind::kAllowed, 20, 30), Call(Kind::kAllowed, 80, 90, 0, "d")},
                 kLimit)
          .empty());
}

TEST(HistoryTest, TheLongestCallIsOfThoseThatWereAnsweredSince) {
  History history;
  history.Add(Call(Kind::kIncrement, 10, 1000, 1));
  history.Add(Call(Kind::kIncrement, 2000, 2300, 2));
  history.Add(Call(Kind::kIncrement, 2100, std::nullopt));
  EXPECT_EQ(history.LongestUs(0), 990);
  EXPECT_EQ(history.LongestUs(1000), 990);
  EXPECT_EQ(history.LongestUs(1001), 300);
  EXPECT_EQ(history.answered(), 2);
}

TEST(HistoryTest, TheFirstChangeIsOfThoseThatWereAnsweredSince) {
  History history;
  history.Add(Call(Kind::kIncrement, 10, 20, 1));
  history.Add(Call(Kind::kIncrement, 15, 400, 2));
  history.Add(Call(Kind::kUniqueNumber, 25, 300, 0));
  history.Add(Call(Kind::kRead, 30, 40, 1));
  history.Add(Call(Kind::kAllowed, 30, 40));
  history.Add(Call(Kind::kIncrement, 35, std::nullopt, 0));
  EXPECT_EQ(history.FirstChangeUs(20), 20);
  EXPECT_EQ(history.FirstChangeUs(21), 300);
  EXPECT_EQ(history.FirstChangeUs(301), 400);
  EXPECT_EQ(history.FirstChangeUs(401), std::nullopt);
}

}  // namespace
}  // namespace holdfast::testing
