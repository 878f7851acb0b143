// The alarm of an object of class Object: deliveries under a lease, retries, tokens.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class PlainAlarmTest : public PlainDeliveryTest {};

TEST_F(PlainAlarmTest, IsDeliveredAtItsTimeAndNeverEarly) {
  Start();
  Watch(&deliveries);
  const absl::Time time = clock.Now() + absl::Milliseconds(1500) + absl::Microseconds(1);
  SetAlarm("a", time);
  EXPECT_EQ(AlarmOf("a"), time);
  node->Advance(absl::Milliseconds(1500));
  EXPECT_THAT(deliveries, IsEmpty());
  node->Advance(absl::Microseconds(1));
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_EQ(deliveries[0].name, "a");
  EXPECT_EQ(deliveries[0].scheduled_time, time);
  EXPECT_EQ(deliveries[0].retry_count, 0);
  EXPECT_EQ(deliveries[0].lease_expire_time, time + absl::Seconds(30));
  EXPECT_EQ(AlarmOf("a"), std::nullopt) << "absent while it is delivered";
  EXPECT_TRUE(Acknowledge("a", deliveries[0].token).ok());
  ExpectNoAlarm("a");
  node->Advance(absl::Hours(1));
  EXPECT_THAT(deliveries, SizeIs(1));
}

TEST_F(PlainAlarmTest, OneInThePastIsDeliveredAtOnce) {
  Start();
  Watch(&deliveries);
  SetAlarm("a", clock.Now() - absl::Hours(1));
  EXPECT_THAT(deliveries, SizeIs(1));
}

TEST_F(PlainAlarmTest, IsSentOnlyWhenItsLeaseIsDurable) {
  Start();
  Watch(&deliveries);
  SetAlarm("a", clock.Now() + absl::Seconds(1));
  clock.Advance(absl::Seconds(1));
  node->SettleWithoutCommits();
  EXPECT_THAT(deliveries, IsEmpty());
  node->Settle();
  EXPECT_THAT(deliveries, SizeIs(1));
}

TEST_F(PlainAlarmTest, LeasesThatExpireAreRetriedOnTheWholeSchedule) {
  for (uint64_t run : simulation::Seeds(10)) {
    SCOPED_TRACE(simulation::Replay(run));
    seed = run;
    deliveries.clear();
    Start();
    AlarmWatchers::Filter filter = Of(absl::StrCat("object", run));
    filter.lease = absl::Seconds(7);
    Watch(&deliveries, filter);
    scheduled = clock.Now() + absl::Seconds(1);
    SetAlarm(absl::StrCat("object", run), scheduled);
    node->Advance(absl::Minutes(20));
    ASSERT_GE(deliveries.size(), 14u);
    EXPECT_EQ(deliveries[0].time, scheduled);
    for (size_t i = 1; i < deliveries.size(); ++i) {
      const absl::Duration waited = deliveries[i].time - deliveries[i - 1].lease_expire_time;
      const absl::Duration delay = absl::Seconds(1 << std::min<size_t>(i, 6));
      EXPECT_GE(waited, delay) << i;
      EXPECT_LE(waited, delay * 1.25) << i;
      EXPECT_EQ(deliveries[i].retry_count, static_cast<int32_t>(i));
      EXPECT_EQ(deliveries[i].scheduled_time, scheduled);
      EXPECT_NE(deliveries[i].token, deliveries[i - 1].token);
    }
    DeleteAll(absl::StrCat("object", run)).IgnoreError();
  }
}

TEST_F(PlainAlarmTest, ErrorsAreRetriedOnTheWholeSchedule) {
  DeliverOne();
  for (size_t i = 1; i < 12; ++i) {
    EXPECT_TRUE(Fail("a", deliveries.back().token).ok());
    const absl::Time failed = clock.Now();
    EXPECT_EQ(AlarmOf("a"), scheduled) << "while it is retried, the time for which it was set";
    const absl::Duration delay = absl::Seconds(1 << std::min<size_t>(i, 6));
    node->Advance(delay - absl::Microseconds(1));
    ASSERT_THAT(deliveries, SizeIs(i)) << "early";
    node->Advance(delay * 0.25 + absl::Microseconds(1));
    ASSERT_THAT(deliveries, SizeIs(i + 1));
    EXPECT_GE(deliveries.back().time - failed, delay);
    EXPECT_EQ(deliveries.back().retry_count, static_cast<int32_t>(i));
  }
  EXPECT_TRUE(Acknowledge("a", deliveries.back().token).ok());
  ExpectNoAlarm("a");
}

// --- The visible alarm during a delivery

TEST_F(PlainAlarmTest, SetMeanwhileItTakesThePlaceOfTheRetryAlsoAtTheSameTime) {
  for (bool failed : {true, false}) {
    for (absl::Duration offset : {-absl::Seconds(5), absl::ZeroDuration(), absl::Seconds(40)}) {
      SCOPED_TRACE(absl::StrCat(failed, " ", absl::FormatDuration(offset)));
      deliveries.clear();
      const std::string token = DeliverOne().token;
      const absl::Time next = scheduled + offset;
      SetAlarm("a", next);
      EXPECT_EQ(AlarmOf("a"), next);
      node->Advance(absl::Seconds(1));
      EXPECT_THAT(deliveries, SizeIs(1)) << "one at a time";
      EXPECT_TRUE(Acknowledge("a", token, failed).ok());
      node->Advance(absl::Seconds(60));
      ASSERT_GE(deliveries.size(), 2u);
      EXPECT_EQ(deliveries[1].scheduled_time, next);
      EXPECT_EQ(deliveries[1].retry_count, 0);
      EXPECT_EQ(deliveries[1].time, std::max(next, scheduled + absl::Seconds(1)));
      DeleteAll("a").IgnoreError();
    }
  }
}

TEST_F(PlainAlarmTest, SetMeanwhileItComesWhenTheLeaseExpires) {
  DeliverOne();
  SetAlarm("a", scheduled);
  node->Advance(absl::Seconds(30));
  ASSERT_THAT(deliveries, SizeIs(2));
  EXPECT_EQ(deliveries[1].retry_count, 0);
  EXPECT_EQ(deliveries[1].time, deliveries[0].lease_expire_time);
}

TEST_F(PlainAlarmTest, DeletedMeanwhileItIsNotRetried) {
  for (bool restart : {false, true}) {
    deliveries.clear();
    const std::string token = DeliverOne().token;
    DeleteAlarm("a");
    EXPECT_EQ(AlarmOf("a"), std::nullopt);
    if (restart) {
      node->Advance(absl::Minutes(5));
    } else {
      EXPECT_TRUE(Fail("a", token).ok());
      node->Advance(absl::Minutes(5));
    }
    EXPECT_THAT(deliveries, SizeIs(1));
    ExpectNoAlarm("a");
    EXPECT_EQ(recording.EntryCount(), 0u) << "an object without anything does not exist";
    DeleteAll("a").IgnoreError();
  }
}

// --- Tokens

TEST_F(PlainAlarmTest, ATokenThatIsNotTheOneThatIsOutChangesNothing) {
  const std::string expired = DeliverOne().token;
  SetAlarm("b", clock.Now());
  ASSERT_THAT(deliveries, SizeIs(2));
  const std::string of_another = deliveries[1].token;
  node->Advance(absl::Seconds(10));
  EXPECT_TRUE(Fail("b", of_another).ok());
  node->Advance(absl::Seconds(23));
  ASSERT_THAT(deliveries, SizeIs(3)) << "a has expired, and waits until the watcher acknowledges";
  // This delivery has ended: it was acknowledged before.
  const std::string ended_current = deliveries[2].token;
  EXPECT_TRUE(Acknowledge("b", ended_current).ok());
  ASSERT_THAT(deliveries, SizeIs(4));
  const std::string current = deliveries[3].token;

  const auto before = recording.Dump();
  const int commits = recording.commits;
  for (const std::string& token : {expired, of_another, std::string("made up")}) {
    EXPECT_THAT(Acknowledge("a", token), IsStale());
    EXPECT_THAT(Fail("a", token), IsStale());
    EXPECT_THAT(*Extend("a", token, absl::Seconds(30))->status, IsStale());
    v1::ApplyBatchRequest batch;
    batch.set_alarm_delivery_token(token);
    batch.add_steps()->mutable_put()->set_key("k");
    EXPECT_THAT(*Ask("a", &PlainObject::ApplyBatch, batch)->status, IsStale());
  }
  EXPECT_THAT(Acknowledge("b", ended_current), IsStale());
  EXPECT_THAT(Acknowledge("c", current), IsStale()) << "an object that does not exist";
  EXPECT_THAT(Acknowledge("a", ""), IsInvalid("delivery_token"));
  EXPECT_EQ(recording.commits, commits);
  EXPECT_EQ(recording.Dump(), before);
  EXPECT_TRUE(Acknowledge("a", current).ok());
}

TEST_F(PlainAlarmTest, ATokenIsStaleFromTheInstantAtWhichItsLeaseEnds) {
  const Delivered out = DeliverOne();
  clock.Set(out.lease_expire_time - absl::Microseconds(1));
  EXPECT_TRUE(Extend("a", out.token, absl::Milliseconds(100))->ok());
  clock.Advance(absl::Milliseconds(100));
  EXPECT_THAT(Acknowledge("a", out.token), IsStale());
}

TEST_F(PlainAlarmTest, ALeaseIsExtendedFromNow) {
  const Delivered out = DeliverOne();
  node->Advance(absl::Seconds(20));
  auto extended = Extend("a", out.token, absl::Minutes(15));
  ASSERT_TRUE(extended->ok());
  EXPECT_EQ(extended->response.lease_expire_time().seconds(), absl::ToUnixSeconds(clock.Now() + absl::Minutes(15)));
  node->Advance(absl::Minutes(14));
  EXPECT_THAT(deliveries, SizeIs(1));
  EXPECT_TRUE(Acknowledge("a", out.token).ok());
  for (absl::Duration lease : {absl::Milliseconds(99), absl::Minutes(15) + absl::Microseconds(1), -absl::Seconds(1)}) {
    EXPECT_THAT(*Extend("a", out.token, lease)->status, IsInvalid("lease"));
  }
}

TEST_F(PlainAlarmTest, AnExtensionSurvivesARestartAndAShortOneEndsSooner) {
  const Delivered out = DeliverOne();
  EXPECT_TRUE(Extend("a", out.token, absl::Minutes(5))->ok());
  Start();
  Watch(&deliveries);
  node->Advance(absl::Minutes(4));
  EXPECT_THAT(deliveries, SizeIs(1));
  EXPECT_TRUE(Extend("a", out.token, absl::Seconds(1))->ok());
  node->Advance(absl::Seconds(1) + absl::Seconds(2.5));
  EXPECT_THAT(deliveries, SizeIs(2));
}

}  // namespace
}  // namespace holdfast::actors
