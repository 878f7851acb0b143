// Shards that change their host while it runs: nothing is lost or done twice, and nothing of a shard is written by a
// host that has given it away.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/request_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A node with two executors, between which shards move. The test delivers to the host that it wants.
class ShardMovesTest : public RequestRecordsTest {
 protected:
  void StartTwo() {
    Crash();
    node = std::make_unique<simulation::Node>(&recording, &clock, classes, options, families_max, seed, observer,
                                              /*executors=*/2);
    ASSERT_TRUE(node->recovered().ok());
  }
  storage::ShardId ShardOf(const std::string& name) const { return Key(scripted, name).shard(); }
  ShardHost& host(int lane) { return *node->lane(lane).host; }
  int OwnerOf(const std::string& name) { return host(0).Owns(ShardOf(name)) ? 0 : 1; }

  // Sends what `send` sends to the host of the lane, whether the object is there or not.
  void At(int lane, const std::function<void()>& send) {
    node->lane(lane).executor.Post([this, lane, captured = Capture(send)] { host(lane).Deliver(captured); });
  }
  Reply SendTo(int lane, const std::string& name, const std::string& id) {
    Reply reply;
    At(lane, [&] { reply = SendAdd(name, id); });
    return reply;
  }
  Reply AskAt(int lane, const std::string& name, const std::string& id) {
    const Reply reply = SendTo(lane, name, id);
    node->Settle();
    EXPECT_TRUE(reply->done());
    return reply;
  }
  // Begins to move the object's shard to the other host.
  void BeginMove(const std::string& name, absl::Duration turns_max = absl::Seconds(1)) {
    const int from = OwnerOf(name);
    const storage::ShardId shard = ShardOf(name);
    node->lane(from).executor.Post([this, from, shard, turns_max] {
      host(from).Release(shard, turns_max, [this, from, shard] {
        ++moves_;
        node->lane(1 - from).executor.Post([this, from, shard] { host(1 - from).Own(shard); });
      });
    });
  }
  static Script WriteAndWait(absl::Duration time) {
    return [time](ScriptedObject& self) -> Task<absl::Status> {
      const absl::Status put = self.storage().Put("n", "7");
      co_await self.Wait(time);
      co_return put;
    };
  }
  static int NumberIn(const Reply& reply) { return std::stoi(reply->response); }

  int moves_ = 0;
};

TEST_F(ShardMovesTest, TheNextOwnerGoesOnWhereTheLastOneEnded) {
  StartTwo();
  const int first = OwnerOf("a");
  EXPECT_EQ(NumberIn(AskAt(first, "a", "1")), 1);
  EXPECT_EQ(NumberIn(AskAt(first, "a", "2")), 2);
  EXPECT_THAT(*AskAt(1 - first, "a", "3")->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_WRONG_OWNER));
  BeginMove("a");
  node->Settle();
  EXPECT_EQ(moves_, 1);
  EXPECT_EQ(OwnerOf("a"), 1 - first);
  EXPECT_EQ(host(first).activation_count(), 0u);
  EXPECT_THAT(*AskAt(first, "a", "3")->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_WRONG_OWNER));
  EXPECT_EQ(NumberIn(AskAt(1 - first, "a", "3")), 3);
  // A request that the last owner has answered is not done again.
  EXPECT_EQ(NumberIn(AskAt(1 - first, "a", "2")), 2);
  EXPECT_EQ(NumberIn(AskAt(1 - first, "a", "4")), 4);
}

TEST_F(ShardMovesTest, TheShardIsFreeOnlyWhenAllIsDurable) {
  StartTwo();
  const int first = OwnerOf("a");
  const Reply reply = SendTo(first, "a", "1");
  node->SettleWithoutCommits();
  BeginMove("a");
  node->SettleWithoutCommits();
  EXPECT_EQ(moves_, 0);
  EXPECT_FALSE(reply->done());
  node->Settle();
  EXPECT_EQ(moves_, 1);
  EXPECT_EQ(NumberIn(reply), 1);
}

TEST_F(ShardMovesTest, TurnsThatHaveBegunMayEndAndTheOthersAreRefused) {
  StartTwo();
  const int first = OwnerOf("a");
  std::shared_ptr<Outcome> begun;
  At(first, [&] { begun = Send("a", WriteAndWait(absl::Milliseconds(300))); });
  node->Settle();
  const Reply waits = SendTo(first, "a", "1");
  node->Settle();
  EXPECT_FALSE(waits->done());
  BeginMove("a");
  node->Settle();
  ASSERT_TRUE(waits->done());
  EXPECT_THAT(*waits->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_WRONG_OWNER));
  EXPECT_FALSE(begun->done());
  EXPECT_EQ(moves_, 0);
  node->Advance(absl::Milliseconds(300));
  EXPECT_TRUE(begun->ok());
  EXPECT_EQ(moves_, 1);
  EXPECT_EQ(NumberIn(AskAt(1 - first, "a", "1")), 8);
}

TEST_F(ShardMovesTest, ATurnThatDoesNotEndIsReset) {
  StartTwo();
  const int first = OwnerOf("a");
  std::shared_ptr<Outcome> begun;
  At(first, [&] { begun = Send("a", WriteAndWait(absl::Seconds(20))); });
  node->Settle();
  BeginMove("a", absl::Milliseconds(250));
  node->Advance(absl::Milliseconds(240));
  EXPECT_FALSE(begun->done());
  node->Advance(absl::Milliseconds(10));
  ASSERT_TRUE(begun->done());
  EXPECT_THAT(*begun->status, Fails(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OBJECT_RESET));
  EXPECT_EQ(moves_, 1);
  EXPECT_EQ(NumberIn(AskAt(1 - first, "a", "1")), 1);
}

TEST_F(ShardMovesTest, TheCountOfRecordsMovesToo) {
  StartTwo();
  const int first = OwnerOf("a");
  for (int i = 0; i < 5; ++i) AskAt(first, "a", absl::StrCat(i));
  const int64_t bytes = host(first).load().request_record_bytes;
  EXPECT_EQ(host(first).load().request_records, 5);
  BeginMove("a");
  node->Settle();
  EXPECT_EQ(host(first).load().request_records, 0);
  EXPECT_EQ(host(first).load().request_record_bytes, 0);
  EXPECT_EQ(host(1 - first).load().request_records, 5);
  EXPECT_EQ(host(1 - first).load().request_record_bytes, bytes);
  // The new owner removes them when they are old enough.
  node->Advance(options.records.age + absl::Seconds(5));
  EXPECT_EQ(RecordCount(), 0u);
  EXPECT_EQ(host(1 - first).load().request_records, 0);
}

// The removal of old records is a write to the shard that no object waits for.
TEST_F(ShardMovesTest, TheShardIsNotFreeBeforeItsOldRecordsAreGone) {
  StartTwo();
  const int first = OwnerOf("a");
  AskAt(first, "a", "1");
  node->Advance(options.records.age - absl::Seconds(1));
  EXPECT_EQ(host(first).activation_count(), 0u);
  clock.Advance(absl::Minutes(1));
  node->SettleWithoutCommits();
  EXPECT_EQ(RecordCount(), 1u);
  BeginMove("a");
  node->SettleWithoutCommits();
  EXPECT_EQ(moves_, 0);
  node->Settle();
  EXPECT_EQ(moves_, 1);
  EXPECT_EQ(RecordCount(), 0u);
}

// Alarms stay in the index and fire at their new owner: those that are due later, by an instant or after a delay, and
// one that came due while its shard was on the way.
TEST_F(ShardMovesTest, AlarmsMoveToo) {
  board().alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    self.Note(absl::StrCat(self.name, " ", absl::ToUnixSeconds(self.Now())));
    co_return absl::OkStatus();
  };
  StartTwo();
  const int64_t began = absl::ToUnixSeconds(clock.Now());
  const auto set = [this](const std::string& name, absl::Duration after) {
    At(OwnerOf(name), [&] {
      Send(name, [after](ScriptedObject& self) -> Task<absl::Status> {
        self.storage().SetAlarm(self.Now() + after);
        co_return absl::OkStatus();
      });
    });
  };
  set("a", absl::Seconds(10));
  set("b", absl::Seconds(20));
  set("c", absl::Seconds(1));
  node->Settle();
  BeginMove("a");
  BeginMove("b");
  node->Settle();
  BeginMove("c");
  clock.Advance(absl::Seconds(2));
  node->Settle();
  EXPECT_EQ(moves_, 3);
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(board().notes, ElementsAre(absl::StrCat("c ", began + 2)));
  // Back and forth.
  BeginMove("b");
  node->Settle();
  node->Advance(absl::Minutes(1));
  EXPECT_THAT(board().notes, ElementsAre(absl::StrCat("c ", began + 2), absl::StrCat("a ", began + 10),
                                         absl::StrCat("b ", began + 20)));
}

// The next owner ends the deliveries that are out, and the watcher here never hears of it.
TEST_F(ShardMovesTest, DeliveriesOfAShardThatHasLeftTakeNoPlaces) {
  StartTwo();
  AlarmWatchers::Filter filter;
  filter.ns = "default";
  filter.outstanding_max = 1;
  ASSERT_TRUE(node->watchers().Add(filter, [](const AlarmWatchers::Delivery&) {}).ok());
  const auto place_for = [this](const std::string& name) {
    const storage::ObjectId id{"default", scripted.name, name};
    std::optional<AlarmWatchers::Claim> claim;
    const AlarmWatchers::Place place = node->watchers().TakePlace(id, /*avoided=*/0, &claim);
    if (claim) claim->Deliver({.object = id, .token = "token of " + name});
    return place;
  };
  EXPECT_EQ(place_for("a"), AlarmWatchers::Place::kTaken);
  EXPECT_EQ(place_for("b"), AlarmWatchers::Place::kNone);
  BeginMove("b");
  node->Settle();
  EXPECT_EQ(place_for("b"), AlarmWatchers::Place::kNone) << "the delivery is of another shard";
  BeginMove("a");
  node->Settle();
  EXPECT_EQ(moves_, 2);
  EXPECT_EQ(place_for("b"), AlarmWatchers::Place::kTaken);
}

// Any number of moves at any moment of commits and turns: each request has one effect, however often it is sent.
TEST_F(ShardMovesTest, MovesInAnyOrderLoseNothing) {
  for (uint64_t round = 0; round < 200; ++round) {
    std::mt19937_64 random(round);
    StartTwo();
    struct Pending {
      std::string name;
      std::string id;
      Reply reply;
    };
    std::vector<Pending> pending;
    std::map<std::string, int> acknowledged;
    std::map<std::string, std::map<int, std::string>> numbers;
    int next_id = 0;
    const int moves_before = moves_;
    const auto note = [&] {
      for (size_t i = 0; i < pending.size();) {
        Pending& one = pending[i];
        if (!one.reply->done()) {
          ++i;
          continue;
        }
        if (one.reply->ok()) {
          const auto [it, added] = numbers[one.name].emplace(NumberIn(one.reply), one.id);
          ASSERT_TRUE(added) << "round " << round << ": " << one.name << " gave " << it->first << " twice";
          ++acknowledged[one.name];
          pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
          // Again, to the other one perhaps.
          one.reply = SendTo(static_cast<int>(random() % 2), one.name, one.id);
          ++i;
        }
      }
    };
    for (int step = 0; step < 120; ++step) {
      const std::string name = absl::StrCat(round, ".", random() % 3);
      switch (random() % 6) {
        case 0:
        case 1:
          pending.push_back({name, absl::StrCat(next_id), nullptr});
          pending.back().reply = SendTo(static_cast<int>(random() % 2), name, absl::StrCat(next_id++));
          break;
        case 2:
          if (host(0).Owns(ShardOf(name)) || host(1).Owns(ShardOf(name))) BeginMove(name, absl::Milliseconds(50));
          node->lane(0).executor.RunUntilIdle();
          node->lane(1).executor.RunUntilIdle();
          break;
        default:
          node->Step(random());
      }
      note();
    }
    for (int i = 0; i < 100 && !pending.empty(); ++i) {
      node->Settle();
      note();
    }
    ASSERT_THAT(pending, IsEmpty()) << "round " << round;
    ASSERT_GT(moves_, moves_before);
    node->Settle();
    for (const auto& [name, count] : acknowledged) {
      const Reply last = AskAt(OwnerOf(name), name, absl::StrCat("last", next_id++));
      ASSERT_TRUE(last->ok()) << *last->status;
      ASSERT_EQ(NumberIn(last), count + 1) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace holdfast::actors
