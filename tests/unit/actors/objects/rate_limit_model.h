// A plain model of all algorithms of rate limits, and random limits for tests.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMIT_MODEL_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMIT_MODEL_H_

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/rate_limit_checks.h"

namespace holdfast::actors {

// Counts the units in use of one key, in the plainest way. GCRA is virtual scheduling: the model keeps the theoretical
// arrival time, times the limit, which must not change.
class LimitModel {
 public:
  explicit LimitModel(const LimitCheck& check) : check_(check) {}

  // Returns the largest cost that would be allowed.
  int64_t Remaining(int64_t now_us) const {
    int64_t cost = 0;
    // Costs are small, limits may be large.
    const int64_t most =
        check_.algorithm == v1::RATE_LIMIT_ALGORITHM_GCRA ? std::min(check_.limit, check_.burst) : check_.limit;
    int64_t above = most + 1;
    while (above - cost > 1) {
      const int64_t middle = cost + (above - cost) / 2;
      (Allows(middle, now_us) ? cost : above) = middle;
    }
    return cost;
  }
  bool Allows(int64_t cost, int64_t now_us) const {
    if (cost < 0) return true;
    if (check_.algorithm != v1::RATE_LIMIT_ALGORITHM_GCRA) return Used(now_us) + cost <= check_.limit;
    return Arrival(now_us) + __int128{cost} * check_.window_us - __int128{check_.burst} * check_.window_us <=
           __int128{now_us} * check_.limit;
  }
  void Count(int64_t cost, int64_t now_us) {
    arrival_ = std::max(__int128{now_us} * check_.limit, Arrival(now_us) + __int128{cost} * check_.window_us);
    if (check_.algorithm == v1::RATE_LIMIT_ALGORITHM_GCRA) return;
    for (; cost < 0 && !requests_.empty() && InUse(requests_.back(), now_us); ++cost) requests_.pop_back();
    for (; cost > 0; --cost) requests_.push_back(now_us);
  }

 private:
  __int128 Arrival(int64_t now_us) const { return std::max(__int128{now_us} * check_.limit, arrival_); }
  int64_t Used(int64_t now_us) const {
    return std::ranges::count_if(requests_, [&](int64_t time_us) { return InUse(time_us, now_us); });
  }
  bool InUse(int64_t time_us, int64_t now_us) const {
    switch (check_.algorithm) {
      case v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG:
        return now_us - time_us <= check_.window_us;
      case v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW:
        return time_us / check_.window_us == now_us / check_.window_us;
      default:
        return Begin(time_us) == Begin(now_us);
    }
  }
  // Returns "2023-11-14T22" for an hour, and so on.
  std::string Begin(int64_t time_us) const {
    const time_t seconds = time_us / 1'000'000;
    tm parts;
    gmtime_r(&seconds, &parts);
    const char* const formats[] = {"", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d", "%Y-%m"};
    char text[32];
    return std::string(text, strftime(text, sizeof(text), formats[check_.window_us], &parts));
  }

  const LimitCheck check_;
  std::vector<int64_t> requests_;  // a time for each unit
  __int128 arrival_ = 0;
};

inline LimitCheck AnyCheck(simulation::Dice& dice) {
  const int64_t limit = dice.OneIn(3) ? dice.Between(1, 100'000) : dice.Between(1, 30);
  const int64_t window_us = dice.OneIn(3) ? dice.Between(1'000, 31'622'400'000'000) : dice.Between(1'000, 100'000);
  switch (dice.Below(4)) {
    case 0:
      return LogCheck(limit, window_us);
    case 1: {
      int64_t burst = dice.OneIn(2) ? limit : dice.Between(1, 2 * limit);
      burst =
          std::min(burst, std::max<int64_t>(1, static_cast<int64_t>(__int128{31'622'400'000'000} * limit / window_us)));
      return GcraCheck(limit, window_us, burst);
    }
    case 2:
      return FixedCheck(limit, window_us);
    default:
      return CalendarCheck(limit, static_cast<v1::CalendarUnit>(dice.Between(1, 4)));
  }
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMIT_MODEL_H_
