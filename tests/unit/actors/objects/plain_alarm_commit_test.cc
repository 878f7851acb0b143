// The alarm of an object of class Object together with other writes: one commit with an acknowledgement, restarts,
// deletions.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::SizeIs;

class PlainAlarmCommitTest : public PlainDeliveryTest {};

// --- One commit with the client's writes

TEST_F(PlainAlarmCommitTest, ABatchAcknowledgesWithItsWrites) {
  const std::string token = DeliverOne().token;
  v1::ApplyBatchRequest batch;
  batch.set_alarm_delivery_token(token);
  EXPECT_TRUE(Ask("a", &PlainObject::ApplyBatch, batch)->ok()) << "no steps are needed";
  ExpectNoAlarm("a");
  EXPECT_THAT(*Ask("a", &PlainObject::ApplyBatch, batch)->status, IsStale());
}

TEST_F(PlainAlarmCommitTest, ABatchThatDoesNotHoldAcknowledgesNothing) {
  const std::string token = DeliverOne().token;
  v1::ApplyBatchRequest batch;
  batch.set_alarm_delivery_token(token);
  batch.add_preconditions()->set_key_present("missing");
  batch.add_steps()->mutable_put()->set_key("k");
  EXPECT_THAT(*Ask("a", &PlainObject::ApplyBatch, batch)->status,
              Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED));
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_TRUE(Acknowledge("a", token).ok());
}

TEST_F(PlainAlarmCommitTest, ABatchThatAcknowledgesMaySetTheNextAlarm) {
  const std::string token = DeliverOne().token;
  v1::ApplyBatchRequest batch;
  batch.set_alarm_delivery_token(token);
  SetTimestamp(absl::ToUnixMicros(scheduled), batch.add_steps()->mutable_set_alarm());
  EXPECT_TRUE(Ask("a", &PlainObject::ApplyBatch, batch)->ok());
  ASSERT_THAT(deliveries, SizeIs(2));
  EXPECT_EQ(deliveries[1].retry_count, 0);
  // The alarm is set and deleted in one batch: nothing is left.
  batch.set_alarm_delivery_token(deliveries[1].token);
  batch.add_steps()->set_delete_alarm(true);
  EXPECT_TRUE(Ask("a", &PlainObject::ApplyBatch, batch)->ok());
  ExpectNoAlarm("a");
}

TEST_F(PlainAlarmCommitTest, WhereTheHandlersWritesAreTheBatchItsEffectIsExactlyOnce) {
  bool seen_crash_after_delivery = false;
  bool seen_twice = false;
  for (int crash_after = 0; crash_after < 30; ++crash_after) {
    SCOPED_TRACE(absl::StrCat("crash after ", crash_after, " steps"));
    families_max = crash_after % 2;
    Start();
    Deliveries out;
    Watch(&out);
    const std::string name = absl::StrCat("object", crash_after);
    auto set = SendSetAlarm(name, clock.Now());
    int steps = 0;
    int handled = 0;
    // The client writes a key whenever the alarm comes, and is gone when the server is.
    const auto handle = [&] {
      for (const Delivered& one : std::exchange(out, {})) {
        v1::ApplyBatchRequest batch;
        batch.set_alarm_delivery_token(one.token);
        batch.add_steps()->mutable_put()->set_key(absl::StrCat("effect", ++handled));
        Send(name, &PlainObject::ApplyBatch, batch);
      }
    };
    while (steps++ < crash_after && (node->Step(0) || !out.empty())) handle();
    const bool was_set = set->ok();
    seen_crash_after_delivery |= handled > 0;
    Start();
    Watch(&out);
    for (int i = 0; i < 20; ++i) {
      handle();
      node->Advance(absl::Seconds(10));
    }
    EXPECT_EQ(AlarmOf(name), std::nullopt);
    int effects = 0;
    for (int i = 1; i <= handled; ++i) effects += Get(name, absl::StrCat("effect", i)).has_value() ? 1 : 0;
    EXPECT_EQ(effects, was_set || handled > 0 ? 1 : 0);
    seen_twice |= handled > 1;
    DeleteAll(name).IgnoreError();
    EXPECT_TRUE(recording.Dump()["alarms"].empty());
  }
  EXPECT_TRUE(seen_crash_after_delivery && seen_twice);
}

// --- Restarts

TEST_F(PlainAlarmCommitTest, ARestartKeepsTheLeaseAndItsToken) {
  const Delivered out = DeliverOne();
  Start();
  Watch(&deliveries);
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  node->Advance(absl::Seconds(29));
  EXPECT_THAT(deliveries, SizeIs(1));
  EXPECT_TRUE(Acknowledge("a", out.token).ok());
  ExpectNoAlarm("a");
  node->Advance(absl::Minutes(5));
  EXPECT_THAT(deliveries, SizeIs(1));
}

TEST_F(PlainAlarmCommitTest, ARestartKeepsTheAttemptsAndTheTimeOfTheNext) {
  DeliverOne();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Fail("a", deliveries.back().token).ok());
    node->Advance(absl::Seconds(10));
  }
  ASSERT_THAT(deliveries, SizeIs(4));
  EXPECT_TRUE(Fail("a", deliveries.back().token).ok());
  const absl::Time failed = clock.Now();
  node->Advance(absl::Seconds(15));
  Start();
  Watch(&deliveries);
  node->Advance(absl::Seconds(0.9));
  EXPECT_THAT(deliveries, SizeIs(4)) << "early";
  EXPECT_EQ(AlarmOf("a"), scheduled);
  node->Advance(absl::Seconds(4.1));
  ASSERT_THAT(deliveries, SizeIs(5));
  EXPECT_EQ(deliveries[4].retry_count, 4);
  EXPECT_GE(deliveries[4].time, failed + absl::Seconds(16));
}

TEST_F(PlainAlarmCommitTest, ALeaseThatExpiredWhileTheServerWasDownIsAFailureOfThatTime) {
  const Delivered out = DeliverOne();
  Crash();
  clock.Advance(absl::Hours(1));
  Start();
  Watch(&deliveries);
  node->Settle();
  ASSERT_THAT(deliveries, SizeIs(2)) << "the backoff is over too";
  EXPECT_EQ(deliveries[1].retry_count, 1);
  EXPECT_THAT(Acknowledge("a", out.token), IsStale());
}

TEST_F(PlainAlarmCommitTest, ACrashWhileALeaseIsStoredDeliversAnewOrLeavesTheLease) {
  for (int crash_after = 0; crash_after < 8; ++crash_after) {
    SCOPED_TRACE(crash_after);
    const std::string name = absl::StrCat("object", crash_after);
    deliveries.clear();
    Start();
    Watch(&deliveries);
    SetAlarm(name, clock.Now() + absl::Seconds(1));
    clock.Advance(absl::Seconds(1));
    for (int step = 0; step < crash_after; ++step) node->Step(0);
    const size_t before = deliveries.size();
    Start();
    Watch(&deliveries);
    node->Advance(absl::Seconds(33));
    ASSERT_GE(deliveries.size(), before + 1);
    EXPECT_GE(deliveries.back().retry_count, static_cast<int32_t>(before));
    EXPECT_TRUE(Acknowledge(name, deliveries.back().token).ok());
    ExpectNoAlarm(name);
  }
}

// --- DeleteAll

TEST_F(PlainAlarmCommitTest, DeletingTheObjectEndsItsDelivery) {
  const Delivered out = DeliverOne();
  EXPECT_TRUE(DeleteAll("a").ok());
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_THAT(Acknowledge("a", out.token), IsStale());
  node->Advance(absl::Minutes(5));
  EXPECT_THAT(deliveries, SizeIs(1));
  SetAlarm("a", clock.Now());
  EXPECT_THAT(deliveries, SizeIs(2));
}

TEST_F(PlainAlarmCommitTest, WithKeepAlarmItStaysInEveryState) {
  for (bool restart : {false, true}) {
    // The alarm is set.
    deliveries.clear();
    Start();
    Put("a", "k", "v");
    const absl::Time time = clock.Now() + absl::Seconds(5);
    SetAlarm("a", time);
    EXPECT_TRUE(DeleteAll("a", /*keep_alarm=*/true).ok());
    if (restart) Start();
    Watch(&deliveries);
    EXPECT_EQ(Get("a", "k"), std::nullopt);
    EXPECT_EQ(AlarmOf("a"), time);
    node->Advance(absl::Seconds(5));
    ASSERT_THAT(deliveries, SizeIs(1));
    // The alarm is delivered: the token stays valid.
    EXPECT_TRUE(DeleteAll("a", /*keep_alarm=*/true).ok());
    if (restart) {
      Start();
      Watch(&deliveries);
    }
    EXPECT_EQ(AlarmOf("a"), std::nullopt);
    EXPECT_TRUE(Fail("a", deliveries[0].token).ok());
    // The alarm is between retries: its attempts are kept.
    EXPECT_TRUE(DeleteAll("a", /*keep_alarm=*/true).ok());
    EXPECT_EQ(AlarmOf("a"), time);
    node->Advance(absl::Seconds(2.5));
    ASSERT_THAT(deliveries, SizeIs(2));
    EXPECT_EQ(deliveries[1].retry_count, 1);
    EXPECT_TRUE(Acknowledge("a", deliveries[1].token).ok());
    EXPECT_TRUE(DeleteAll("a", /*keep_alarm=*/true).ok());
    EXPECT_EQ(recording.EntryCount(), 0u);
  }
}

}  // namespace
}  // namespace holdfast::actors
