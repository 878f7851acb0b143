// Class RateLimiter gives the same answers as a model, whatever happens between the checks.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/from_wire.h"
#include "tests/unit/actors/objects/rate_limiter_fixture.h"

namespace holdfast::actors {
namespace {

// Answers for the sliding-window log and the fixed window, from the list of all requests that were allowed.
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
            // retry_after is exact, also after a restart: the check passes then, and not a microsecond before.
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
  // The states have far more than 8 MiB, so that most are read from storage each time.
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
      // CheckLimits counts all checks or none, so that each check is first asked alone.
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
