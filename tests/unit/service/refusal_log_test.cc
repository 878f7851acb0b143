// A line for each kind of refusal, at most once a second.

#include "service/call/refusal_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "actors/wire/errors.h"
#include "tests/simulation/node.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;

std::string Logged(const std::function<void()>& log) {
  ::testing::internal::CaptureStderr();
  log();
  return ::testing::internal::GetCapturedStderr();
}

TEST(RefusalLogTest, EachReasonHasALineASecondWithItsCount) {
  simulation::VirtualClock clock;
  RefusalLog log(&clock);
  const absl::Status full = actors::Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL, "full");
  const absl::Status denied = actors::PermissionDenied("web", "READ", "a", "");
  EXPECT_THAT(Logged([&] { log.RequestRefused("Counter", full); }),
              HasSubstr("level=warning event=refused reason=MAILBOX_FULL count=1 of=Counter\n"));
  EXPECT_THAT(Logged([&] { log.CallRefused("A.B", denied); }), HasSubstr("reason=PERMISSION_DENIED count=1 of=A.B\n"));
  EXPECT_EQ(Logged([&] {
              for (int i = 0; i < 1000; ++i) log.RequestRefused("Counter", full);
            }),
            "");
  clock.Advance(absl::Seconds(1));
  EXPECT_THAT(Logged([&] { log.RequestRefused("Counter", full); }), HasSubstr("count=1001"));
  // An error without a reason is one of its own.
  EXPECT_THAT(Logged([&] { log.RequestRefused("Counter", absl::CancelledError("x")); }),
              HasSubstr("reason=UNSPECIFIED"));
}

}  // namespace
}  // namespace holdfast::service
