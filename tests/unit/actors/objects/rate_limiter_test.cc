#include "actors/objects/rate_limiter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/wire_time.h"
#include "tests/unit/actors/node_test.h"
#include "tests/unit/actors/objects/from_wire.h"

namespace holdfast::actors {
namespace {

using Algorithm = v1::RateLimitAlgorithm;
constexpr Algorithm kLog = v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG;
constexpr Algorithm kGcra = v1::RATE_LIMIT_ALGORITHM_GCRA;
constexpr Algorithm kFixed = v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW;

v1::RateLimit Limit(const std::string& key, int64_t limit, absl::Duration window = absl::Seconds(10),
                    Algorithm algorithm = kLog, int64_t cost = 1) {
  v1::RateLimit check;
  check.set_key(key);
  check.set_limit(limit);
  SetDuration(absl::ToInt64Microseconds(window), check.mutable_window());
  check.set_algorithm(algorithm);
  if (cost != 1) check.set_cost(cost);
  return check;
}

class RateLimiterTest : public NodeTest {
 protected:
  RateLimiterTest() { classes = {&RateLimiter::Class()}; }

  v1::CheckLimitResponse Check(const v1::RateLimit& check, bool peek = false, const std::string& name = "api") {
    v1::CheckLimitRequest request;
    *request.mutable_check() = check;
    request.set_peek(peek);
    auto sent = Ask(name, &RateLimiter::CheckLimit, request);
    EXPECT_TRUE(sent->ok()) << *sent->status;
    return sent->response;
  }
  v1::CheckLimitsResponse CheckMany(const std::vector<v1::RateLimit>& checks, bool peek = false) {
    v1::CheckLimitsRequest request;
    for (const v1::RateLimit& check : checks) *request.add_checks() = check;
    request.set_peek(peek);
    auto sent = Ask("api", &RateLimiter::CheckLimits, request);
    EXPECT_TRUE(sent->ok()) << *sent->status;
    return sent->response;
  }
  void Reset(const std::string& key) {
    v1::ResetLimitRequest request;
    request.set_key(key);
    EXPECT_TRUE(Ask("api", &RateLimiter::ResetLimit, request)->ok());
  }
  // Rows of the log and of the limits that are stored.
  std::pair<size_t, size_t> Rows() {
    std::pair<size_t, size_t> rows;
    for (const auto& [key, value] : KeysOf(RateLimiter::Class(), "api")) {
      if (key.substr(0, 3) == std::string("\x20\x00\x01", 3)) ++rows.first;
      if (key.substr(0, 3) == std::string("\x20\x00\x02", 3)) ++rows.second;
    }
    return rows;
  }
  size_t LogRows() { return Rows().first; }
  static v1::CheckLimitRequest CheckOf(const v1::RateLimit& check) {
    v1::CheckLimitRequest request;
    *request.mutable_check() = check;
    return request;
  }
  // Keys of objects that were put or deleted.
  size_t Points() { return recording.points[storage::FamilyId::kPacked]; }
};

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
  // In another object too.
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
  // Unspecified and the log are the same.
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
  EXPECT_EQ(LogRows(), 1500u);
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
  clock.Advance(-absl::Hours(24));
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

TEST_F(RateLimiterTest, AKeyHasAtMostLimitRows) {
  for (uint64_t run : simulation::Seeds(5)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const int64_t limit = dice.Between(1, 8);
    const std::string key = absl::StrCat("key", run);
    Start();
    Reset(key);
    for (int i = 0; i < 100; ++i) {
      Check(Limit(key, limit, absl::Seconds(1), kLog, dice.Between(1, limit)));
      node->Advance(absl::Milliseconds(dice.Below(400)));
      EXPECT_LE(LogRows(), static_cast<size_t>(limit));
      if (dice.OneIn(20)) Start();
    }
    Reset(key);
  }
}

TEST_F(RateLimiterTest, RowsThatNoLongerCountAreRemovedByTheChecksThatFollow) {
  Start();
  for (int i = 0; i < 50; ++i) Check(Limit("a", 50, absl::Minutes(1)));
  clock.Advance(absl::Seconds(61));
  Check(Limit("a", 50, absl::Minutes(1)));
  EXPECT_EQ(LogRows(), 1u);
}

// --- The sweep.

TEST_F(RateLimiterTest, TheSweepLeavesNothingOfKeysThatFellSilent) {
  Start();
  for (Algorithm algorithm : {kLog, kGcra, kFixed}) {
    for (int i = 0; i < 5; ++i) {
      for (int j = 0; j <= i; ++j) Check(Limit(absl::StrCat("key", i), 10, absl::Seconds(1 + 7 * i), algorithm));
    }
  }
  EXPECT_EQ(Rows().second, 15u);
  node->Advance(absl::Minutes(2));
  EXPECT_EQ(Rows(), std::make_pair(size_t{0}, size_t{0}));
  const auto keys = KeysOf(RateLimiter::Class(), "api");
  EXPECT_EQ(keys.size(), 1u) << "only the header";
  EXPECT_TRUE(recording.Dump()["alarms"].empty()) << "nothing is left to sweep";
  EXPECT_TRUE(Check(Limit("key0", 1, absl::Seconds(1))).allowed());
}

TEST_F(RateLimiterTest, TheSweepLeavesTheKeysThatAreInUse) {
  Start();
  Check(Limit("silent", 5, absl::Seconds(2)));
  Check(Limit("used", 1'000, absl::Seconds(10)));
  for (int i = 0; i < 60; ++i) {
    node->Advance(absl::Seconds(1));
    Check(Limit("used", 1'000, absl::Seconds(10)));
  }
  EXPECT_EQ(Rows().second, 1u);
  const int64_t used = 1'000 - Check(Limit("used", 1'000, absl::Seconds(10)), /*peek=*/true).remaining();
  EXPECT_EQ(used, 12) << "those of the last ten seconds, of the moment ten seconds ago, and the peek's own";
}

TEST_F(RateLimiterTest, TheSweepHappensAlsoAfterARestart) {
  Start();
  for (int i = 0; i < 250; ++i) Check(Limit(absl::StrCat("key", i), 5, absl::Seconds(30)));
  Crash();
  clock.Advance(absl::Hours(1));
  Start();
  node->Advance(absl::Seconds(30));
  EXPECT_EQ(Rows(), std::make_pair(size_t{0}, size_t{0}));
}

TEST_F(RateLimiterTest, TheSweepTakesNotMuchMoreTimeThanTheKeysNeedToFallSilent) {
  Start();
  Check(Limit("a", 5, absl::Seconds(10)));
  node->Advance(absl::Seconds(10));
  EXPECT_EQ(Rows().second, 1u) << "it still counts";
  node->Advance(absl::Seconds(2));
  EXPECT_EQ(Rows().second, 0u);
}

TEST_F(RateLimiterTest, ALongWindowDoesNotHoldUpTheSweepOfAShortOne) {
  Start();
  Check(Limit("long", 5, absl::Hours(24)));
  Check(Limit("short", 5, absl::Seconds(1)));
  node->Advance(absl::Seconds(10));
  EXPECT_EQ(Rows().second, 1u);
}

TEST_F(RateLimiterTest, TheObjectCanBeCleanedUp) {
  Start();
  Check(Limit("a", 5));
  SendCleanup(RateLimiter::Class(), "api");
  node->Settle();
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_EQ(Check(Limit("a", 5)).remaining(), 4);
}

// --- Against a model.

// What each algorithm answers, from the list of all that it allowed.
class Model {
 public:
  bool Check(const v1::RateLimit& check, int64_t now_us, bool count) {
    const int64_t window_us = FromWire(check.window()) / absl::Microseconds(1);
    const int64_t cost = check.has_cost() ? check.cost() : 1;
    auto& requests = allowed_[{check.key(), check.algorithm(), window_us}];
    int64_t used = 0;
    for (const auto& [time_us, other] : requests) {
      const bool counts =
          check.algorithm() == kLog ? now_us - time_us <= window_us : now_us / window_us == time_us / window_us;
      if (counts) used += other;
    }
    remaining_ = std::max<int64_t>(0, check.limit() - used);
    if (used + cost > check.limit()) return false;
    remaining_ -= cost;
    if (count) requests.emplace_back(now_us, cost);
    return true;
  }
  int64_t remaining() const { return remaining_; }
  void Reset(const std::string& key) {
    std::erase_if(allowed_, [&](const auto& entry) { return std::get<0>(entry.first) == key; });
  }

 private:
  std::map<std::tuple<std::string, int, int64_t>, std::vector<std::pair<int64_t, int64_t>>> allowed_;
  int64_t remaining_ = 0;
};

// --- The bounds on what one object holds and does at once.

// A call with checks of so many windows of the key, from the shortest on.
v1::CheckLimitsRequest Windows(const std::string& key, int count, int shortest_ms, Algorithm algorithm = kLog) {
  v1::CheckLimitsRequest request;
  for (int i = 0; i < count; ++i) {
    *request.add_checks() = Limit(key, 100'000, absl::Milliseconds(shortest_ms + i), algorithm);
  }
  return request;
}

TEST_F(RateLimiterTest, AKeyHasNoMoreWindowsThanTheSettingSays) {
  options.objects.rate_limit_windows_max = 5;
  Start();
  const auto begin = [this](int count, int shortest_ms, const std::string& key = "k") {
    return *Ask("api", &RateLimiter::CheckLimits, Windows(key, count, shortest_ms))->status;
  };
  EXPECT_TRUE(begin(3, 60'000).ok());
  for (bool restarted : {false, true}) {
    if (restarted) Start();
    const absl::Status refused = begin(4, 60'002);
    EXPECT_THAT(refused, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("actors.rate_limit_windows_max"));
  }
  EXPECT_EQ(Rows(), std::pair(size_t{3}, size_t{3})) << "counted in part";
  EXPECT_TRUE(begin(2, 60'003).ok());
  EXPECT_FALSE(begin(1, 60'005).ok());
  EXPECT_TRUE(begin(5, 60'000).ok()) << "those that it has";
  EXPECT_TRUE(begin(5, 60'000, "another key").ok());
  v1::CheckLimitsRequest peek = Windows("k", 3, 90'000);
  peek.set_peek(true);
  EXPECT_TRUE(Ask("api", &RateLimiter::CheckLimits, peek)->ok()) << "begins none";
  Reset("k");
  EXPECT_TRUE(begin(5, 70'000).ok()) << "there is room again";
  node->Advance(absl::Minutes(3));
  EXPECT_EQ(Rows(), std::pair(size_t{0}, size_t{0}));
  EXPECT_TRUE(begin(5, 80'000).ok()) << "those that fell silent are gone";
}

TEST_F(RateLimiterTest, ACallLooksAtNoMoreLoggedRequestsThanTheSettingSays) {
  options.objects.rate_limit_log_requests_max = 100;
  Start();
  for (int i = 0; i < 40; ++i) Ask("api", &RateLimiter::CheckLimits, Windows("k", 2, 60'000));
  for (int i = 0; i < 30; ++i) Check(Limit("other", 1000, absl::Minutes(1)));
  v1::CheckLimitsRequest all = Windows("k", 2, 60'000);
  *all.add_checks() = Limit("other", 1000, absl::Minutes(1));
  for (bool restarted : {false, true}) {
    if (restarted) Start();
    const absl::Status refused = *Ask("api", &RateLimiter::CheckLimits, all)->status;
    EXPECT_THAT(refused, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("actors.rate_limit_log_requests_max"));
  }
  EXPECT_EQ(LogRows(), 110u);
  EXPECT_TRUE(Ask("api", &RateLimiter::CheckLimits, Windows("k", 2, 60'000))->ok());
}

TEST_F(RateLimiterTest, ALongLogIsReadInPartsAndIsWhole) {
  constexpr int kRequests = 10'000;
  Start();
  for (int i = 0; i < kRequests; ++i)
    Send("api", &RateLimiter::CheckLimit, CheckOf(Limit("k", 100'000, absl::Hours(1))));
  node->Settle();
  Start();
  EXPECT_EQ(Check(Limit("k", 100'000, absl::Hours(1))).remaining(), 100'000 - kRequests - 1);
}

TEST_F(RateLimiterTest, AResetOfMuchGoesInPartsThatDelayNobody) {
  options.objects.rate_limit_windows_max = 10'000;
  Start();
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(Ask("api", &RateLimiter::CheckLimits, Windows("k", 100, 3'600'000 + 100 * i))->ok());
    EXPECT_TRUE(Ask("api", &RateLimiter::CheckLimits, Windows("k", 100, 3'600'000 + 100 * i, kGcra))->ok());
  }
  Check(Limit("other", 10, absl::Hours(1)));
  v1::ResetLimitRequest request;
  request.set_key("k");
  auto reset = Send("api", &RateLimiter::ResetLimit, request);
  // No commit has more than one part, and others come in between.
  store.set_cold(true);
  size_t most = 0;
  size_t checks = 0;
  std::vector<std::shared_ptr<Sent<v1::CheckLimitResponse>>> sent;
  while (!reset->done()) {
    const size_t before = Points();
    if (!node->commits().RunOne()) ASSERT_TRUE(node->Step(0));
    most = std::max(most, Points() - before);
    if (!sent.empty() && !sent.back()->done()) continue;
    checks = sent.size();
    sent.push_back(Send("api", &RateLimiter::CheckLimit, CheckOf(Limit("other", 1'000'000, absl::Hours(1), kFixed))));
  }
  store.set_cold(false);
  node->Settle();
  ASSERT_TRUE(reset->ok());
  EXPECT_LE(most, 3'500u);
  EXPECT_GE(checks, 8u);
  EXPECT_EQ(Rows(), std::pair(size_t{1}, size_t{2})) << "only the other key's";
}

TEST_F(RateLimiterTest, WhatIsCountedWhileAResetGoesOnStays) {
  Start();
  const v1::RateLimit limit = Limit("k", 100'000, absl::Hours(1));
  for (bool in_memory : {true, false}) {
    for (int i = 0; i < 2'000; ++i) Send("api", &RateLimiter::CheckLimit, CheckOf(limit));
    node->Settle();
    if (!in_memory) {
      Start();
      Check(Limit("other", 10, absl::Hours(1), kFixed));  // loads the object, and not the log
    }
    v1::ResetLimitRequest request;
    request.set_key("k");
    auto reset = Send("api", &RateLimiter::ResetLimit, request);
    for (int i = 0; i < 4; ++i) node->Step(0);
    ASSERT_FALSE(reset->done());
    clock.Advance(absl::Milliseconds(1));
    for (int i = 0; i < 700; ++i) Send("api", &RateLimiter::CheckLimit, CheckOf(limit));
    node->Settle();
    ASSERT_TRUE(reset->ok());
    EXPECT_EQ(LogRows(), 700u);
    EXPECT_EQ(Check(limit, /*peek=*/true).remaining(), 100'000 - 700 - 1);
    Start();
    EXPECT_EQ(Check(limit, /*peek=*/true).remaining(), 100'000 - 700 - 1) << "memory and storage differ";
    clock.Advance(absl::Milliseconds(1));
    Reset("k");
    EXPECT_EQ(LogRows(), 0u);
  }
}

TEST_F(RateLimiterTest, AResetThatACrashCutsOffLeavesNothingForGood) {
  for (int crash_after : {2, 4, 6, 8, 10, 12, 14}) {
    Start();
    for (int i = 0; i < 10; ++i) Ask("api", &RateLimiter::CheckLimits, Windows("k", 100, 60'000 + 100 * i));
    v1::ResetLimitRequest request;
    request.set_key("k");
    Send("api", &RateLimiter::ResetLimit, request);
    for (int i = 0; i < crash_after; ++i) node->Step(0);
    Start();
    node->Advance(absl::Minutes(3));
    EXPECT_EQ(Rows(), std::pair(size_t{0}, size_t{0})) << crash_after;
  }
}

TEST_F(RateLimiterTest, AgreesWithAModelAcrossTimeSweepsPassivationAndRestarts) {
  for (uint64_t run : simulation::Seeds(15)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    families_max = static_cast<int>(dice.Below(2));
    Start();
    SendCleanup(RateLimiter::Class(), "api");
    node->Settle();
    Model model;
    for (int i = 0; i < 300; ++i) {
      const std::string key = absl::StrCat("key", dice.Below(4));
      switch (dice.Below(12)) {
        case 0:
          node->Advance(absl::Seconds(dice.Below(30)));
          break;
        case 1:
          Reset(key);
          model.Reset(key);
          break;
        case 2:
          if (dice.OneIn(3)) Start();
          break;
        default: {
          const int64_t limit = dice.Between(1, 6);
          const auto check = Limit(key, limit, absl::Seconds(dice.Between(1, 2) * 4), dice.OneIn(3) ? kFixed : kLog,
                                   dice.Between(1, limit));
          const bool peek = dice.OneIn(5);
          const auto reply = Check(check, peek);
          ASSERT_EQ(reply.allowed(), model.Check(check, absl::ToUnixMicros(clock.Now()), !peek));
          ASSERT_EQ(reply.remaining(), model.remaining());
          if (!reply.allowed()) {
            // What it says of the time is true, also through storage.
            const int64_t at_us =
                absl::ToUnixMicros(clock.Now()) + FromWire(reply.retry_after()) / absl::Microseconds(1);
            ASSERT_FALSE(model.Check(check, at_us - 1, false));
            ASSERT_TRUE(model.Check(check, at_us, false));
          }
          node->Advance(absl::Milliseconds(dice.Below(900)));
        }
      }
    }
    node->Advance(absl::Minutes(1));
    EXPECT_EQ(Rows(), std::make_pair(size_t{0}, size_t{0}));
  }
}

TEST_F(RateLimiterTest, KeysThatLeaveTheCacheAreReadBackWithAllTheyHad) {
  // Far more than 8 MiB of states, so that most are read back from storage each time.
  constexpr int kKeys = 12'000;
  options.idle_timeout = absl::Hours(1);
  Start();
  Model model;
  const auto key = [](int i) { return absl::StrCat(i, std::string(500, 'k')); };
  for (int round = 0; round < 3; ++round) {
    for (int first = 0; first < kKeys; first += 100) {
      std::vector<v1::RateLimit> checks;
      for (int i = first; i < first + 100; ++i) {
        checks.push_back(Limit(key(i), 2 + i % 3, absl::Hours(1), i % 2 == 0 ? kLog : kFixed));
      }
      // All or nothing, so first what each would say.
      bool all = true;
      for (const v1::RateLimit& check : checks) all &= model.Check(check, absl::ToUnixMicros(clock.Now()), false);
      const auto reply = CheckMany(checks);
      ASSERT_EQ(reply.allowed(), all);
      for (int i = 0; i < 100; ++i) {
        const bool allowed = model.Check(checks[static_cast<size_t>(i)], absl::ToUnixMicros(clock.Now()), all);
        ASSERT_EQ(reply.results(i).allowed(), allowed) << first + i;
      }
      clock.Advance(absl::Microseconds(10));
    }
  }
  EXPECT_LT(node->host().activation_bytes(), 10u << 20);
}

}  // namespace
}  // namespace holdfast::actors
