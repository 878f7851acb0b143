// Runs leaderboards in a node of the simulation: one thread, a store in memory, and a clock that the test moves.

#include "leaderboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/actors/node_test.h"

namespace leaderboard {
namespace {

using holdfast::actors::Make;
using holdfast::actors::NodeTest;
using holdfast::actors::ObjectClass;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class LeaderboardTest : public NodeTest {
 protected:
  LeaderboardTest() {
    classes = {&Leaderboard::Class()};
    Start();
  }

  auto Submit(const std::string& player, int64_t score, const ObjectClass& object_class = Leaderboard::Class()) {
    v1::SubmitScoreRequest request;
    request.set_player(player);
    request.set_score(score);
    return SendTo<Leaderboard>(object_class, "chess", &Leaderboard::SubmitScore, request);
  }
  std::vector<std::pair<std::string, int64_t>> Leaders(int32_t count) {
    v1::GetLeadersRequest request;
    request.set_count(count);
    const auto sent = Ask("chess", &Leaderboard::GetLeaders, request);
    EXPECT_TRUE(sent->ok());
    std::vector<std::pair<std::string, int64_t>> leaders;
    for (const v1::Leader& leader : sent->response.leaders()) leaders.emplace_back(leader.player(), leader.score());
    return leaders;
  }
};

TEST_F(LeaderboardTest, KeepsTheBestScoreOfEachPlayer) {
  for (const auto& [player, score] :
       {std::pair("ada", 10), std::pair("bob", 30), std::pair("cid", -20), std::pair("ada", 40), std::pair("bob", 5)}) {
    auto sent = Submit(player, score);
    node->Settle();
    EXPECT_TRUE(sent->ok());
  }
  EXPECT_THAT(Leaders(2), ElementsAre(Pair("ada", 40), Pair("bob", 30)));
  EXPECT_THAT(Leaders(100), ElementsAre(Pair("ada", 40), Pair("bob", 30), Pair("cid", -20)));
}

TEST_F(LeaderboardTest, ABadRequestIsRefusedAndLeavesNothing) {
  auto sent = Submit("", 1);
  node->Settle();
  EXPECT_THAT(*sent->status, holdfast::actors::IsInvalid("player"));
  EXPECT_THAT(Leaders(1), IsEmpty());
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(LeaderboardTest, WhatWasAnsweredSurvivesACrashAndNothingElse) {
  auto answered = Submit("ada", 1);
  node->Settle();
  EXPECT_TRUE(answered->ok());
  auto waiting = Submit("bob", 2);
  node->SettleWithoutCommits();
  EXPECT_FALSE(waiting->done());
  Start();
  EXPECT_THAT(Leaders(100), ElementsAre(Pair("ada", 1)));
}

TEST_F(LeaderboardTest, ASeasonEndsSevenDaysAfterItsFirstScore) {
  Submit("ada", 1);
  node->Advance(absl::Hours(6 * 24));
  Submit("bob", 2);
  node->Advance(absl::Hours(24) - absl::Seconds(1));
  EXPECT_THAT(Leaders(100), ElementsAre(Pair("bob", 2), Pair("ada", 1)));
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(Leaders(100), IsEmpty());
}

TEST_F(LeaderboardTest, AMigrationTurnsPointsIntoTenths) {
  const ObjectClass before{.name = "Leaderboard", .make = Make<Leaderboard>};
  classes = {&before};
  Start();
  auto sent = Submit("ada", 4, before);
  node->Settle();
  EXPECT_TRUE(sent->ok());
  classes = {&Leaderboard::Class()};
  Start();
  EXPECT_THAT(Leaders(100), ElementsAre(Pair("ada", 40)));
  Start();
  EXPECT_THAT(Leaders(100), ElementsAre(Pair("ada", 40)));
}

}  // namespace
}  // namespace leaderboard
