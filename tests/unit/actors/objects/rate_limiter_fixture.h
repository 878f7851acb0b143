// A fixture for the tests of class RateLimiter: its calls, and the rows that it stores.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMITER_FIXTURE_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMITER_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "actors/objects/rate_limiter.h"
#include "actors/wire/wire_time.h"
#include "tests/unit/actors/node_test.h"

namespace holdfast::actors {

using Algorithm = v1::RateLimitAlgorithm;
inline constexpr Algorithm kLog = v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG;
inline constexpr Algorithm kGcra = v1::RATE_LIMIT_ALGORITHM_GCRA;
inline constexpr Algorithm kFixed = v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW;

inline v1::RateLimit Limit(const std::string& key, int64_t limit, absl::Duration window = absl::Seconds(10),
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
  // Returns the numbers of stored rows of requests and of limits.
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
  // Returns how many keys of objects were put or deleted.
  size_t Points() { return recording.points[storage::FamilyId::kPacked]; }
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMITER_FIXTURE_H_
