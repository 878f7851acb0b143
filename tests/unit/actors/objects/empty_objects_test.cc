// Objects of the built-in classes that became empty by themselves leave the catalog, and their answers do not show
// that; settings of a client stay.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/objects/counter.h"
#include "actors/objects/plain_object.h"
#include "actors/objects/user_cache.h"
#include "tests/unit/actors/objects/batch_fixture.h"
#include "tests/unit/actors/objects/rate_limiter_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;

constexpr absl::Duration kIdle = absl::Seconds(11);

class EmptyLimiterTest : public RateLimiterTest {
 protected:
  bool Exists() { return CatalogOf(RateLimiter::Class(), "api").has_value(); }
};

TEST_F(EmptyLimiterTest, ALimiterWhoseKeysFellSilentLeavesTheCatalog) {
  families_max = 1;
  Start();
  for (const Algorithm algorithm : {kLog, kGcra, kFixed}) {
    for (int i = 0; i < 5; ++i) Check(Limit(absl::StrCat("key", i), 3, absl::Minutes(1), algorithm));
    EXPECT_TRUE(Exists());
    node->Advance(absl::Minutes(2));
    EXPECT_FALSE(Exists());
    EXPECT_EQ(recording.EntryCount(), 0u);
    ExpectFamiliesConsistent();
    EXPECT_EQ(Check(Limit("key0", 3, absl::Minutes(1), algorithm), /*peek=*/true).remaining(), 2)
        << "a peek counts its own";
    EXPECT_FALSE(Exists()) << "a peek makes nothing exist";
  }
}

TEST_F(EmptyLimiterTest, ItIsThereForAsLongAsItDenies) {
  Start();
  const v1::RateLimit check = Limit("k", 1, absl::Minutes(1));
  int allowed = 0;
  for (int second = 0; second <= 3'600; ++second) {
    if (Check(check).allowed()) ++allowed;
    EXPECT_TRUE(Exists());
    node->Advance(absl::Seconds(1));
  }
  EXPECT_EQ(allowed, 60) << "one in each 61 s, and the last of them begun";
}

TEST_F(EmptyLimiterTest, ACrashBeforeTheSweepLeavesItToTheNextOne) {
  Start();
  Check(Limit("k", 3, absl::Minutes(1)));
  clock.Advance(absl::Minutes(2));
  node->SettleWithoutCommits();
  Start();
  EXPECT_TRUE(Exists());
  node->Advance(absl::Seconds(1));
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(EmptyLimiterTest, ALimiterWithShortWindowsIsNotMadeAnewBetweenItsRequests) {
  Start();
  Check(Limit("k", 3, absl::Seconds(1)));
  const int64_t created = CatalogOf(RateLimiter::Class(), "api")->create_time_us();
  for (int i = 0; i < 20; ++i) {
    node->Advance(absl::Seconds(5));
    Check(Limit("k", 3, absl::Seconds(1)));
  }
  EXPECT_EQ(CatalogOf(RateLimiter::Class(), "api")->create_time_us(), created);
  node->Advance(absl::Seconds(12));
  EXPECT_FALSE(Exists());
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(EmptyLimiterTest, AWallClockThatIsSetBackDoesNotOpenAWindowAgain) {
  Start();
  const v1::RateLimit check = Limit("k", 1, absl::Hours(24), kFixed);
  EXPECT_TRUE(Check(check).allowed());
  EXPECT_FALSE(Check(check).allowed());
  // The window ends, and then the clock is set back into it before the sweep.
  const absl::Duration left =
      absl::Microseconds(MicrosOf(Check(check).reset_after(), "", absl::ZeroDuration(), absl::Hours(25)).value());
  node->Advance(left - absl::Seconds(5));
  clock.StepWall(-absl::Hours(1));
  node->Advance(absl::Minutes(5));
  EXPECT_TRUE(Exists()) << "a new one would be in the old window once more";
  EXPECT_TRUE(Check(check).allowed()) << "by its own clock the next window has begun";
  EXPECT_FALSE(Check(check).allowed());
  node->Advance(absl::Hours(2));
  EXPECT_FALSE(Check(check).allowed());
}

TEST_F(EmptyLimiterTest, ACheckWritesNoMoreForIt) {
  Start();
  for (int i = 0; i < 20; ++i) Check(Limit("k", 1'000, absl::Minutes(1)));
  const int commits = recording.commits;
  const size_t points = Points();
  const size_t alarms = recording.points[storage::FamilyId::kAlarms];
  for (int i = 0; i < 100; ++i) Check(Limit("k", 1'000, absl::Minutes(1)));
  EXPECT_EQ(recording.commits - commits, 100);
  EXPECT_LE(Points() - points, 101u) << "a row of the log each, and the header as the catalog gets another size";
  EXPECT_EQ(recording.points[storage::FamilyId::kAlarms], alarms);
}

TEST_F(EmptyLimiterTest, ListingsHaveTheSizeThatIsLeft) {
  Start();
  for (int i = 0; i < 10; ++i) Check(Limit("short", 1'000, absl::Seconds(10)));
  Check(Limit("long", 1'000, absl::Hours(1)));
  const int64_t before = CatalogOf(RateLimiter::Class(), "api")->size_bytes();
  node->Advance(absl::Seconds(20));
  const auto header = HeaderOf(RateLimiter::Class(), "api");
  EXPECT_EQ(CatalogOf(RateLimiter::Class(), "api")->size_bytes(), header->usage().size_bytes());
  EXPECT_LT(header->usage().size_bytes(), 300);
  EXPECT_GT(header->usage().size_bytes(), 0);
  EXPECT_NE(before, header->usage().size_bytes());
}

class EmptyBatchTest : public BatchProcessorTest {
 protected:
  bool Exists() { return CatalogOf(BatchProcessor::Class(), "mail").has_value(); }
};

TEST_F(EmptyBatchTest, ABatchWhoseRetentionIsOverLeavesTheCatalogAndGoesOnWithItsNumbers) {
  families_max = 1;
  for (const bool restart : {false, true}) {
    Start();
    EXPECT_EQ(Add({"one", "two"}).first_sequence(), restart ? 4 : 1);
    node->Advance(absl::Hours(24 * 6));
    EXPECT_TRUE(Exists());
    node->Advance(absl::Hours(25));
    EXPECT_FALSE(Exists());
    ExpectFamiliesConsistent();
    EXPECT_EQ(recording.EntryCount(), 1u) << "the next number";
    EXPECT_EQ(Status().processed_count(), 0);
    EXPECT_FALSE(Exists()) << "to ask makes nothing exist";
    if (restart) Start();
    // A consumer that has seen number 2 misses nothing.
    EXPECT_EQ(Add({"three"}).first_sequence(), restart ? 6 : 3);
    EXPECT_TRUE(Exists());
    Flush();
    v1::ListProcessedItemsRequest request;
    request.set_after_sequence(restart ? 5 : 2);
    EXPECT_EQ(List(request).items_size(), 1);
  }
  SendDeleteAll(BatchProcessor::Class(), "mail");
  node->Settle();
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_EQ(Add({"new"}).first_sequence(), 1);
}

TEST_F(EmptyBatchTest, DeleteAllOfOneThatHasLeftHasItBeginAnew) {
  Start();
  Add({"one"});
  node->Advance(absl::Hours(24 * 8));
  EXPECT_FALSE(Exists());
  auto sent = SendDeleteAll(BatchProcessor::Class(), "mail");
  node->Settle();
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_EQ(Add({"new"}).first_sequence(), 1);
}

TEST_F(EmptyBatchTest, TheNumbersGoOnThoughTheWallClockKeepsItFromLeaving) {
  Start();
  Add({"one"});
  node->Advance(absl::Minutes(1));
  clock.StepWall(-absl::Hours(10));
  node->Advance(absl::Hours(24 * 8));
  Start();
  EXPECT_EQ(Status().processed_count(), 0);
  node->Advance(kIdle);
  EXPECT_EQ(Add({"two"}).first_sequence(), 2);
}

TEST_F(EmptyBatchTest, AConfigurationStays) {
  Start();
  v1::BatchConfig config;
  config.mutable_retention()->set_seconds(60);
  EXPECT_TRUE(Configure(config)->ok());
  Add({"one"});
  node->Advance(absl::Minutes(5));
  EXPECT_EQ(Status().processed_count(), 0);
  EXPECT_TRUE(Exists());
  node->Advance(kIdle);
  EXPECT_TRUE(Exists());
  EXPECT_EQ(Status().config().retention().seconds(), 60);
  EXPECT_EQ(CatalogOf(BatchProcessor::Class(), "mail")->size_bytes(),
            HeaderOf(BatchProcessor::Class(), "mail")->usage().size_bytes());
}

TEST_F(EmptyBatchTest, AnItemThatComesAsTheLastOneGoesKeepsIt) {
  Start();
  Add({"one"});
  node->Advance(absl::Hours(24 * 7));
  clock.Advance(absl::Minutes(1));
  auto sent = SendAdd({"two"});
  node->Advance(absl::Minutes(1));
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(sent->response.first_sequence(), 2);
  EXPECT_TRUE(Exists());
  EXPECT_THAT(ProcessedTexts(), ElementsAre("two"));
}

TEST_F(EmptyBatchTest, ATrimmedBatchLeavesWhenItsRetentionWouldHaveEnded) {
  Start();
  Add({"one", "two"});
  Flush();
  EXPECT_EQ(Trim(2), 2);
  node->Advance(kIdle);
  EXPECT_TRUE(Exists());
  node->Advance(absl::Hours(24 * 7));
  EXPECT_FALSE(Exists());
  EXPECT_EQ(Add({"three"}).first_sequence(), 3);
}

class StayingTest : public NodeTest {
 protected:
  StayingTest() { classes = {&Counter::Class(), &UserCache::Class(), &PlainObject::Class()}; }
};

TEST_F(StayingTest, ACounterAtZeroStaysWithItsUniqueNumbers) {
  Start();
  Ask("c", &Counter::ResetCounter, v1::ResetCounterRequest());
  Ask("u", &Counter::GetUniqueNumber, v1::GetUniqueNumberRequest());
  node->Advance(absl::Hours(1));
  EXPECT_TRUE(CatalogOf(Counter::Class(), "c"));
  EXPECT_TRUE(CatalogOf(Counter::Class(), "u"));
  EXPECT_EQ(Ask("u", &Counter::GetUniqueNumber, v1::GetUniqueNumberRequest())->response.number(), 1);
}

TEST_F(StayingTest, AnImportThatHasBegunKeepsItsObject) {
  Start();
  storage::sql::ImportId id;
  auto begun = std::make_shared<Outcome>();
  SendBody(
      PlainObject::Class(), "o", [&](Object& object) { return static_cast<PlainObject&>(object).BeginImport(&id); },
      begun);
  node->Advance(kIdle);
  EXPECT_TRUE(begun->ok());
  EXPECT_TRUE(CatalogOf(PlainObject::Class(), "o"));
  auto aborted = std::make_shared<Outcome>();
  SendBody(
      PlainObject::Class(), "o", [&](Object& object) { return static_cast<PlainObject&>(object).AbortImport(id); },
      aborted);
  node->Advance(kIdle);
  EXPECT_TRUE(aborted->ok());
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(StayingTest, ACacheWhoseLastUserWasDeletedLeavesWithMemory) {
  Start();
  v1::UpdateUserRequest update;
  update.mutable_user()->set_id("u");
  update.set_allow_missing(true);
  Ask("cache", &UserCache::UpdateUser, update);
  node->Advance(kIdle);
  EXPECT_TRUE(CatalogOf(UserCache::Class(), "cache"));
  v1::DeleteUserRequest request;
  request.set_id("u");
  Ask("cache", &UserCache::DeleteUser, request);
  node->Advance(kIdle);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

}  // namespace
}  // namespace holdfast::actors
