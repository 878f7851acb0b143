// Watchers of alarms: which of them gets an alarm, and which alarms wait because nobody can take them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/return_alarm.h"
#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class PlainWatchTest : public PlainObjectTest {
 protected:
  Deliveries deliveries;
};

// --- Without a watcher

TEST_F(PlainWatchTest, WithoutAWatcherAnAlarmStaysDueAndNoAttemptCounts) {
  Start();
  const absl::Time time = clock.Now() + absl::Seconds(1);
  SetAlarm("a", time);
  node->Advance(absl::Hours(1));
  EXPECT_EQ(AlarmOf("a"), time);
  Watch(&deliveries);
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_EQ(deliveries[0].retry_count, 0);
  EXPECT_EQ(deliveries[0].scheduled_time, time);
}

TEST_F(PlainWatchTest, AThousandDueAlarmsWithoutAWatcherCostNoTurns) {
  for (size_t entries_max : {20'000, 100}) {
    options.alarms.entries_max = entries_max;
    Start();
    SetMany(1000, absl::StrCat("max", entries_max, "object"), clock.Now() + absl::Seconds(1));
    node->Advance(absl::Seconds(30));
    EXPECT_EQ(node->host().activation_count(), 0u);
    const int commits = recording.commits;
    for (auto* count : {&recording.gets, &recording.cursors}) count->clear();
    node->Advance(absl::Hours(1));
    EXPECT_FALSE(node->stuck());
    EXPECT_EQ(recording.commits, commits);
    EXPECT_EQ(recording.gets[storage::FamilyId::kPacked], 0) << "objects were loaded";
    EXPECT_LT(recording.cursors[storage::FamilyId::kAlarms], 400);
    // When a watcher comes, all alarms come once each.
    Watch(&deliveries, Of("", 1000));
    EXPECT_THAT(AcknowledgeAll(&deliveries), SizeIs(1000));
    EXPECT_TRUE(recording.Dump()["alarms"].empty());
  }
}

TEST_F(PlainWatchTest, AnAlarmThatWasSetOrDeletedWhileNobodyWatchedIsAsItIsNow) {
  Start();
  for (const char* name : {"set", "deleted", "object", "later"}) SetAlarm(name, clock.Now());
  node->Advance(absl::Minutes(1));
  const absl::Time now = clock.Now();
  SetAlarm("set", now - absl::Seconds(1));
  DeleteAlarm("deleted");
  EXPECT_TRUE(DeleteAll("object").ok());
  SetAlarm("later", now + absl::Minutes(1));
  Watch(&deliveries);
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_EQ(deliveries[0].scheduled_time, now - absl::Seconds(1));
  EXPECT_TRUE(Acknowledge("set", deliveries[0].token).ok());
  node->Advance(absl::Minutes(1));
  ASSERT_THAT(deliveries, SizeIs(2));
  EXPECT_EQ(deliveries[1].name, "later");
}

TEST_F(PlainWatchTest, DueAlarmsThatNobodyTakesAreCounted) {
  const auto waiting = [this] { return node->host().load().alarms.waiting; };
  Start();
  SetAlarm("later", clock.Now() + absl::Hours(2));
  for (const char* name : {"a/1", "a/2", "b/1", "b/2", "b/3"}) SetAlarm(name, clock.Now());
  EXPECT_EQ(waiting(), 5u) << "nobody watches";
  DeleteAlarm("a/1");
  SetAlarm("b/1", clock.Now() + absl::Hours(1));
  EXPECT_EQ(waiting(), 3u);
  Start();
  node->Settle();
  EXPECT_EQ(waiting(), 3u) << "after a restart, too";
  const auto watcher = Watch(&deliveries, Of("b/", 1));
  EXPECT_EQ(waiting(), 2u) << "one found nobody, and one is for a watcher that is busy";
  Watch(&deliveries);
  EXPECT_EQ(waiting(), 0u);
  AcknowledgeAll(&deliveries);
  node->watchers().Remove(watcher);
  EXPECT_EQ(waiting(), 0u);
}

TEST_F(PlainWatchTest, TheCountOfDueAlarmsThatNobodyTakesIsBounded) {
  options.alarms.entries_max = 10;
  Start();
  SetMany(100, "object", clock.Now());
  node->Advance(absl::Seconds(30));
  EXPECT_EQ(node->host().load().alarms.waiting, 10u);
}

TEST_F(PlainWatchTest, OneThatIsLeasedToAWatcherWhoGoesBeforeItComesIsDueAgainAndNoAttemptCounts) {
  Start();
  node->watchers().SetUndelivered([this](const AlarmWatchers::Delivery& delivery) {
    auto* const returned = new ReturnAlarm(delivery);
    node->executor().Post([this, returned] { node->Deliver(returned->key(), PlainObject::Class(), returned); });
  });
  const auto watcher = Watch(&deliveries);
  SendSetAlarm("a", clock.Now());
  node->Settle();
  SendAcknowledge("a", deliveries.at(0).token, /*failed=*/true);
  node->Settle();
  deliveries.clear();
  clock.Advance(absl::Seconds(3));
  node->SettleWithoutCommits();
  node->watchers().Remove(watcher);
  node->Settle();
  EXPECT_THAT(deliveries, IsEmpty());
  Watch(&deliveries);
  ASSERT_THAT(deliveries, SizeIs(1)) << "at once, not when the lease has expired";
  EXPECT_EQ(deliveries[0].retry_count, 1);
}

// --- The choice of the watcher

TEST_F(PlainWatchTest, AWatcherGetsThoseOfItsNamespaceAndPrefix) {
  Start();
  Deliveries all;
  Deliveries other_namespace;
  Watch(&deliveries, Of("ab"));
  AlarmWatchers::Filter elsewhere;
  elsewhere.ns = "elsewhere";
  Watch(&other_namespace, elsewhere);
  for (const char* name : {"a", "ab", "abc", "b"}) SetAlarm(name, clock.Now());
  std::set<std::string> names;
  for (const Delivered& one : deliveries) names.insert(one.name);
  EXPECT_EQ(names, (std::set<std::string>{"ab", "abc"}));
  EXPECT_THAT(other_namespace, IsEmpty());
  Watch(&all);
  names.clear();
  for (const Delivered& one : all) names.insert(one.name);
  EXPECT_EQ(names, (std::set<std::string>{"a", "b"}));
}

TEST_F(PlainWatchTest, TwoThatMatchShare) {
  Start();
  Deliveries first;
  Deliveries second;
  Watch(&first);
  Watch(&second);
  for (int i = 0; i < 20; ++i) SetAlarm(absl::StrCat("object", i), clock.Now());
  EXPECT_THAT(first, SizeIs(10));
  EXPECT_THAT(second, SizeIs(10));
}

TEST_F(PlainWatchTest, AllOfThemBusyTheNextWaitsForAPlaceAndNoAttemptCounts) {
  Start();
  Watch(&deliveries, Of("", 2));
  SetMany(5);
  ASSERT_THAT(deliveries, SizeIs(2));
  node->Advance(absl::Seconds(20));
  EXPECT_THAT(deliveries, SizeIs(2));
  for (size_t ended = 0; ended < 5; ++ended) {
    EXPECT_TRUE(Acknowledge(deliveries[ended].name, deliveries[ended].token).ok());
    ASSERT_THAT(deliveries, SizeIs(std::min<size_t>(5, ended + 3)));
  }
  for (const Delivered& one : deliveries) EXPECT_EQ(one.retry_count, 0);
  EXPECT_TRUE(recording.Dump()["alarms"].empty());
}

TEST_F(PlainWatchTest, AWatcherWhosePlacesAllExpireGetsAlarmsAgain) {
  Start();
  Watch(&deliveries, Of("", 1));
  SetAlarm("a", clock.Now());
  SetAlarm("b", clock.Now());
  ASSERT_THAT(deliveries, SizeIs(1));
  node->Advance(absl::Seconds(30));
  ASSERT_THAT(deliveries, SizeIs(2)) << "the place of a lease that has expired is free";
  EXPECT_EQ(deliveries[1].name, "b");
  EXPECT_TRUE(Acknowledge("b", deliveries[1].token).ok());
  node->Advance(absl::Seconds(2.5));
  ASSERT_THAT(deliveries, SizeIs(3));
  EXPECT_EQ(deliveries[2].name, "a");
  EXPECT_EQ(deliveries[2].retry_count, 1);
}

TEST_F(PlainWatchTest, EachWayInWhichADeliveryEndsFreesItsPlace) {
  Start();
  Watch(&deliveries, Of("", 1));
  SetMany(7);
  const auto end = [&](int how) {
    const Delivered out = deliveries.back();
    v1::ApplyBatchRequest batch;
    batch.set_alarm_delivery_token(out.token);
    switch (how) {
      case 0:
        return Acknowledge(out.name, out.token);
      case 1:
        return Fail(out.name, out.token);
      case 2:
        return *Ask(out.name, &PlainObject::ApplyBatch, batch)->status;
      case 3:
        return DeleteAll(out.name);
      case 4:
        DeleteAlarm(out.name);
        return Acknowledge(out.name, out.token);
      default:
        node->Advance(absl::Seconds(30));
        return absl::OkStatus();
    }
  };
  for (int how = 0; how < 6; ++how) {
    SCOPED_TRACE(how);
    ASSERT_THAT(deliveries, SizeIs(how + 1));
    EXPECT_TRUE(end(how).ok());
  }
  EXPECT_THAT(deliveries, SizeIs(7));
}

TEST_F(PlainWatchTest, OneThatGoesTakesItsLeasesWithItUntilTheyExpire) {
  Start();
  const auto gone = Watch(&deliveries, Of("", 2));
  SetMany(3);
  ASSERT_THAT(deliveries, SizeIs(2));
  const Delivered first = deliveries[0];
  node->watchers().Remove(gone);
  Deliveries others;
  Watch(&others);
  ASSERT_THAT(others, SizeIs(1));
  EXPECT_EQ(others[0].retry_count, 0);
  EXPECT_TRUE(Acknowledge(others[0].name, others[0].token).ok());
  EXPECT_TRUE(Acknowledge(first.name, first.token).ok()) << "the token holds on";
  node->Advance(absl::Seconds(33));
  EXPECT_THAT(deliveries, SizeIs(2));
  ASSERT_GE(others.size(), 2u);
  EXPECT_EQ(others[1].name, deliveries[1].name);
  EXPECT_EQ(others[1].retry_count, 1);
}

TEST_F(PlainWatchTest, ThoseThatWaitForAWatcherThatGoesComeToTheNext) {
  for (size_t entries_max : {20'000, 2}) {
    options.alarms.entries_max = entries_max;
    deliveries.clear();
    Start();
    const std::string prefix = absl::StrCat("max", entries_max, "object");
    const auto gone = Watch(&deliveries, Of("", 1));
    SetMany(8, prefix);
    ASSERT_THAT(deliveries, SizeIs(1));
    EXPECT_TRUE(Acknowledge(deliveries[0].name, deliveries[0].token).ok());
    ASSERT_THAT(deliveries, SizeIs(2));
    EXPECT_TRUE(Acknowledge(deliveries[1].name, deliveries[1].token).ok());
    node->watchers().Remove(gone);
    Deliveries others;
    Watch(&others, Of("", 3));
    EXPECT_THAT(AcknowledgeAll(&others), SizeIs(5)) << "the third is leased";
    EXPECT_TRUE(DeleteAll(deliveries[2].name).ok());
  }
}

TEST_F(PlainWatchTest, TooManyWatchersAreRefused) {
  AlarmWatchers watchers(2);
  const auto nothing = [](const AlarmWatchers::Delivery&) {};
  const auto first = watchers.Add({}, nothing);
  EXPECT_TRUE(first.ok() && watchers.Add({}, nothing).ok());
  const auto third = watchers.Add({}, nothing);
  EXPECT_THAT(third.status(), Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED));
  EXPECT_TRUE(HasRetryInfo(third.status()));
  watchers.Remove(*first);
  EXPECT_TRUE(watchers.Add({}, nothing).ok());
}

}  // namespace
}  // namespace holdfast::actors
