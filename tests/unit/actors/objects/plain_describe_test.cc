// Descriptions of an object at work: its alarm in each of its states, and its tables beside a turn that does not end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/objects/plain_sql_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class PlainDescribeTest : public PlainSqlFixture {
 protected:
  void Unload(const std::string& name) {
    node->host().PassivateSoon(Key(PlainObject::Class(), name));
    node->Settle();
    EXPECT_EQ(Find(PlainObject::Class(), name), nullptr);
  }
  // Runs reads and commits, but no SQL that waits for a thread.
  void RunAllButSql() {
    do {
      node->executor().RunUntilIdle();
      node->executor().EndRound();
    } while (node->reads().RunOne() || node->commits().RunOne() || node->family_changes().RunOne());
  }

  static constexpr char kLong[] =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000) "
      "SELECT count(*) FROM n";
  Deliveries deliveries;
};

TEST_F(PlainDescribeTest, AnAlarmThatIsLeasedOrRepeatedIsToldWithItsAttemptAndTime) {
  Start();
  const absl::Time set = clock.Now() + absl::Seconds(1);
  SetAlarm("a", set);
  ObjectDescription description = Describe("a");
  ASSERT_TRUE(description.alarm.next);
  EXPECT_EQ(absl::FromUnixMicros(description.alarm.next->scheduled_time_us()), set);
  EXPECT_EQ(absl::FromUnixMicros(description.alarm.next->due_time_us()), set);
  EXPECT_EQ(description.alarm.next->retry_count(), 0);
  EXPECT_FALSE(description.alarm.delivery);

  Watch(&deliveries);
  node->Advance(absl::Seconds(1));
  ASSERT_THAT(deliveries, SizeIs(1));
  for (const bool loaded : {true, false}) {
    description = Describe("a");
    EXPECT_EQ(description.state == Activation::State::kActive, loaded);
    EXPECT_FALSE(description.alarm.visible || description.alarm.next);
    ASSERT_TRUE(description.alarm.delivery);
    EXPECT_EQ(absl::FromUnixMicros(description.alarm.delivery->scheduled_time_us()), set);
    EXPECT_EQ(description.alarm.delivery->retry_count(), 0);
    EXPECT_EQ(absl::FromUnixMicros(description.alarm.delivery->lease_expire_time_us()),
              deliveries[0].lease_expire_time);
    if (loaded) Unload("a");
  }
  // The object may set its next alarm meanwhile.
  const absl::Time next = clock.Now() + absl::Hours(1);
  SetAlarm("a", next);
  description = Describe("a");
  EXPECT_TRUE(description.alarm.delivery);
  ASSERT_TRUE(description.alarm.next);
  EXPECT_EQ(absl::FromUnixMicros(description.alarm.next->due_time_us()), next);
}

TEST_F(PlainDescribeTest, AFailedAttemptIsToldWithTheTimeOfTheNext) {
  Start();
  const absl::Time set = clock.Now();
  SetAlarm("a", set);
  Watch(&deliveries);
  ASSERT_THAT(deliveries, SizeIs(1));
  ASSERT_TRUE(Fail("a", deliveries[0].token).ok());
  for (const bool loaded : {true, false}) {
    const ObjectDescription description = Describe("a");
    EXPECT_EQ(description.state == Activation::State::kActive, loaded);
    EXPECT_EQ(description.alarm.visible, set);
    EXPECT_FALSE(description.alarm.delivery);
    ASSERT_TRUE(description.alarm.next);
    EXPECT_EQ(absl::FromUnixMicros(description.alarm.next->scheduled_time_us()), set);
    EXPECT_GE(absl::FromUnixMicros(description.alarm.next->due_time_us()), clock.Now() + absl::Seconds(2));
    EXPECT_EQ(description.alarm.next->retry_count(), 1);
    if (loaded) Unload("a");
  }
}

TEST_F(PlainDescribeTest, TablesAreCountedBesideATurnThatDoesNotEnd) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)", "INSERT INTO t VALUES (1), (2)"}).ok());
  const auto turn = Send("a", &PlainObject::ExecuteSql, Request({"INSERT INTO t VALUES (3)", kLong}));
  const auto behind = SendPut("a", "k", "v");
  RunAllButSql();
  ASSERT_EQ(node->sql().waiting(), 1u) << "the turn is not on a thread";

  const auto description = SendDescribe("a");
  RunAllButSql();
  ASSERT_EQ(node->sql().waiting(), 2u);
  node->sql().Overtake();
  node->sql().RunOne();
  ASSERT_TRUE(*description);
  ASSERT_TRUE((*description)->ok()) << (*description)->status();
  EXPECT_FALSE(turn->done() || behind->done());
  EXPECT_EQ((**description)->mailbox_depth, 1u);
  ASSERT_THAT((**description)->tables, SizeIs(1));
  EXPECT_EQ((**description)->tables[0].name, "t");
  EXPECT_EQ((**description)->tables[0].row_count, 2);
  node->Settle();
  EXPECT_TRUE(turn->ok() && behind->ok());
  EXPECT_EQ(Describe("a").tables[0].row_count, 3);
}

TEST_F(PlainDescribeTest, TablesAreThoseOfOneMomentWhileTurnsGoOn) {
  for (const int families : {0, 1}) {
    families_max = families;
    Start();
    ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)", "CREATE TABLE u(v)"}).ok());
    const auto description = SendDescribe("a");
    RunAllButSql();
    // Both tables change in one turn before they are counted: the description has both changes.
    const auto turn =
        Send("a", &PlainObject::ExecuteSql, Request({"INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (1)"}));
    RunAllButSql();
    ASSERT_TRUE(turn->ok());
    node->Settle();
    ASSERT_TRUE(*description && (*description)->ok());
    ASSERT_THAT((**description)->tables, SizeIs(2));
    EXPECT_EQ((**description)->tables[0].row_count, 1);
    EXPECT_EQ((**description)->tables[1].row_count, 1);
    ASSERT_TRUE(DeleteAll("a").ok());
  }
}

TEST_F(PlainDescribeTest, ADescriptionOfTablesWhileTheObjectMovesOrGoesIsOfTheObject) {
  families_max = 1;
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)", "INSERT INTO t VALUES (1)"}).ok());
  EXPECT_FALSE(Describe("a").packed);
  // The object is deleted, with its family, after the rest of the description was read.
  auto description = SendDescribe("a");
  RunAllButSql();
  ASSERT_EQ(node->sql().waiting(), 1u);
  const auto deletion = SendDeleteAll(PlainObject::Class(), "a");
  RunAllButSql();
  ASSERT_TRUE(deletion->ok());
  node->Settle();
  ASSERT_TRUE(*description);
  ASSERT_TRUE((*description)->ok()) << (*description)->status();
  EXPECT_FALSE((**description)->header);
  EXPECT_THAT((**description)->tables, IsEmpty());
}

TEST_F(PlainDescribeTest, NothingIsWrittenOrLoadedForADescription) {
  Start();
  ASSERT_TRUE(Do("a", {"CREATE TABLE t(v)", "INSERT INTO t VALUES (1)"}).ok());
  Unload("a");
  const int commits = recording.commits;
  EXPECT_EQ(Describe("a").tables[0].row_count, 1);
  EXPECT_EQ(Find(PlainObject::Class(), "a"), nullptr);
  EXPECT_EQ(recording.commits, commits);
}

}  // namespace
}  // namespace holdfast::actors
