// Time and randomness, injected so that tests and simulations own them.

#ifndef HOLDFAST_ACTORS_CLOCK_H_
#define HOLDFAST_ACTORS_CLOCK_H_

#include <cstdint>
#include <random>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace holdfast::actors {

// Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time; may step backwards. Objects use Object::Now, which does not.
  virtual absl::Time Now() const = 0;
};

class SystemClock : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

// One thread.
class Random {
 public:
  virtual ~Random() = default;
  // Uniform in [0, 1).
  virtual double Uniform() = 0;
  // 64 random bits.
  virtual uint64_t Bits() = 0;
};

class SeededRandom : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  double Uniform() override { return std::uniform_real_distribution<double>(0, 1)(engine_); }
  uint64_t Bits() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_CLOCK_H_
