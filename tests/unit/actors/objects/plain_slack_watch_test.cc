// Watchers that take alarms and let the leases expire, like a client that is frozen.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class SlackWatchTest : public PlainObjectTest {
 protected:
  // Acknowledges the deliveries to a watcher.
  void AcknowledgeSome(Deliveries* some) {
    for (const Delivered& one : std::exchange(*some, {})) {
      EXPECT_TRUE(Acknowledge(one.name, one.token).ok());
      if (one.retry_count > 0) retried.insert(one.name);
      done.insert(one.name);
    }
  }

  // Returns the alarm's record in the store.
  storage::v1::ClientAlarm AlarmRecordOf(const std::string& name) {
    storage::v1::ClientAlarm record;
    EXPECT_TRUE(record.ParseFromString(KeysOf(PlainObject::Class(), name)[storage::kClientAlarmKey]));
    return record;
  }

  Deliveries frozen;
  Deliveries healthy;
  std::set<std::string> done;
  std::set<std::string> retried;
};

TEST_F(SlackWatchTest, TheAttemptAfterAnExpiredLeaseGoesToTheOther) {
  Start();
  Watch(&frozen);
  Watch(&healthy);
  SetMany(20);
  ASSERT_THAT(frozen, SizeIs(10));
  const Deliveries expire = frozen;
  for (int second = 0; second < 40; ++second) {
    AcknowledgeSome(&healthy);
    node->Advance(absl::Seconds(1));
  }
  EXPECT_THAT(done, SizeIs(20));
  EXPECT_THAT(retried, SizeIs(10));
  EXPECT_THAT(frozen, SizeIs(10)) << "none came to it twice";
}

TEST_F(SlackWatchTest, ItGetsOneAtATimeUntilItAcknowledges) {
  Start();
  Watch(&frozen, Of("", 4));
  SetMany(6);
  ASSERT_THAT(frozen, SizeIs(4));
  node->Advance(absl::Seconds(30));
  // The four leases have expired. One place is free.
  ASSERT_THAT(frozen, SizeIs(5));
  node->Advance(absl::Seconds(29));
  ASSERT_THAT(frozen, SizeIs(5));
  node->Advance(absl::Seconds(2));
  ASSERT_THAT(frozen, SizeIs(6));
  // The watcher is alive again, and has all its places.
  EXPECT_TRUE(Acknowledge(frozen.back().name, frozen.back().token).ok());
  node->Advance(absl::Seconds(3));
  EXPECT_THAT(frozen, SizeIs(10));
}

TEST_F(SlackWatchTest, AnErrorIsAnAcknowledgementToo) {
  Start();
  Watch(&frozen, Of("", 4));
  SetMany(8);
  node->Advance(absl::Seconds(30));
  ASSERT_THAT(frozen, SizeIs(5));
  EXPECT_TRUE(Fail(frozen.back().name, frozen.back().token).ok());
  EXPECT_THAT(frozen, SizeIs(8)) << "the three that never came";
}

TEST_F(SlackWatchTest, WithoutAnotherTheRetryComesToTheSame) {
  Start();
  Watch(&frozen);
  Watch(&healthy, Of("of others"));
  SetAlarm("a", clock.Now());
  node->Advance(absl::Seconds(33));
  ASSERT_THAT(frozen, SizeIs(2));
  EXPECT_EQ(frozen[1].retry_count, 1);
  EXPECT_THAT(healthy, IsEmpty());
}

TEST_F(SlackWatchTest, ARetryWaitsForAPlaceOfOneThatIsNotSlack) {
  Start();
  AlarmWatchers::Filter quick = Of("");
  quick.lease = absl::Seconds(1);
  Watch(&frozen, quick);
  Watch(&healthy, Of("", 1));
  SetAlarm("a", clock.Now());
  ASSERT_EQ(frozen.size() + healthy.size(), 1u);
  SetAlarm("b", clock.Now());
  ASSERT_THAT(frozen, SizeIs(1));
  ASSERT_THAT(healthy, SizeIs(1)) << "busy";
  node->Advance(absl::Seconds(20));
  EXPECT_THAT(frozen, SizeIs(1)) << "it would get what it let expire, while another is only busy";
  EXPECT_FALSE(node->stuck());
  AcknowledgeSome(&healthy);
  node->Advance(absl::Seconds(1));
  ASSERT_THAT(healthy, SizeIs(1));
  EXPECT_EQ(healthy[0].name, frozen[0].name);
  EXPECT_EQ(healthy[0].retry_count, 1);
}

TEST_F(SlackWatchTest, WhereAllAreSlackItComesToWhoHasAPlace) {
  Start();
  Watch(&frozen, Of("", 1));
  Watch(&healthy, Of("", 1));
  SetMany(3);
  node->Advance(absl::Minutes(10));
  EXPECT_GT(frozen.size(), 8u);
  EXPECT_GT(healthy.size(), 8u);
}

TEST_F(SlackWatchTest, WhomARetryAvoidsOutlivesTheInstanceButNotANewAlarm) {
  Start();
  AlarmWatchers::Filter quick = Of("");
  quick.lease = absl::Seconds(1);
  const auto first = Watch(&frozen, quick);
  SetAlarm("a", clock.Now());
  node->Advance(absl::Seconds(1));
  EXPECT_EQ(AlarmRecordOf("a").expired_watcher(), first);
  SetAlarm("a", clock.Now() + absl::Hours(1));
  EXPECT_EQ(AlarmRecordOf("a").expired_watcher(), 0u);
}

}  // namespace
}  // namespace holdfast::actors
