// The calls of class RateLimiter give the right answers, for each key and algorithm and across restarts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/unit/actors/objects/from_wire.h"
#include "tests/unit/actors/objects/rate_limiter_fixture.h"

namespace holdfast::actors {
namespace {

TEST_F(RateLimiterTest, AllowsUpToTheLimitAndThenSaysWhen) {
  Start();
  for (int i = 0; i < 3; ++i) {
    const auto reply = Check(Limit("alice", 3));
    EXPECT_TRUE(reply.allowed());
    EXPECT_EQ(reply.limit(), 3);
    EXPECT_EQ(reply.remaining(), 2 - i);
    EXPECT_EQ(FromWire(reply.retry_after()), absl::ZeroDuration());
    node->Advance(absl::Seconds(1));
  }
  const auto denied = Check(Limit("alice", 3));
  EXPECT_FALSE(denied.allowed());
  EXPECT_EQ(denied.remaining(), 0);
  EXPECT_EQ(FromWire(denied.retry_after()), absl::Seconds(7) + absl::Microseconds(1));
  EXPECT_EQ(FromWire(denied.reset_after()), absl::Seconds(9) + absl::Microseconds(1));
  EXPECT_TRUE(Check(Limit("bob", 3)).allowed());
  node->Advance(absl::Seconds(7));
  EXPECT_FALSE(Check(Limit("alice", 3)).allowed()) << "exactly as old as the window still counts";
  node->Advance(absl::Microseconds(1));
  EXPECT_TRUE(Check(Limit("alice", 3)).allowed());
}

TEST_F(RateLimiterTest, EachKeyAlgorithmAndWindowIsAStateOfItsOwn) {
  Start();
  for (Algorithm algorithm : {kLog, kGcra, kFixed}) {
    for (int seconds : {10, 20}) {
      for (const char* key : {"a", "ab", "a_b", "b"}) {
        EXPECT_TRUE(Check(Limit(key, 1, absl::Seconds(seconds), algorithm)).allowed());
        EXPECT_FALSE(Check(Limit(key, 1, absl::Seconds(seconds), algorithm)).allowed());
      }
    }
  }
  // The key is free in another object, too.
  EXPECT_TRUE(Check(Limit("a", 1), false, "other").allowed());
}

TEST_F(RateLimiterTest, UnspecifiedIsTheLog) {
  Start();
  EXPECT_TRUE(Check(Limit("a", 1, absl::Seconds(10), v1::RATE_LIMIT_ALGORITHM_UNSPECIFIED)).allowed());
  EXPECT_FALSE(Check(Limit("a", 1, absl::Seconds(10), kLog)).allowed());
}

TEST_F(RateLimiterTest, AnotherLimitOnTheSameKeyKeepsItsState) {
  Start();
  for (int i = 0; i < 5; ++i) Check(Limit("a", 10));
  EXPECT_FALSE(Check(Limit("a", 3)).allowed());
  EXPECT_EQ(Check(Limit("a", 10)).remaining(), 4);
}

TEST_F(RateLimiterTest, ADenialStoresNothing) {
  Start();
  Check(Limit("a", 1));
  const auto before = recording.Dump();
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(Check(Limit("a", 1)).allowed());
  EXPECT_EQ(recording.Dump(), before);
}

TEST_F(RateLimiterTest, APeekAnswersWhatTheCheckWouldAndCountsNothing) {
  for (Algorithm algorithm : {kLog, kGcra, kFixed}) {
    SCOPED_TRACE(algorithm);
    Start();
    const v1::RateLimit check = Limit("a", 3, absl::Seconds(10), algorithm);
    for (int i = 0; i < 5; ++i) {
      for (int j = 0; j < 3; ++j) Check(check, /*peek=*/true);
      const auto peek = Check(check, /*peek=*/true);
      const auto real = Check(check);
      EXPECT_EQ(peek.SerializeAsString(), real.SerializeAsString());
      EXPECT_EQ(real.allowed(), i < 3);
      node->Advance(absl::Milliseconds(10));
    }
  }
}

TEST_F(RateLimiterTest, APeekOfAKeyThatWasNeverUsedStoresNothing) {
  Start();
  EXPECT_TRUE(Check(Limit("a", 1), /*peek=*/true).allowed());
  CheckMany({Limit("b", 1), Limit("c", 1)}, /*peek=*/true);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(RateLimiterTest, SeveralChecksAreAllOrNothing) {
  Start();
  Check(Limit("full", 1));
  const auto denied = CheckMany({Limit("a", 5), Limit("full", 1), Limit("b", 5, absl::Seconds(10), kGcra)});
  EXPECT_FALSE(denied.allowed());
  ASSERT_EQ(denied.results_size(), 3);
  EXPECT_TRUE(denied.results(0).allowed());
  EXPECT_FALSE(denied.results(1).allowed());
  EXPECT_TRUE(denied.results(2).allowed());
  EXPECT_EQ(denied.results(0).remaining(), 5) << "without counting";
  EXPECT_EQ(FromWire(denied.results(0).reset_after()), absl::ZeroDuration());
  EXPECT_EQ(denied.results(2).remaining(), 5);
  EXPECT_GT(FromWire(denied.results(1).retry_after()), absl::ZeroDuration());
  EXPECT_EQ(Check(Limit("a", 5), /*peek=*/true).remaining(), 4);
  const auto allowed = CheckMany({Limit("a", 5), Limit("b", 5, absl::Seconds(10), kGcra)});
  EXPECT_TRUE(allowed.allowed());
  EXPECT_EQ(allowed.results(0).remaining(), 4);
  EXPECT_EQ(allowed.results(1).remaining(), 4);
}

TEST_F(RateLimiterTest, APeekOfSeveralAnswersWhatTheyWould) {
  Start();
  Check(Limit("full", 1));
  const std::vector<v1::RateLimit> denied = {Limit("a", 5), Limit("full", 1)};
  EXPECT_EQ(CheckMany(denied, true).SerializeAsString(), CheckMany(denied).SerializeAsString());
  const std::vector<v1::RateLimit> allowed = {Limit("a", 5), Limit("b", 1)};
  EXPECT_EQ(CheckMany(allowed, true).SerializeAsString(), CheckMany(allowed).SerializeAsString());
}

TEST_F(RateLimiterTest, SeveralChecksAreValidated) {
  Start();
  const auto refused = [this](const std::vector<v1::RateLimit>& checks) {
    v1::CheckLimitsRequest request;
    for (const v1::RateLimit& check : checks) *request.add_checks() = check;
    return *Ask("api", &RateLimiter::CheckLimits, request)->status;
  };
  EXPECT_THAT(refused({}), IsInvalid("checks"));
  std::vector<v1::RateLimit> many;
  for (int i = 0; i < 101; ++i) many.push_back(Limit(absl::StrCat(i), 1));
  EXPECT_THAT(refused(many), IsInvalid("checks"));
  many.pop_back();
  EXPECT_TRUE(refused(many).ok());
  EXPECT_THAT(refused({Limit("a", 1), Limit("b", 0)}), IsInvalid("checks[1].limit"));
  EXPECT_THAT(refused({Limit("a", 1), Limit("b", 1), Limit("a", 5)}), IsInvalid("checks[2]"));
  // The unspecified algorithm is the log.
  EXPECT_THAT(refused({Limit("a", 1), Limit("a", 1, absl::Seconds(10), v1::RATE_LIMIT_ALGORITHM_UNSPECIFIED)}),
              IsInvalid("checks[1]"));
  EXPECT_TRUE(Check(Limit("b", 1)).allowed()) << "nothing was counted";
}

TEST_F(RateLimiterTest, ARequestWithoutACheckNamesAField) {
  Start();
  const absl::Status status = *Ask("api", &RateLimiter::CheckLimit, v1::CheckLimitRequest())->status;
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(ViolatedFields(status).size(), 1u);
  EXPECT_THAT(ViolatedFields(status)[0], ::testing::StartsWith("check"));
}

TEST_F(RateLimiterTest, ResetForgetsAllStateOfAKeyAndOfNoOther) {
  Start();
  for (Algorithm algorithm : {kLog, kGcra, kFixed}) {
    for (const char* key : {"a", "ab"}) {
      Check(Limit(key, 1, absl::Seconds(10), algorithm));
      Check(Limit(key, 1, absl::Seconds(20), algorithm));
    }
  }
  Reset("a");
  for (Algorithm algorithm : {kLog, kGcra, kFixed}) {
    EXPECT_TRUE(Check(Limit("a", 1, absl::Seconds(10), algorithm)).allowed());
    EXPECT_FALSE(Check(Limit("ab", 1, absl::Seconds(10), algorithm)).allowed());
  }
  Reset("a");
  Start();
  EXPECT_TRUE(Check(Limit("a", 1)).allowed());
  EXPECT_FALSE(Check(Limit("ab", 1)).allowed());
}

TEST_F(RateLimiterTest, ResetOfAKeyThatWasNeverUsedIsFineAndStoresNothing) {
  Start();
  Reset("a");
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(RateLimiterTest, ResetValidatesItsKey) {
  Start();
  v1::ResetLimitRequest request;
  EXPECT_THAT(*Ask("api", &RateLimiter::ResetLimit, request)->status, IsInvalid("key"));
  request.set_key(std::string(513, 'k'));
  EXPECT_THAT(*Ask("api", &RateLimiter::ResetLimit, request)->status, IsInvalid("key"));
}

TEST_F(RateLimiterTest, ResetOfALongLogRemovesAllOfIt) {
  Start();
  for (int i = 0; i < 1500; ++i) Check(Limit("a", 2000));
  EXPECT_EQ(LoggedRequests().size(), 1500u);
  Reset("a");
  EXPECT_EQ(LogRows(), 0u);
  EXPECT_EQ(Check(Limit("a", 2000)).remaining(), 1999);
}

TEST_F(RateLimiterTest, ARestartAndAPassivationForgetNoLimit) {
  for (Algorithm algorithm : {kLog, kGcra, kFixed}) {
    SCOPED_TRACE(algorithm);
    const std::string key = absl::StrCat("key", algorithm);
    const v1::RateLimit check = Limit(key, 5, absl::Minutes(10), algorithm);
    Start();
    for (int i = 0; i < 2; ++i) Check(check);
    Start();
    EXPECT_EQ(Check(check).remaining(), 2);
    node->Advance(absl::Seconds(20));
    ASSERT_EQ(Find(RateLimiter::Class(), "api"), nullptr);
    Check(check);
    Check(check);
    Start();
    EXPECT_FALSE(Check(check).allowed());
  }
}

TEST_F(RateLimiterTest, AClockThatIsSetBackDoesNotLetMoreThrough) {
  Start();
  for (int i = 0; i < 3; ++i) Check(Limit("a", 3));
  clock.StepWall(-absl::Hours(24));
  Start();
  EXPECT_FALSE(Check(Limit("a", 3)).allowed());
}

TEST_F(RateLimiterTest, ACheckIsAnsweredWhenItsCountIsDurable) {
  Start();
  v1::CheckLimitRequest request;
  *request.mutable_check() = Limit("a", 1);
  auto allowed = Send("api", &RateLimiter::CheckLimit, request);
  auto denied = Send("api", &RateLimiter::CheckLimit, request);
  node->SettleWithoutCommits();
  EXPECT_FALSE(allowed->done() || denied->done());
  node->Settle();
  EXPECT_TRUE(allowed->response.allowed());
  EXPECT_FALSE(denied->response.allowed());
}

// --- Units that are given back

TEST_F(RateLimiterTest, UnitsAreGivenBackTheNewestFirstAndNeverMoreThanAreUsed) {
  for (const Algorithm algorithm : {kLog, kGcra, kFixed}) {
    SCOPED_TRACE(v1::RateLimitAlgorithm_Name(algorithm));
    Start();
    const std::string key = v1::RateLimitAlgorithm_Name(algorithm);
    const auto limit = [&](int64_t cost) { return Limit(key, 10, absl::Seconds(1000), algorithm, cost); };
    EXPECT_EQ(Check(limit(3)).remaining(), 7);
    EXPECT_EQ(Check(limit(4)).remaining(), 3);
    EXPECT_EQ(Check(limit(-5), /*peek=*/true).remaining(), 8);
    const auto back = Check(limit(-5));
    EXPECT_TRUE(back.allowed());
    EXPECT_EQ(back.remaining(), 8);
    Start();
    EXPECT_EQ(Check(limit(1), /*peek=*/true).remaining(), 7) << "after a restart";
    EXPECT_EQ(Check(limit(-10)).remaining(), 10);
    EXPECT_EQ(FromWire(Check(limit(1), /*peek=*/true).reset_after()), FromWire(Check(limit(1)).reset_after()));
    EXPECT_EQ(Check(limit(9)).remaining(), 0);
    Reset(key);
  }
}

TEST_F(RateLimiterTest, GivingBackToAKeyThatWasNeverUsedLeavesNothing) {
  Start();
  for (const Algorithm algorithm : {kLog, kGcra, kFixed}) {
    EXPECT_EQ(Check(Limit("k", 10, absl::Seconds(10), algorithm, -1)).remaining(), 10);
  }
  EXPECT_EQ(Rows(), (std::pair<size_t, size_t>(0, 0)));
}

TEST_F(RateLimiterTest, ALogGivesBackItsRows) {
  Start();
  for (int i = 0; i < 5; ++i) Check(Limit("k", 100, absl::Seconds(10), kLog, 2));
  EXPECT_EQ(LoggedRequests().size(), 5u);
  Check(Limit("k", 100, absl::Seconds(10), kLog, -5));
  EXPECT_EQ(LoggedRequests().size(), 3u);
  EXPECT_EQ(Check(Limit("k", 100), /*peek=*/true).remaining(), 94);
  // The oldest units expire as before.
  node->Advance(absl::Seconds(11));
  EXPECT_EQ(Check(Limit("k", 100), /*peek=*/true).remaining(), 99);
}

TEST_F(RateLimiterTest, ACalendarMonthIsAWindow) {
  Start();
  v1::RateLimit check = Limit("k", 2, absl::Seconds(1), v1::RATE_LIMIT_ALGORITHM_CALENDAR);
  check.clear_window();
  check.set_calendar_unit(v1::CALENDAR_UNIT_MONTH);
  Check(check);
  Check(check);
  const auto denied = Check(check);
  EXPECT_FALSE(denied.allowed());
  Start();
  EXPECT_FALSE(Check(check).allowed());
  node->Advance(FromWire(denied.retry_after()));
  EXPECT_TRUE(Check(check).allowed());
  node->Advance(absl::Hours(24 * 32));
  EXPECT_EQ(Rows(), (std::pair<size_t, size_t>(0, 0))) << "the sweep";
}

}  // namespace
}  // namespace holdfast::actors
