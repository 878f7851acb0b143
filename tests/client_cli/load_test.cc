// Loads with a clock that only the test moves. With one caller everything is in one order.

#include "client/load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"

namespace holdfast::client {
namespace {

// Time passes while somebody sleeps, and when the test says so.
class ManualClock final : public LoadClock {
 public:
  absl::Time Now() override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  void SleepUntil(absl::Time until, const std::atomic<bool>& stop) override {
    std::lock_guard lock(mutex_);
    if (!stop) now_ = std::max(now_, until);
  }
  void Pass(absl::Duration time) {
    std::lock_guard lock(mutex_);
    now_ += time;
  }

 private:
  std::mutex mutex_;
  absl::Time now_ = absl::UnixEpoch();
};

class LoadTest : public ::testing::Test {
 protected:
  LoadResult Run(const LoadOptions& options, const LoadCall& call) {
    return RunLoad(options, call, stop_, clock_, [](const LoadResult&) {});
  }

  ManualClock clock_;
  std::atomic<bool> stop_ = false;
};

TEST_F(LoadTest, WithoutARateACallFollowsTheOneBefore) {
  const LoadResult result = Run({.callers = 1, .time = absl::Seconds(1)}, [&](int, int64_t) {
    clock_.Pass(absl::Milliseconds(10));
    return absl::OkStatus();
  });
  EXPECT_EQ(result.calls, 100);
  EXPECT_EQ(result.failures, 0);
  EXPECT_EQ(result.not_begun, 0);
  EXPECT_EQ(result.time, absl::Seconds(1));
  EXPECT_DOUBLE_EQ(result.CallsPerSecond(), 100);
  EXPECT_EQ(result.latency.max(), absl::Milliseconds(10));
}

TEST_F(LoadTest, WithARateCallsAreDueAtEvenTimes) {
  std::vector<absl::Time> times;
  const LoadResult result = Run({.callers = 1, .rate = 4, .time = absl::Seconds(1)}, [&](int, int64_t number) {
    EXPECT_EQ(number, static_cast<int64_t>(times.size()));
    times.push_back(clock_.Now());
    clock_.Pass(absl::Milliseconds(1));
    return absl::OkStatus();
  });
  ASSERT_EQ(times.size(), 4u);
  for (size_t i = 0; i < times.size(); ++i) EXPECT_EQ(times[i], absl::UnixEpoch() + absl::Milliseconds(250) * i);
  EXPECT_EQ(result.not_begun, 0);
  EXPECT_EQ(result.latency.max(), absl::Milliseconds(1));
}

TEST_F(LoadTest, AStallIsInTheLatencyOfAllCallsThatWereDueMeanwhile) {
  const LoadResult result = Run({.callers = 1, .rate = 10, .time = absl::Seconds(2)}, [&](int, int64_t number) {
    clock_.Pass(number == 0 ? absl::Milliseconds(950) : absl::ZeroDuration());
    return absl::OkStatus();
  });
  EXPECT_EQ(result.calls, 20);
  // Calls 0 to 9 were due within the stall: 950, 850 ... 50 ms late.
  EXPECT_EQ(result.latency.max(), absl::Milliseconds(950));
  EXPECT_GE(result.latency.Quantile(0.55), absl::Milliseconds(50));
  EXPECT_LE(result.latency.Quantile(0.5), absl::Microseconds(1));
}

TEST_F(LoadTest, CallsThatNobodyCouldBeginAreCountedAndLate) {
  const LoadResult result = Run({.callers = 1, .rate = 10, .time = absl::Seconds(1)}, [&](int, int64_t) {
    clock_.Pass(absl::Milliseconds(600));
    return absl::OkStatus();
  });
  EXPECT_EQ(result.calls, 2);  // the second one begins at 0.6 s, and ends at 1.2 s
  EXPECT_EQ(result.not_begun, 8);
  EXPECT_EQ(result.latency.count(), 10);
  EXPECT_EQ(result.latency.max(), absl::Milliseconds(1100));
}

TEST_F(LoadTest, FailuresAreCountedByTheirKindAndPausedAfter) {
  int64_t calls = 0;
  const LoadResult result = Run({.callers = 1, .time = absl::Seconds(1)}, [&](int, int64_t number) {
    ++calls;
    return number % 2 == 0 ? absl::UnavailableError("gone") : absl::InternalError("broken");
  });
  EXPECT_EQ(calls, 100);  // 10 ms after each
  EXPECT_EQ(result.calls, 0);
  EXPECT_EQ(result.failures, 100);
  EXPECT_EQ(result.latency.count(), 0);
  EXPECT_EQ(result.errors.at("UNAVAILABLE"), 50);
  EXPECT_EQ(result.errors.at("INTERNAL"), 50);
  EXPECT_EQ(result.first_error, absl::UnavailableError("gone"));
}

TEST_F(LoadTest, AStopEndsItAfterTheCallThatIsUnderWay) {
  const LoadResult result = Run({.callers = 1, .rate = 1, .time = absl::Hours(1)}, [&](int, int64_t number) {
    if (number == 2) stop_ = true;
    return absl::OkStatus();
  });
  EXPECT_EQ(result.calls, 3);
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.time, absl::Seconds(2));
  EXPECT_EQ(result.not_begun, 0);
}

TEST_F(LoadTest, SeveralCallersShareTheCalls) {
  std::mutex mutex;
  std::set<int64_t> numbers;
  const LoadResult result =
      Run({.callers = 8, .time = absl::Hours(1), .calls_max = 1000}, [&](int caller, int64_t number) {
        EXPECT_GE(caller, 0);
        EXPECT_LT(caller, 8);
        std::lock_guard lock(mutex);
        EXPECT_TRUE(numbers.insert(number).second) << number;
        return absl::OkStatus();
      });
  EXPECT_EQ(result.calls, 1000);
  EXPECT_EQ(*numbers.rbegin(), 999);
}

TEST_F(LoadTest, KindsOfErrorsAreBounded) {
  // No server has so many reasons; one that means harm might make them up. Codes alone are fewer than the bound.
  const LoadResult result =
      Run({.callers = 1, .time = absl::Hours(1), .calls_max = 1000}, [](int, int64_t number) -> absl::Status {
        google::rpc::ErrorInfo info;
        info.set_domain("holdfast");
        info.set_reason(absl::StrCat("REASON_", number));
        absl::Status status = absl::UnavailableError("refused");
        status.SetPayload("type.googleapis.com/google.rpc.ErrorInfo", absl::Cord(info.SerializeAsString()));
        return status;
      });
  EXPECT_EQ(result.failures, 1000);
  EXPECT_EQ(result.errors.size(), kErrorKindsMax + 1);
  EXPECT_EQ(result.errors.at("others"), static_cast<int64_t>(1000 - kErrorKindsMax));
}

}  // namespace
}  // namespace holdfast::client
