// Seeds of randomized tests: the seed determines the run, and a failure prints it.
//
//   for (uint64_t seed : simulation::Seeds(20)) {
//     SCOPED_TRACE(simulation::Replay(seed));
//     ...
//   }

#ifndef HOLDFAST_TESTS_SIMULATION_SEED_H_
#define HOLDFAST_TESTS_SIMULATION_SEED_H_

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace holdfast::simulation {

// Returns 1 to `count`; with HOLDFAST_TEST_SEED in the environment, that seed alone.
inline std::vector<uint64_t> Seeds(int count) {
  uint64_t seed;
  const char* const text = std::getenv("HOLDFAST_TEST_SEED");
  if (text != nullptr && absl::SimpleAtoi(text, &seed)) return {seed};
  std::vector<uint64_t> seeds;
  for (int i = 1; i <= count; ++i) seeds.push_back(static_cast<uint64_t>(i));
  return seeds;
}

inline std::string Replay(uint64_t seed) { return absl::StrCat("replay with HOLDFAST_TEST_SEED=", seed); }

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  // Returns a number from 0 to n - 1.
  uint64_t Below(uint64_t n) { return engine_() % n; }
  int64_t Between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(Below(static_cast<uint64_t>(most - least + 1)));
  }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_SEED_H_
