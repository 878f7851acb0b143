// The wall clock of the real server is set while it runs (libfaketime); durations are not affected.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "tests/answers/answers.h"

namespace holdfast::testing {
namespace {

class ClockTest : public AnswersTest {
 protected:
  void SetUp() override {
    ASSERT_NE(std::string(HOLDFAST_FAKETIME), "") << "libfaketime is not installed: deploy/install-deps.sh --tools";
    SetClock(absl::ZeroDuration());
    const std::string script = directory_.path() + "/holdfastd";
    std::ofstream(script) << "#!/bin/sh\nexport LD_PRELOAD=" HOLDFAST_FAKETIME
                             " DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1"
                             " FAKETIME_TIMESTAMP_FILE="
                          << ClockFile() << "\nexec " << Holdfastd().path << " \"$@\"\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    ServerProgram program = Holdfastd();
    program.path = script;
    Start("", program);
  }

  std::string ClockFile() const { return directory_.path() + "/clock"; }
  // Sets the server's wall clock ahead by this much from now on.
  void SetClock(absl::Duration ahead) const {
    const int64_t seconds = absl::ToInt64Seconds(ahead);
    std::ofstream(ClockFile()) << (seconds < 0 ? "" : "+") << seconds << "s" << std::flush;
  }
};

TEST_F(ClockTest, TheClockOfTheServerCanBeSet) {
  SetClock(absl::Hours(-10));
  v1::CheckLimitRequest request;
  request.mutable_object()->set_name("new");
  request.mutable_check()->set_key("k");
  request.mutable_check()->set_limit(1);
  request.mutable_check()->set_algorithm(v1::RATE_LIMIT_ALGORITHM_CALENDAR);
  request.mutable_check()->set_calendar_unit(v1::CALENDAR_UNIT_DAY);
  const auto stub = v1::RateLimiterService::NewStub(server_->NewChannel());
  const auto early = Invoke(*stub, &v1::RateLimiterService::Stub::CheckLimit, request);
  ASSERT_TRUE(early.ok()) << early.status.error_message();
  SetClock(absl::ZeroDuration());
  request.mutable_object()->set_name("newer");
  const auto now = Invoke(*stub, &v1::RateLimiterService::Stub::CheckLimit, request);
  ASSERT_TRUE(now.ok());
  const int64_t apart = early.response.reset_after().seconds() - now.response.reset_after().seconds();
  // The difference is ten hours, or ten hours less a day.
  EXPECT_TRUE(std::abs(apart - 36'000) < 60 || std::abs(apart + 50'400) < 60) << apart;
}

TEST_F(ClockTest, CallsWithDeadlinesAreServedWhenTheClockStepsBack) {
  const auto stub = v1::CounterService::NewStub(server_->NewChannel());
  v1::IncrementRequest request;
  request.mutable_object()->set_name("c");
  request.set_amount(1);
  for (const absl::Duration ahead : {absl::Seconds(-60), absl::Seconds(600), absl::ZeroDuration()}) {
    SetClock(ahead);
    for (int i = 0; i < 50; ++i) {
      const auto reply = Invoke(*stub, &v1::CounterService::Stub::Increment, request, std::chrono::seconds(5));
      ASSERT_TRUE(reply.ok()) << absl::FormatDuration(ahead) << ": " << reply.status.error_message();
    }
  }
}

TEST_F(ClockTest, ABatchIsProcessedAfterItsDelayThoughTheClockWasAhead) {
  const auto stub = v1::BatchProcessorService::NewStub(server_->NewChannel());
  v1::ConfigureBatchRequest configure;
  configure.mutable_object()->set_name("b");
  configure.mutable_config()->mutable_delay()->set_seconds(1);
  ASSERT_TRUE(Invoke(*stub, &v1::BatchProcessorService::Stub::ConfigureBatch, configure).ok());
  SetClock(absl::Seconds(600));
  v1::AddItemsRequest add;
  add.mutable_object()->set_name("b");
  add.add_items("x");
  ASSERT_TRUE(Invoke(*stub, &v1::BatchProcessorService::Stub::AddItems, add).ok());
  const auto began = std::chrono::steady_clock::now();
  SetClock(absl::ZeroDuration());
  v1::GetBatchStatusRequest status;
  status.mutable_object()->set_name("b");
  // The server tells nobody that a batch was processed, so the test asks until it was.
  while (std::chrono::steady_clock::now() - began < std::chrono::seconds(20)) {
    const auto reply = Invoke(*stub, &v1::BatchProcessorService::Stub::GetBatchStatus, status);
    ASSERT_TRUE(reply.ok());
    if (reply.response.pending_count() == 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_GT(took, std::chrono::milliseconds(900));
  EXPECT_LT(took, std::chrono::seconds(6));
}

TEST_F(ClockTest, RetryAfterGoesDownThoughTheClockIsSetBack) {
  const auto stub = v1::RateLimiterService::NewStub(server_->NewChannel());
  v1::CheckLimitRequest request;
  request.mutable_object()->set_name("l");
  request.mutable_check()->set_key("k");
  request.mutable_check()->set_limit(1);
  request.mutable_check()->mutable_window()->set_seconds(2);
  ASSERT_TRUE(Invoke(*stub, &v1::RateLimiterService::Stub::CheckLimit, request).response.allowed());
  SetClock(-absl::Hours(1));
  const auto began = std::chrono::steady_clock::now();
  bool allowed = false;
  // Only the answer to a check shows when the time has come.
  while (!allowed && std::chrono::steady_clock::now() - began < std::chrono::seconds(20)) {
    allowed = Invoke(*stub, &v1::RateLimiterService::Stub::CheckLimit, request).response.allowed();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(allowed);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(6));
}

}  // namespace
}  // namespace holdfast::testing
