// Many alarms of clients: more than fit in memory, and across crashes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::SizeIs;

class PlainWatchManyTest : public PlainObjectTest {
 protected:
  // Begins a life of the node in which so many alarms have just come due, of objects that are not in memory, and fires
  // them.
  void StartWithMany(int count, int outstanding_max) {
    Start();
    SetMany(count, "object", clock.Now() + absl::Seconds(5));
    Start();
    AlarmWatchers::Filter filter = Of("", outstanding_max);
    filter.lease = absl::Seconds(30);
    Watch(&deliveries, filter);
    clock.Advance(absl::Seconds(5));
    node->executor().RunUntilIdle();
    ASSERT_EQ(node->reads().waiting(), 1u);
  }

  Deliveries deliveries;
};

TEST_F(PlainWatchManyTest, MoreDueAlarmsThanFitInMemoryAreAllDelivered) {
  for (size_t entries_max : {1, 3, 10}) {
    for (int outstanding_max : {1, 4}) {
      SCOPED_TRACE(absl::StrCat(entries_max, " in memory, ", outstanding_max, " outstanding"));
      options.alarms.entries_max = entries_max;
      deliveries.clear();
      Start();
      Watch(&deliveries, Of("", outstanding_max));
      SetMany(50);
      EXPECT_THAT(AcknowledgeAll(&deliveries), SizeIs(50));
      EXPECT_TRUE(recording.Dump()["alarms"].empty());
    }
  }
}

TEST_F(PlainWatchManyTest, ThoseOfABusyWatcherDoNotKeepThoseOfAnotherOut) {
  options.alarms.entries_max = 5;
  Start();
  Deliveries busy;
  Deliveries quick;
  AlarmWatchers::Filter slow = Of("busy", 1);
  slow.lease = absl::Minutes(15);
  Watch(&busy, slow);
  Watch(&quick, Of("quick", 1));
  // The alarms that are due first fill the memory, though their client has one delivery and takes no more.
  SetMany(20, "busy", clock.Now() - absl::Minutes(1));
  SetMany(20, "quick");
  EXPECT_THAT(busy, SizeIs(1));
  EXPECT_THAT(AcknowledgeAll(&quick), SizeIs(20));
}

// --- Alarms that are due together are read together

TEST_F(PlainWatchManyTest, OnlyThoseThatHaveAPlaceAreLoaded) {
  Start();
  SetMany(100);
  Start();
  node->Settle();
  Watch(&deliveries, Of("", 20));
  EXPECT_THAT(deliveries, SizeIs(20));
  EXPECT_EQ(node->host().activation_count(), 20u);
  EXPECT_THAT(AcknowledgeAll(&deliveries), SizeIs(100));
}

TEST_F(PlainWatchManyTest, ThePlacesOfAlarmsThatAreDeletedMeanwhileGoToOthers) {
  StartWithMany(30, 10);
  ASSERT_TRUE(node->reads().RunWork());
  std::set<std::string> names;
  for (int i = 0; i < 30; ++i) names.insert(absl::StrCat("object", i));
  const std::set<std::string> deleted(names.begin(), std::next(names.begin(), 10));  // those that are due first
  for (const std::string& name : deleted) Send(name, &PlainObject::DeleteAlarm, v1::DeleteAlarmRequest());
  node->Settle();
  EXPECT_THAT(deliveries, SizeIs(10));
  const std::set<std::string> delivered = AcknowledgeAll(&deliveries);
  EXPECT_THAT(delivered, SizeIs(20));
  for (const std::string& name : deleted) EXPECT_FALSE(delivered.contains(name)) << name;
}

TEST_F(PlainWatchManyTest, ACrashBetweenLeaseAndDeliveryBringsAllOfThemAgain) {
  for (const bool durable : {false, true}) {
    SCOPED_TRACE(durable ? "the leases are durable" : "the leases are not durable");
    deliveries.clear();
    StartWithMany(20, 20);
    node->SettleWithoutCommits();
    node->executor().EndRound();
    if (durable) ASSERT_TRUE(node->commits().RunWork());
    EXPECT_THAT(deliveries, SizeIs(0)) << "sent before the lease is known to be durable";
    Start();
    Watch(&deliveries, Of("", 20));
    EXPECT_THAT(deliveries, SizeIs(durable ? 0 : 20));
    if (durable) node->Advance(absl::Seconds(40));
    ASSERT_THAT(deliveries, SizeIs(20));
    for (const Delivered& one : std::exchange(deliveries, {})) {
      EXPECT_EQ(one.retry_count, durable ? 1 : 0);
      SendAcknowledge(one.name, one.token);
    }
    node->Settle();
    EXPECT_TRUE(recording.Dump()["alarms"].empty());
  }
}

// --- A new watcher makes the server read the alarms that may be for it, and no more

TEST_F(PlainWatchManyTest, AWatcherOfANamespaceThatWaitsForNobodyReadsNothing) {
  Start();
  SetMany(300);
  const int before = recording.cursors[storage::FamilyId::kAlarms];
  for (int i = 0; i < 50; ++i) {
    AlarmWatchers::Filter other = Of("");
    other.ns = absl::StrCat("other", i);
    node->watchers().Remove(Watch(&deliveries, other));
  }
  // The hash of a namespace differs from run to run, so another namespace may have the hash of the one that waits.
  EXPECT_LE(recording.cursors[storage::FamilyId::kAlarms] - before, 2);
  Watch(&deliveries);
  EXPECT_THAT(AcknowledgeAll(&deliveries), SizeIs(300));
}

TEST_F(PlainWatchManyTest, WatchersThatComeAndGoShareOneSearch) {
  Start();
  SetMany(300, "waits");
  const int before = recording.cursors[storage::FamilyId::kAlarms];
  const int looks = recording.gets[storage::FamilyId::kPacked];
  for (int i = 0; i < 500; ++i) {
    AlarmWatchers::Filter filter = Of(absl::StrCat("nothing", i % 100));
    filter.ns = "default";
    const auto id = node->watchers().Add(filter, [](const AlarmWatchers::Delivery&) {});
    ASSERT_TRUE(id.ok());
    node->watchers().Remove(*id);
    node->executor().RunUntilIdle();
    EXPECT_LE(node->reads().waiting(), 1u) << "more than one search at a time";
  }
  node->Settle();
  EXPECT_LE(recording.cursors[storage::FamilyId::kAlarms] - before, 2) << "the first, and the next of all others";
  EXPECT_EQ(recording.gets[storage::FamilyId::kPacked], looks) << "objects were looked at that are not for them";
  Watch(&deliveries, Of("waits"));
  EXPECT_THAT(AcknowledgeAll(&deliveries), SizeIs(300));
}

TEST_F(PlainWatchManyTest, ASearchTakesWhatTheNewWatcherMatchesInSteps) {
  for (size_t entries_max : {2u, 10u, 10'000u}) {
    SCOPED_TRACE(entries_max);
    options.alarms.entries_max = entries_max;
    Start();
    SetMany(100, "b", clock.Now() - absl::Minutes(2));
    SetMany(100, "a", clock.Now() - absl::Minutes(1));
    SetMany(6000, "c", clock.Now() - absl::Minutes(3));
    Deliveries a;
    Watch(&a, Of("a", 3));
    EXPECT_THAT(AcknowledgeAll(&a), SizeIs(100));
    Deliveries b;
    Watch(&b, Of("b", 3));
    EXPECT_THAT(AcknowledgeAll(&b), SizeIs(100));
    EXPECT_TRUE(a.empty());
    EXPECT_EQ(recording.Dump()["alarms"].size(), 6000u);
    for (int i = 0; i < 6000; ++i) SendDeleteAll(PlainObject::Class(), absl::StrCat("c", i));
    node->Settle();
  }
}

TEST_F(PlainWatchManyTest, AWatcherThatComesBackGetsWhatTheFirstLeft) {
  options.alarms.entries_max = 20;
  Start();
  SetMany(100);
  for (int round = 0; round < 10; ++round) {
    Deliveries some;
    const auto id = Watch(&some, Of("", 4));
    EXPECT_FALSE(some.empty()) << round;
    for (const Delivered& one : std::exchange(some, {})) SendAcknowledge(one.name, one.token);
    node->Settle();
    node->watchers().Remove(id);
    node->Advance(absl::Minutes(1));
  }
  Watch(&deliveries);
  for (int i = 0; i < 100 && !recording.Dump()["alarms"].empty(); ++i) {
    for (const Delivered& one : std::exchange(deliveries, {})) SendAcknowledge(one.name, one.token);
    node->Advance(absl::Seconds(1));
  }
  EXPECT_TRUE(recording.Dump()["alarms"].empty());
}

TEST_F(PlainWatchManyTest, RandomClientsAndCrashesLoseNoAlarmAndDeliverNoneEarly) {
  for (uint64_t run : simulation::Seeds(30)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    options.alarms.entries_max = static_cast<size_t>(dice.Between(1, 6));
    options.alarms.window = absl::Seconds(dice.Between(1, 20));
    options.idle_timeout = absl::Seconds(dice.Between(1, 5));
    options.alarms.together_min = static_cast<size_t>(dice.Between(1, 3));
    families_max = static_cast<int>(dice.Below(4));
    seed = run;
    Deliveries out;
    Start();
    std::map<std::string, absl::Time> set;
    std::set<std::string> delivered;
    std::vector<AlarmWatchers::WatcherId> watching;
    for (int i = 0; i < 80; ++i) {
      const std::string name = absl::StrCat("run", run, "object", dice.Below(12));
      if (!set.contains(name)) {
        const absl::Time time = clock.Now() + absl::Seconds(dice.Between(-5, 30));
        auto reply = SendSetAlarm(name, time);
        node->Settle();
        if (reply->ok()) set[name] = time;
      }
      if (dice.OneIn(6)) {
        AlarmWatchers::Filter filter = Of("", static_cast<int>(dice.Between(1, 3)));
        filter.lease = absl::Milliseconds(dice.Between(100, 5000));
        watching.push_back(Watch(&out, filter));
      }
      if (dice.OneIn(10) && !watching.empty()) node->watchers().Remove(watching[dice.Below(watching.size())]);
      for (const Delivered& one : std::exchange(out, {})) {
        EXPECT_GE(one.time, one.scheduled_time) << "early";
        delivered.insert(one.name);
        if (!dice.OneIn(3)) SendAcknowledge(one.name, one.token, dice.OneIn(4));
      }
      if (dice.OneIn(3)) node->Advance(absl::Milliseconds(dice.Below(4000)));
      for (uint64_t steps = dice.Below(5); steps > 0; --steps) {
        if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(100));
      }
      if (dice.OneIn(10)) {
        watching.clear();
        Start();
      }
    }
    Watch(&out);
    for (int i = 0; i < 200; ++i) {
      for (const Delivered& one : std::exchange(out, {})) {
        SendAcknowledge(one.name, one.token);
        delivered.insert(one.name);
      }
      node->Advance(absl::Seconds(5));
    }
    std::vector<std::string> names;
    for (const auto& [name, time] : set) {
      EXPECT_TRUE(delivered.contains(name)) << name << " was never delivered";
      names.push_back(name);
      EXPECT_EQ(AlarmOf(name), std::nullopt) << name;
    }
    EXPECT_TRUE(recording.Dump()["alarms"].empty());
    ExpectAlarmIndexConsistent(PlainObject::Class(), names);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace holdfast::actors
