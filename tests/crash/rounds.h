// How long a crash test runs, and the seed from which it follows.

#ifndef HOLDFAST_TESTS_CRASH_ROUNDS_H_
#define HOLDFAST_TESTS_CRASH_ROUNDS_H_

#include <cstdint>
#include <cstdlib>
#include <random>

#include "absl/strings/numbers.h"

namespace holdfast::testing {

inline int Rounds(int rounds) {
  if (const char* const text = std::getenv("HOLDFAST_CRASH_ROUNDS")) (void)absl::SimpleAtoi(text, &rounds);
  return rounds;
}

inline uint64_t Seed() {
  uint64_t seed = std::random_device{}();
  if (const char* const text = std::getenv("HOLDFAST_TEST_SEED")) (void)absl::SimpleAtoi(text, &seed);
  return seed;
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CRASH_ROUNDS_H_
