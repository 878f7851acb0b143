// The alarm of a client's object as a state: its time, its delivery, and when the state changes next.

#include "actors/alarms/client_alarm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "absl/time/time.h"
#include "tests/simulation/seed.h"

namespace holdfast::actors {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);
constexpr absl::Duration kLease = absl::Seconds(30);

class ClientAlarmTest : public ::testing::Test {
 protected:
  // Sets the alarm for kStart, and delivers it then.
  void DeliverOne() {
    alarm.Set(kStart);
    alarm.Deliver("token", kStart + kLease);
  }
  SeededRandom random{1};
  ClientAlarm alarm;
};

TEST_F(ClientAlarmTest, BeginsEmpty) {
  EXPECT_TRUE(alarm.empty());
  EXPECT_EQ(alarm.Visible(kStart), std::nullopt);
  EXPECT_EQ(alarm.WakeTime(), std::nullopt);
  EXPECT_FALSE(alarm.LeaseExpired(kStart));
  EXPECT_FALSE(alarm.Holds("", kStart));
  alarm.Delete();
  EXPECT_TRUE(alarm.empty());
  EXPECT_EQ(alarm.WakeTime(), std::nullopt);
}

TEST_F(ClientAlarmTest, IsSeenAsItWasSetAndSetAgain) {
  alarm.Set(kStart);
  EXPECT_EQ(alarm.Visible(kStart - absl::Hours(1)), kStart);
  EXPECT_EQ(alarm.Visible(kStart + absl::Hours(1)), kStart);
  EXPECT_EQ(alarm.WakeTime(), kStart);
  alarm.Set(kStart + absl::Seconds(5));
  EXPECT_EQ(alarm.Visible(kStart), kStart + absl::Seconds(5));
  EXPECT_EQ(alarm.WakeTime(), kStart + absl::Seconds(5));
  alarm.Delete();
  EXPECT_TRUE(alarm.empty());
}

TEST_F(ClientAlarmTest, IsAbsentWhileItIsOutUntilTheLeaseEnds) {
  DeliverOne();
  EXPECT_FALSE(alarm.empty());
  EXPECT_EQ(alarm.Visible(kStart + kLease - absl::Microseconds(1)), std::nullopt);
  EXPECT_EQ(alarm.Visible(kStart + kLease), kStart) << "between retries it reads as it was set";
  EXPECT_EQ(alarm.WakeTime(), kStart + kLease);
}

TEST_F(ClientAlarmTest, ItsTokenHoldsUntilTheLeaseEnds) {
  DeliverOne();
  EXPECT_TRUE(alarm.Holds("token", kStart));
  EXPECT_TRUE(alarm.Holds("token", kStart + kLease - absl::Microseconds(1)));
  EXPECT_FALSE(alarm.Holds("token", kStart + kLease));
  EXPECT_FALSE(alarm.Holds("toke", kStart) || alarm.Holds("", kStart));
  alarm.Extend(kStart + kLease * 2);
  EXPECT_TRUE(alarm.Holds("token", kStart + kLease));
  EXPECT_EQ(alarm.WakeTime(), kStart + kLease * 2);
  alarm.Extend(kStart + absl::Seconds(1));
  EXPECT_FALSE(alarm.Holds("token", kStart + absl::Seconds(1))) << "shorter too";
}

TEST_F(ClientAlarmTest, AcknowledgedNothingIsLeft) {
  DeliverOne();
  EXPECT_EQ(alarm.Acknowledge(), "token");
  EXPECT_TRUE(alarm.empty());
  EXPECT_FALSE(alarm.Holds("token", kStart));
}

TEST_F(ClientAlarmTest, AFailureSetsTheRetryAndCounts) {
  DeliverOne();
  const absl::Time failed = kStart + absl::Seconds(3);
  EXPECT_EQ(alarm.Fail(failed, random), "token");
  EXPECT_EQ(alarm.Visible(failed), kStart);
  EXPECT_GE(*alarm.WakeTime(), failed + absl::Seconds(2));
  EXPECT_LE(*alarm.WakeTime(), failed + absl::Seconds(2.5));
  EXPECT_EQ(alarm.record().retry_count(), 1);
  alarm.Deliver("second", failed + kLease);
  EXPECT_EQ(alarm.record().delivery().retry_count(), 1);
  EXPECT_EQ(absl::FromUnixMicros(alarm.record().delivery().scheduled_time_us()), kStart);
}

TEST_F(ClientAlarmTest, TheDelaysOfRetriesGrowAndStayAtTheirGreatest) {
  for (uint64_t seed : simulation::Seeds(50)) {
    SeededRandom other(seed);
    ClientAlarm failing;
    failing.Set(kStart);
    absl::Time now = kStart;
    for (int attempt = 0; attempt < 60; ++attempt) {
      failing.Deliver("token", now + kLease);
      now += kLease;
      failing.Fail(now, other);
      const absl::Duration delay = absl::Seconds(1 << std::min(attempt + 1, 6));
      ASSERT_GE(*failing.WakeTime() - now, delay);
      ASSERT_LE(*failing.WakeTime() - now, delay * 1.25);
      now = *failing.WakeTime();
    }
    EXPECT_EQ(failing.record().retry_count(), 60) << "it is never dropped";
  }
}

TEST_F(ClientAlarmTest, ReturnedItIsDueAgainAndNoAttemptCounts) {
  DeliverOne();
  alarm.Fail(kStart + absl::Seconds(1), random);
  alarm.Deliver("second", kStart + absl::Minutes(1));
  EXPECT_EQ(alarm.Return(), "second");
  EXPECT_EQ(alarm.record().retry_count(), 1);
  EXPECT_EQ(alarm.WakeTime(), kStart);
  alarm.Deliver("third", kStart + absl::Minutes(1));
  alarm.Set(kStart + absl::Hours(1));
  alarm.Return();
  EXPECT_EQ(alarm.WakeTime(), kStart + absl::Hours(1)) << "what was set meanwhile stands";
  alarm.Deliver("fourth", kStart + absl::Hours(2));
  alarm.Delete();
  alarm.Return();
  EXPECT_TRUE(alarm.empty());
}

TEST_F(ClientAlarmTest, OneThatIsSetMeanwhileTakesThePlaceOfTheRetry) {
  // The next alarm is earlier, at the same time, or later.
  for (absl::Duration offset : {-absl::Seconds(5), absl::ZeroDuration(), absl::Seconds(5)}) {
    alarm = ClientAlarm();
    DeliverOne();
    alarm.Set(kStart + offset);
    EXPECT_EQ(alarm.Visible(kStart), kStart + offset);
    EXPECT_EQ(alarm.WakeTime(), kStart + kLease) << "not before the one that is out has ended";
    EXPECT_TRUE(alarm.Holds("token", kStart));
    alarm.Fail(kStart + kLease, random);
    EXPECT_EQ(alarm.WakeTime(), kStart + offset);
    EXPECT_EQ(alarm.record().retry_count(), 0);
  }
}

TEST_F(ClientAlarmTest, OneThatIsSetMeanwhileOutlivesAnAcknowledgement) {
  DeliverOne();
  alarm.Set(kStart);
  alarm.Acknowledge();
  EXPECT_EQ(alarm.Visible(kStart), kStart);
  EXPECT_EQ(alarm.WakeTime(), kStart);
}

TEST_F(ClientAlarmTest, DeletedMeanwhileThereIsNoRetry) {
  DeliverOne();
  alarm.Delete();
  EXPECT_TRUE(alarm.Holds("token", kStart)) << "the delivery itself goes on";
  EXPECT_EQ(alarm.Visible(kStart + kLease), std::nullopt);
  alarm.Fail(kStart + kLease, random);
  EXPECT_TRUE(alarm.empty());
}

TEST_F(ClientAlarmTest, DeletedAndSetMeanwhileTheLastCounts) {
  DeliverOne();
  alarm.Delete();
  alarm.Set(kStart + absl::Hours(1));
  alarm.Fail(kStart + kLease, random);
  EXPECT_EQ(alarm.Visible(kStart), kStart + absl::Hours(1));
  // The next delivery has all its retries again.
  alarm.Deliver("second", kStart + absl::Hours(2));
  alarm.Fail(kStart + absl::Hours(2), random);
  EXPECT_EQ(alarm.Visible(kStart), kStart + absl::Hours(1));
  alarm = ClientAlarm();
  DeliverOne();
  alarm.Set(kStart + absl::Hours(1));
  alarm.Delete();
  alarm.Fail(kStart + kLease, random);
  EXPECT_TRUE(alarm.empty());
}

TEST_F(ClientAlarmTest, DeletedBetweenRetriesItIsGone) {
  DeliverOne();
  alarm.Fail(kStart, random);
  alarm.Delete();
  EXPECT_TRUE(alarm.empty());
  alarm.Set(kStart);
  EXPECT_EQ(alarm.record().retry_count(), 0);
}

TEST_F(ClientAlarmTest, ItIsItsRecord) {
  DeliverOne();
  alarm.Set(kStart + absl::Hours(1));
  storage::v1::ClientAlarm record;
  ASSERT_TRUE(record.ParseFromString(alarm.record().SerializeAsString()));
  const ClientAlarm again(record);
  EXPECT_EQ(again.Visible(kStart), alarm.Visible(kStart));
  EXPECT_EQ(again.WakeTime(), alarm.WakeTime());
  EXPECT_TRUE(again.Holds("token", kStart));
}

}  // namespace
}  // namespace holdfast::actors
