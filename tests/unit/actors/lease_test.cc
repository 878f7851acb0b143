// Replies that wait for no commit are told only while the store holds its lease.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "tests/unit/actors/request_fixture.h"

namespace holdfast::actors {
namespace {

class LeaseTest : public RequestRecordsTest {
 protected:
  static void ExpectNotTold(const Outcome& outcome) {
    ASSERT_TRUE(outcome.done());
    EXPECT_EQ(outcome.status->code(), absl::StatusCode::kUnavailable) << *outcome.status;
    EXPECT_EQ(ReasonOf(*outcome.status), v1::ERROR_REASON_WRONG_OWNER) << *outcome.status;
  }
};

TEST_F(LeaseTest, AReadLeavesOnlyWhileTheLeaseIsHeld) {
  Start();
  Put("a", "k", "v");
  store.set_holds_lease(false);
  auto reader = SendGet("a", "k");
  node->Settle();
  ExpectNotTold(*reader);
  store.set_holds_lease(true);
  EXPECT_EQ(Get("a", "k"), "v");
}

TEST_F(LeaseTest, SoDoesAnErrorThatTellsOfTheObject) {
  Start();
  store.set_holds_lease(false);
  auto failing = Send("a", [](ScriptedObject&) -> Task<absl::Status> { co_return NotFound("no such key"); });
  node->Settle();
  ExpectNotTold(*failing);
}

TEST_F(LeaseTest, SoDoesTheReplayOfAReply) {
  Start();
  ASSERT_TRUE(AskAdd("a", "id")->ok());
  store.set_holds_lease(false);
  const Reply retried = AskAdd("a", "id");
  ExpectNotTold(*retried);
  store.set_holds_lease(true);
  EXPECT_TRUE(AskAdd("a", "id")->ok());
  EXPECT_EQ(Number("a"), 1);
}

TEST_F(LeaseTest, SoDoesADescription) {
  Start();
  Put("a", "k", "v");
  for (const bool loaded : {true, false}) {
    std::optional<absl::StatusOr<ObjectDescription>> told;
    const auto describe = [&] {
      node->host().Describe(Key(scripted, "a"), &scripted,
                            [&](absl::StatusOr<ObjectDescription> found) { told = std::move(found); });
      node->Settle();
    };
    store.set_holds_lease(false);
    describe();
    ASSERT_TRUE(told);
    EXPECT_EQ(ReasonOf(told->status()), v1::ERROR_REASON_WRONG_OWNER) << loaded << told->status();
    store.set_holds_lease(true);
    describe();
    EXPECT_TRUE(told->ok()) << told->status();
    node->host().PassivateSoon(Key(scripted, "a"));
    node->Settle();
  }
}

TEST_F(LeaseTest, ACommitTellsByItselfWhoTheOwnerIs) {
  Start();
  store.set_holds_lease(false);
  auto writer = SendPut("a", "k", "v");
  auto reader = SendGet("a", "k");
  node->Settle();
  EXPECT_TRUE(writer->ok()) << "it is committed, and nobody may be told that it is not";
  EXPECT_TRUE(reader->ok()) << "the commit came after the read";
}

TEST_F(LeaseTest, ACommitThatIsOlderThanTheReadDoesNot) {
  Start();
  auto writer = SendPut("a", "k", "v");
  node->SettleWithoutCommits();
  node->executor().EndRound();
  ASSERT_EQ(node->commits().waiting(), 1u);
  node->commits().RunWork();
  // The process is paused here, say, until another one owns the object and has changed it.
  auto reader = SendGet("a", "k");
  node->SettleWithoutCommits();
  EXPECT_FALSE(reader->done());
  store.set_holds_lease(false);
  node->commits().RunDone();
  EXPECT_TRUE(writer->ok());
  ExpectNotTold(*reader);
}

}  // namespace
}  // namespace holdfast::actors
