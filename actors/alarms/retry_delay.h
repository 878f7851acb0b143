// The delay before a failed alarm is tried again.

#ifndef HOLDFAST_ACTORS_ALARMS_RETRY_DELAY_H_
#define HOLDFAST_ACTORS_ALARMS_RETRY_DELAY_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/time/time.h"
#include "actors/executor/clock.h"

namespace holdfast::actors {

// Returns the delay after `failures` failed attempts, at least 1: 2, 4, 8, 16, 32, 64 s, and 64 s from then on, each
// plus up to a quarter.
inline absl::Duration RetryDelay(int32_t failures, Random& random) {
  constexpr absl::Duration kFirst = absl::Seconds(2);
  constexpr absl::Duration kMax = absl::Seconds(64);
  constexpr double kJitter = 0.25;
  const absl::Duration delay = std::min(kMax, kFirst * std::exp2(std::min(failures - 1, 10)));
  return delay * (1 + kJitter * random.Uniform());
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_ALARMS_RETRY_DELAY_H_
