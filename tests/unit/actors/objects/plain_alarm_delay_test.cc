// Alarms that clients set by a delay, and leases, while the wall clock is set.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class PlainAlarmDelayTest : public PlainObjectTest {
 protected:
  PlainAlarmDelayTest() { clock.set_steps(true); }

  static v1::SetAlarmRequest In(absl::Duration delay) {
    v1::SetAlarmRequest request;
    SetDuration(absl::ToInt64Microseconds(delay), request.mutable_delay());
    return request;
  }

  Deliveries deliveries;
};

TEST_F(PlainAlarmDelayTest, ItComesAfterItsDelayAndIsToldAsAnInstant) {
  for (const absl::Duration step : {absl::ZeroDuration(), absl::Seconds(600), -absl::Seconds(600)}) {
    SCOPED_TRACE(step);
    Start();
    deliveries.clear();
    Watch(&deliveries);
    auto set = Ask("a", &PlainObject::SetAlarm, In(absl::Seconds(2)));
    ASSERT_TRUE(set->ok()) << *set->status;
    EXPECT_EQ(AlarmOf("a"), FromWire(set->response.scheduled_time()));
    clock.StepWall(step);
    node->Advance(absl::Seconds(2) - absl::Microseconds(1));
    EXPECT_THAT(deliveries, IsEmpty());
    node->Advance(absl::Microseconds(1));
    ASSERT_THAT(deliveries, SizeIs(1));
    EXPECT_EQ(deliveries[0].scheduled_time, FromWire(set->response.scheduled_time()));
    EXPECT_TRUE(Acknowledge("a", deliveries[0].token).ok());
    ExpectNoAlarm("a");
  }
}

TEST_F(PlainAlarmDelayTest, ABatchSetsOneToo) {
  Start();
  Watch(&deliveries);
  v1::ApplyBatchRequest request;
  SetDuration(1'500'000, request.add_steps()->mutable_set_alarm_delay());
  ASSERT_TRUE(Ask("a", &PlainObject::ApplyBatch, request)->ok());
  clock.StepWall(absl::Hours(1));
  node->Advance(absl::Milliseconds(1499));
  EXPECT_THAT(deliveries, IsEmpty());
  node->Advance(absl::Milliseconds(1));
  EXPECT_THAT(deliveries, SizeIs(1));
}

TEST_F(PlainAlarmDelayTest, BadOnesAreRefusedByName) {
  Start();
  v1::SetAlarmRequest request;
  EXPECT_THAT(*Ask("a", &PlainObject::SetAlarm, request)->status, IsInvalid("scheduled_time"));
  EXPECT_THAT(*Ask("a", &PlainObject::SetAlarm, In(-absl::Seconds(1)))->status, IsInvalid("delay"));
  EXPECT_THAT(*Ask("a", &PlainObject::SetAlarm, In(absl::Hours(24 * 36'601)))->status, IsInvalid("delay"));
  request = In(absl::Seconds(1));
  request.mutable_scheduled_time()->set_seconds(1);
  EXPECT_THAT(*Ask("a", &PlainObject::SetAlarm, request)->status, IsInvalid("delay"));
  v1::ApplyBatchRequest batch;
  batch.add_steps()->mutable_set_alarm_delay()->set_seconds(-1);
  EXPECT_THAT(*Ask("a", &PlainObject::ApplyBatch, batch)->status, IsInvalid("steps[0].set_alarm_delay"));
  ExpectNoAlarm("a");
}

TEST_F(PlainAlarmDelayTest, ALeaseIsADuration) {
  for (const absl::Duration step : {absl::Hours(1), -absl::Hours(1)}) {
    SCOPED_TRACE(step);
    Start();
    deliveries.clear();
    Watch(&deliveries);
    ASSERT_TRUE(Ask("a", &PlainObject::SetAlarm, In(absl::ZeroDuration()))->ok());
    ASSERT_THAT(deliveries, SizeIs(1));
    clock.StepWall(step);
    node->Advance(absl::Seconds(29));
    EXPECT_TRUE(Extend("a", deliveries[0].token, absl::Seconds(10))->ok()) << "the lease is still held";
    node->Advance(absl::Seconds(9));
    EXPECT_TRUE(Acknowledge("a", deliveries[0].token).ok());
    EXPECT_THAT(deliveries, SizeIs(1));
  }
}

// The attempt after an expired lease also comes after its delay.
TEST_F(PlainAlarmDelayTest, ARetryComesAfterItsDelay) {
  Start();
  Watch(&deliveries);
  ASSERT_TRUE(Ask("a", &PlainObject::SetAlarm, In(absl::ZeroDuration()))->ok());
  ASSERT_THAT(deliveries, SizeIs(1));
  ASSERT_TRUE(Fail("a", deliveries[0].token).ok());
  clock.StepWall(absl::Hours(1));
  node->Advance(absl::Milliseconds(1900));
  EXPECT_THAT(deliveries, SizeIs(1)) << "early";
  clock.StepWall(-absl::Hours(2));
  node->Advance(absl::Milliseconds(700));
  EXPECT_THAT(deliveries, SizeIs(2));
}

}  // namespace
}  // namespace holdfast::actors
