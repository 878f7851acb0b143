#include "service/call/call_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kMethod[] = "holdfast.v1.CounterService.Increment";

class CallLogTest : public testing::Test {
 protected:
  void SetUp() override { SetLogLevel(LogLevel::kDebug); }
  void TearDown() override { SetLogLevel(LogLevel::kInfo); }

  // Returns the log lines of a call with this outcome after this time.
  std::string Call(const absl::Status& outcome, absl::Duration took = absl::ZeroDuration()) {
    testing::internal::CaptureStderr();
    const absl::Time began = log_.Begin();
    now_ += took;
    log_.Ended(began, kMethod, outcome, [this] {
      ++named_;
      return std::string("default/Counter/visits");
    });
    return testing::internal::GetCapturedStderr();
  }

  absl::Time now_ = absl::UnixEpoch();
  int named_ = 0;
  CallLog log_{absl::Milliseconds(100), [this] { return now_; }};
};

const absl::Status kFull = actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL,
                                             "too many wait", absl::Milliseconds(1));

TEST_F(CallLogTest, ARefusalHasMethodObjectReasonAndTime) {
  EXPECT_THAT(Call(kFull, absl::Microseconds(1500)),
              HasSubstr("level=debug event=call_refused method=holdfast.v1.CounterService.Increment "
                        "object=default/Counter/visits code=RESOURCE_EXHAUSTED reason=MAILBOX_FULL "
                        "message=\"too many wait\" took_ms=1.500\n"));
  EXPECT_THAT(Call(absl::InternalError("no")), HasSubstr("code=INTERNAL reason=\"\" message=no"));
}

TEST_F(CallLogTest, ACallThatTakesLongerThanTheThresholdIsSlow) {
  EXPECT_EQ(Call(absl::OkStatus(), absl::Milliseconds(100)), "");
  EXPECT_EQ(named_, 0);
  EXPECT_THAT(Call(absl::OkStatus(), absl::Milliseconds(101)),
              HasSubstr("event=call_slow method=holdfast.v1.CounterService.Increment object=default/Counter/visits "
                        "code=OK took_ms=101.000\n"));
  const std::string both = Call(kFull, absl::Seconds(1));
  EXPECT_EQ(std::count(both.begin(), both.end(), '\n'), 1) << both;
}

TEST_F(CallLogTest, AtAHigherLevelNothingIsMeasured) {
  SetLogLevel(LogLevel::kInfo);
  EXPECT_EQ(log_.Begin(), CallLog::kNotMeasured);
  EXPECT_EQ(Call(kFull, absl::Seconds(1)), "");
  EXPECT_EQ(named_, 0);
}

TEST_F(CallLogTest, LinesAreBoundedAndThoseLeftOutAreCounted) {
  for (int64_t i = 0; i < CallLog::kLinesPerSecondMax; ++i) EXPECT_NE(Call(kFull), "") << i;
  for (int i = 0; i < 7; ++i) EXPECT_EQ(Call(kFull), "") << i;
  now_ += absl::Milliseconds(999);
  EXPECT_EQ(Call(kFull), "");
  now_ += absl::Milliseconds(1);
  const std::string next = Call(kFull);
  EXPECT_THAT(next, HasSubstr("event=calls_left_out count=8\n"));
  EXPECT_THAT(next, HasSubstr("event=call_refused"));
  EXPECT_THAT(Call(kFull), Not(HasSubstr("calls_left_out")));
}

TEST_F(CallLogTest, AStreamIsRefusedButNeverSlow) {
  testing::internal::CaptureStderr();
  const absl::Time began = log_.Begin();
  now_ += absl::Hours(1);
  log_.StreamEnded(began, "watch", absl::OkStatus());
  log_.StreamEnded(began, "watch", absl::CancelledError("the client is gone"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  log_.StreamEnded(began, "watch", kFull);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("event=call_refused method=watch object=\"\""));
}

TEST_F(CallLogTest, TheLineOfACallWithATraceNamesTheTrace) {
  const CallTrace trace(TraceId{0x0af7651916cd43dd, 0x8448eb211c80319c});
  const auto lines = [&](const absl::Status& outcome) {
    testing::internal::CaptureStderr();
    const absl::Time began = log_.Begin();
    now_ += absl::Seconds(1);
    log_.Ended(
        began, kMethod, outcome, [] { return std::string(); }, &trace);
    log_.StreamEnded(began, "watch", outcome, &trace);
    return testing::internal::GetCapturedStderr();
  };
  const std::string slow = lines(absl::OkStatus());
  EXPECT_THAT(slow, HasSubstr("code=OK took_ms=1000.000 trace=0af7651916cd43dd8448eb211c80319c\n"));
  EXPECT_EQ(std::count(slow.begin(), slow.end(), '\n'), 1);
  const std::string refused = lines(kFull);
  EXPECT_EQ(std::count(refused.begin(), refused.end(), '\n'), 2);
  EXPECT_THAT(refused, HasSubstr("method=watch object=\"\""));
  EXPECT_THAT(refused.substr(refused.find('\n')), HasSubstr("trace=0af7651916cd43dd8448eb211c80319c\n"));
}

}  // namespace
}  // namespace holdfast::service
