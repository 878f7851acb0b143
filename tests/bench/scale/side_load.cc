#include "tests/bench/scale/side_load.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "tests/bench/child.h"
#include "tests/bench/scale/calls.h"

namespace holdfast::bench {
namespace {

constexpr int kSlots = 256;
constexpr int64_t kCounters = 1000;
constexpr double kOfPeak = 0.25;
constexpr absl::Duration kPeakTime = absl::Seconds(2);
constexpr absl::Duration kAloneTime = absl::Seconds(5);
constexpr absl::Duration kSlice = absl::Seconds(1);

std::unique_ptr<Transport> Increments(const std::string& address) {
  return Changes(Kind::kCounter, {address, 2, kSlots},
                 {.object = [](int64_t number) { return number * 7919 % kCounters; }});
}

}  // namespace

SideLoad::SideLoad(const Server& server) {
  const auto calls = Increments(server.address());
  rate_ = kOfPeak * RunLoad(calls.get(), {.outstanding = kSlots, .time = kPeakTime}).calls_per_s();
  const absl::Duration cpu_before = CpuTimeOf(server.pid());
  const LoadResult alone = RunLoad(calls.get(), {.outstanding = kSlots, .rate_per_s = rate_, .time = kAloneTime});
  alone_ = alone.calls_per_s();
  alone_p99_us_ = alone.p99_us;
  // The measured CPU time includes the warm-up.
  const double warm_up = absl::ToDoubleSeconds(LoadOptions().warm_up) * rate_;
  alone_cpu_us_ =
      absl::ToDoubleMicroseconds(CpuTimeOf(server.pid()) - cpu_before) / (static_cast<double>(alone.calls) + warm_up);
}

SideLoad::~SideLoad() {
  if (thread_.joinable()) End();
}

void SideLoad::Begin(const std::string& address) {
  thread_ = std::thread([this, address] {
    const auto calls = Increments(address);
    const absl::Time begin = absl::Now();
    while (!end_) {
      const LoadResult slice = RunLoad(
          calls.get(), {.outstanding = kSlots, .rate_per_s = rate_, .warm_up = absl::ZeroDuration(), .time = kSlice});
      calls_ += static_cast<double>(slice.calls);
      p99_us_ = std::max(p99_us_, slice.p99_us);
    }
    seconds_ = absl::ToDoubleSeconds(absl::Now() - begin);
  });
}

void SideLoad::End() {
  end_ = true;
  thread_.join();
}

}  // namespace holdfast::bench
