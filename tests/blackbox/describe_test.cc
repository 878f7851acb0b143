// DescribeObject describes an object that is at work, stuck, deleted, or that never existed.

#include "absl/strings/str_cat.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/blackbox/sql_behaviour.h"
#include "tests/blackbox/watcher.h"

namespace holdfast::blackbox {
namespace {

using CounterStub = v1::CounterService::Stub;

const absl::Time kPast = absl::FromUnixSeconds(1);

class Descriptions : public SqlBehaviour {};
INSTANTIATE_TEST_SUITE_P(Stores, Descriptions, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Descriptions, AnObjectExistsFromItsFirstWriteUntilItIsDeleted) {
  EXPECT_FALSE(Describe("o").exists());
  EXPECT_EQ(Get("o", "a"), std::nullopt);
  EXPECT_FALSE(Describe("o").exists());
  ASSERT_TRUE(IsOk(Put("o", "a", "1")));
  EXPECT_TRUE(Describe("o").exists());
  Passivate("o");
  EXPECT_TRUE(Describe("o").exists());
  // An object of the same name in another class is another object.
  EXPECT_FALSE(Describe("o", "Counter").exists());
  ASSERT_TRUE(IsOk(Call(&CounterStub::Increment, For<v1::IncrementRequest>("o"))));
  EXPECT_TRUE(Describe("o", "Counter").exists());
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, For<v1::DeleteAllRequest>("o"))));
  EXPECT_FALSE(Describe("o").exists());
  // An alarm alone is enough for the object to be stored.
  ASSERT_TRUE(IsOk(SetAlarm("o", absl::Now() + absl::Hours(1))));
  auto keep = For<v1::DeleteAllRequest>("o");
  keep.set_keep_alarm(true);
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, keep)));
  EXPECT_TRUE(Describe("o").exists());
}

TEST_P(Descriptions, AQueueAndAStatementThatRunsHoldNoDescriptionUp) {
  Start("sql { time_limit_ms: 3000 }");
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(v)", "INSERT INTO t VALUES (1), (2)"})));
  // Each statement runs until its time is over, the second when the first has ended.
  const auto endless = Statements("o", {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                        "SELECT count(*) FROM n"});
  auto one = Send(&ObjectStub::ExecuteSql, endless);
  auto other = Send(&ObjectStub::ExecuteSql, endless);
  WaitUntil([&] { return Describe("o").mailbox_depth() == 1; });
  const auto described = Describe("o");
  EXPECT_EQ(one.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_EQ(other.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_EQ(described.activation_state(), v1::ACTIVATION_STATE_ACTIVE);
  EXPECT_EQ(described.mailbox_depth(), 1);
  EXPECT_TRUE(described.exists());
  ASSERT_EQ(described.tables_size(), 1);
  EXPECT_EQ(described.tables(0).row_count(), 2);
  for (auto* sent : {&one, &other}) {
    EXPECT_TRUE(Fails(sent->get().status, grpc::StatusCode::RESOURCE_EXHAUSTED, "SQL_TIME_LIMIT"));
  }
}

TEST_P(Descriptions, TablesOfAnObjectThatIsNotInMemoryAreCountedWithoutLoadingIt) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(v)", "INSERT INTO t VALUES (1), (2)"})));
  Passivate("o");
  for (int again = 0; again < 2; ++again) {
    const auto described = Describe("o");
    EXPECT_EQ(described.activation_state(), v1::ACTIVATION_STATE_INACTIVE);
    ASSERT_EQ(described.tables_size(), 1);
    EXPECT_EQ(described.tables(0).row_count(), 2);
  }
}

TEST_P(Descriptions, WhatWasAnsweredBeforeIsCounted) {
  ASSERT_TRUE(IsOk(Execute("o", {"CREATE TABLE t(v)"})));
  for (int rows = 1; rows <= 30; ++rows) {
    ASSERT_TRUE(IsOk(Execute("o", {"INSERT INTO t VALUES (zeroblob(1000))"})));
    ASSERT_EQ(Describe("o").tables(0).row_count(), rows);
  }
}

TEST_P(Descriptions, AnAlarmIsToldInEachOfItsStates) {
  EXPECT_FALSE(Describe("o").has_alarm());
  ASSERT_TRUE(IsOk(SetAlarm("o", kPast)));
  auto described = Describe("o");
  EXPECT_EQ(FromProto(described.alarm().scheduled_time()), kPast);
  EXPECT_EQ(FromProto(described.alarm().due_time()), kPast);
  EXPECT_EQ(described.alarm().retry_count(), 0);
  EXPECT_FALSE(described.has_alarm_delivery());

  Watcher watcher(channel_, v1::WatchAlarmsRequest());
  const auto delivery = watcher.Next();
  described = Describe("o");
  EXPECT_FALSE(described.has_alarm() || described.has_alarm_time());
  EXPECT_EQ(FromProto(described.alarm_delivery().scheduled_time()), kPast);
  EXPECT_EQ(described.alarm_delivery().retry_count(), 0);
  EXPECT_EQ(FromProto(described.alarm_delivery().lease_expire_time()), FromProto(delivery.lease_expire_time()));

  const absl::Time refused = absl::Now();
  ASSERT_TRUE(IsOk(Call(&ObjectStub::AcknowledgeAlarm, Refusal(delivery))));
  described = Describe("o");
  // The retry comes after 2 s at the earliest; the test asked before that.
  if (absl::Now() < refused + absl::Seconds(2)) {
    EXPECT_FALSE(described.has_alarm_delivery());
    EXPECT_EQ(FromProto(described.alarm_time()), kPast);
    EXPECT_EQ(FromProto(described.alarm().scheduled_time()), kPast);
    EXPECT_GE(FromProto(described.alarm().due_time()), refused + absl::Seconds(2) - absl::Milliseconds(1));
    EXPECT_EQ(described.alarm().retry_count(), 1);
  }
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAlarm, For<v1::DeleteAlarmRequest>("o"))));
  EXPECT_FALSE(Describe("o").has_alarm());
}

TEST_P(ScriptedBehaviour, DescribeObjectTellsTheAttemptsOfAHandler) {
  SetAlarmScripts("o", {{"fail { code: 10 message: \"on purpose\" }"}});
  ASSERT_TRUE(IsOk(Run("o", {"set_alarm { at { seconds: 1 } }"})));
  Notes("o", "alarm", 1);
  WaitUntil([&] { return Describe("o", "Scripted").alarm().retry_count() == 1; });
  const auto described = Describe("o", "Scripted");
  EXPECT_EQ(FromProto(described.alarm().scheduled_time()), kPast);
  EXPECT_GT(FromProto(described.alarm().due_time()), ServerNow());
  EXPECT_FALSE(described.has_alarm_delivery());
}

}  // namespace
}  // namespace holdfast::blackbox
