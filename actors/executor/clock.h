// Time and randomness, injected so that tests and simulations own them.
//
// There are two clocks. Steady() is for durations: timeouts, leases, sleeps, ages. Wall() is for instants that a client
// names or is told. When the system's clock is set, by hand or by NTP, Wall() steps and Steady() does not.

#ifndef HOLDFAST_ACTORS_EXECUTOR_CLOCK_H_
#define HOLDFAST_ACTORS_EXECUTOR_CLOCK_H_

#include <time.h>

#include <chrono>
#include <cstdint>
#include <random>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace holdfast::actors {

// Any thread may call the methods.
class Clock {
 public:
  virtual ~Clock() = default;
  // Returns the system's time of day. It may step backwards and forwards.
  virtual absl::Time Wall() const = 0;
  // Returns the time of the monotonic clock, which never steps and never stands still. Only differences of its times
  // have a meaning, so they are not stored.
  virtual absl::Time Steady() const = 0;
  // Returns a steady time that is up to some 10 ms old, for a few nanoseconds: for ages of seconds that are noted with
  // every turn.
  virtual absl::Time CoarseSteady() const { return Steady(); }
};

// Returns the system's steady time, for SystemClock and for code that has no Clock.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

class SystemClock : public Clock {
 public:
  absl::Time Wall() const override { return absl::Now(); }
  absl::Time Steady() const override { return SteadyNow(); }
  absl::Time CoarseSteady() const override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);  // the clock of steady_clock, as of the system's last tick
    return absl::TimeFromTimespec(now);
  }
};

// Only one thread may use an instance.
class Random {
 public:
  virtual ~Random() = default;
  // Returns a number that is uniform in [0, 1).
  virtual double Uniform() = 0;
  // Returns 64 random bits.
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

#endif  // HOLDFAST_ACTORS_EXECUTOR_CLOCK_H_
