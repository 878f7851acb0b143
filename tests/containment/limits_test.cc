// One request is much work for one object; other objects do not wait for it.

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "tests/containment/containment.h"

namespace holdfast::testing {
namespace {

class LimitsTest : public ContainmentTest {
 protected:
  using Stub = v1::RateLimiterService::Stub;

  // Returns checks of `count` windows of one key, the shortest of which has `shortest_ms` milliseconds.
  static v1::CheckLimitsRequest Windows(const std::string& key, int count, int64_t shortest_ms) {
    v1::CheckLimitsRequest request;
    request.mutable_object()->set_name("limits");
    for (int i = 0; i < count; ++i) {
      v1::RateLimit* const check = request.add_checks();
      check->set_key(key);
      check->set_limit(100);
      check->mutable_window()->set_seconds((shortest_ms + i) / 1000);
      check->mutable_window()->set_nanos(static_cast<int32_t>((shortest_ms + i) % 1000 * 1'000'000));
    }
    return request;
  }
  std::unique_ptr<Stub> NewStub() { return v1::RateLimiterService::NewStub(server_->NewChannel()); }
};

TEST_F(LimitsTest, AResetOfVeryManyWindowsDelaysNobody) {
  constexpr int kCalls = 4000;
  constexpr int kWindows = 100;
  Start("actors { executors: 1 rate_limit_windows_max: 1000000 }");
  std::vector<std::thread> callers;
  std::atomic<int> next = 0;
  std::atomic<int> failed = 0;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      const auto stub = NewStub();
      for (int i = next++; i < kCalls; i = next++) {
        const auto request = Windows("key", kWindows, 3'600'000 + int64_t{kWindows} * i);
        if (!Invoke(*stub, &Stub::CheckLimits, request).ok()) ++failed;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  ASSERT_EQ(failed, 0);

  std::atomic<bool> over = false;
  absl::Duration reset_took;
  std::thread resetting([&] {
    const auto stub = NewStub();
    v1::ResetLimitRequest request;
    request.mutable_object()->set_name("limits");
    request.set_key("key");
    const absl::Time began = absl::Now();
    EXPECT_TRUE(Invoke(*stub, &Stub::ResetLimit, request, std::chrono::seconds(120)).ok());
    reset_took = absl::Now() - began;
    over = true;
  });
  const auto counters = v1::CounterService::NewStub(server_->NewChannel());
  const auto limits = NewStub();
  absl::Duration longest;
  absl::Duration longest_of_same;
  do {
    v1::IncrementRequest increment;
    increment.mutable_object()->set_name("victim");
    absl::Time began = absl::Now();
    EXPECT_TRUE(Invoke(*counters, &v1::CounterService::Stub::Increment, increment).ok());
    longest = std::max(longest, absl::Now() - began);
    began = absl::Now();
    EXPECT_TRUE(Invoke(*limits, &Stub::CheckLimits, Windows("other", 1, 1000)).ok());
    longest_of_same = std::max(longest_of_same, absl::Now() - began);
  } while (!over);
  resetting.join();
  std::printf("the reset took %.2f s; another object's call %.3f s at most, one of the same object %.3f s\n",
              absl::ToDoubleSeconds(reset_took), absl::ToDoubleSeconds(longest),
              absl::ToDoubleSeconds(longest_of_same));
  EXPECT_LT(longest, absl::Milliseconds(300));
  EXPECT_LT(longest_of_same, absl::Seconds(1));
}

TEST_F(LimitsTest, AKeyHasAsManyWindowsAsTheSettingSays) {
  Start();
  const auto stub = NewStub();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Invoke(*stub, &Stub::CheckLimits, Windows("key", 100, 3'600'000 + int64_t{100} * i)).ok());
  }
  const auto refused = Invoke(*stub, &Stub::CheckLimits, Windows("key", 1, 7'200'000));
  EXPECT_EQ(ReasonOf(refused.status), "OBJECT_QUOTA");
  EXPECT_EQ(DetailOf<google::rpc::QuotaFailure>(refused.status).violations(0).subject(),
            "actors.rate_limit_windows_max");
  EXPECT_TRUE(Invoke(*stub, &Stub::CheckLimits, Windows("another", 1, 7'200'000)).ok());
}

}  // namespace
}  // namespace holdfast::testing
