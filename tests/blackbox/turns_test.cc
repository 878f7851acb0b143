// Turns, failures and critical sections of objects that follow scripts.

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kFail[] = "fail { code: 10 message: \"on purpose\" }";  // ABORTED

// The health service knows the service that an extension adds like any other.
TEST_P(ScriptedBehaviour, AnExtensionIsHealthy) {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("holdfast.testing.v1.ScriptService");
  const auto reply = Call(&grpc::health::v1::Health::Stub::Check, request);
  ASSERT_TRUE(IsOk(reply));
  EXPECT_EQ(reply->status(), grpc::health::v1::HealthCheckResponse::SERVING);
}

TEST_P(ScriptedBehaviour, AnAbortedObjectDropsWhatItHasNotCommitted) {
  const auto first = Run("o", {"put { key: \"kept\" value: \"1\" }"});
  ASSERT_TRUE(IsOk(first));
  // The turn writes and then takes too long.
  auto stuck = SendRun(
      "o", {"put { key: \"dropped\" value: \"1\" }", "delete: \"kept\"", "note: \"wrote\"", "await_signal: \"never\""});
  Notes("o", "wrote", 1);
  Advance(absl::Seconds(31));
  EXPECT_TRUE(Fails(stuck.get().status, grpc::StatusCode::UNAVAILABLE, "OBJECT_RESET"));
  const auto after = Run("o", {"get: \"kept\"", "get: \"dropped\""});
  ASSERT_TRUE(IsOk(after));
  EXPECT_TRUE(after->results(0).found());
  EXPECT_FALSE(after->results(1).found());
  EXPECT_GT(after->instance(), first->instance());
}

TEST_P(ScriptedBehaviour, TheTurnsBesideOneThatTimesOutAreReset) {
  // Both turns wait before they write. One began a while later, so that the other times out first.
  auto old = SendRun("o", {"note: \"old\"", "await_signal: \"never\""});
  Notes("o", "old", 1);
  Advance(absl::Seconds(20));
  auto young = SendRun("o", {"note: \"young\"", "await_signal: \"never\"", "put { key: \"a\" value: \"1\" }"});
  Notes("o", "young", 1);
  Advance(absl::Seconds(11));
  EXPECT_TRUE(Fails(old.get().status, grpc::StatusCode::UNAVAILABLE, "OBJECT_RESET"));
  EXPECT_TRUE(Fails(young.get().status, grpc::StatusCode::UNAVAILABLE, "OBJECT_RESET"));
  EXPECT_THAT(All("o", "Scripted"), IsEmpty());
}

TEST_P(ScriptedBehaviour, ATurnThatFailsLeavesNothing) {
  ASSERT_TRUE(IsOk(Run("o", {"put { key: \"kept\" value: \"1\" }"})));
  const auto failed = Run("o", {"put { key: \"a\" value: \"1\" }", "put { key: \"kept\" value: \"2\" }",
                                "delete: \"kept\"", "set_alarm { in { seconds: 3600 } }", kFail});
  EXPECT_EQ(failed.status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(failed.status.error_message(), "on purpose");
  EXPECT_THAT(All("o", "Scripted"), ElementsAre(Pair("kept", "1")));
  EXPECT_EQ(AlarmOf("o", "Scripted"), std::nullopt);
  Passivate("o", "Scripted");
  EXPECT_THAT(All("o", "Scripted"), ElementsAre(Pair("kept", "1")));
}

TEST_P(ScriptedBehaviour, ACriticalSectionKeepsOthersOut) {
  SetLoad("o", {"note: \"loads\"", "await_signal: \"go\"", "put { key: \"a\" value: \"loaded\" }",
                "wait { nanos: 1000000 }", "note: \"loaded\""});
  std::vector<std::future<Reply<script::RunResponse>>> sent;
  for (int i = 0; i < 3; ++i) sent.push_back(SendRun("o", {"note: \"runs\"", "get: \"a\""}));
  WaitUntil([&] { return Describe("o", "Scripted").mailbox_depth() == 3; });
  EXPECT_EQ(Describe("o", "Scripted").activation_state(), v1::ACTIVATION_STATE_LOADING);
  EXPECT_THAT(NoteTexts("o"), ElementsAre("loads"));
  Signal("o", "go");
  for (auto& reply : sent) EXPECT_EQ(reply.get()->results(0).value(), "loaded");
  EXPECT_THAT(NoteTexts("o"), ElementsAre("loads", "loaded", "runs", "runs", "runs"));
  EXPECT_EQ(Describe("o", "Scripted").activation_state(), v1::ACTIVATION_STATE_ACTIVE);
}

TEST_P(ScriptedBehaviour, PassivateObjectWaitsForWhatIsUnderWay) {
  Start("actors { idle_timeout_ms: 600000 } storage { column_families_max: 0 }");
  auto busy = SendRun("o", {"put { key: \"a\" value: \"1\" }", "note: \"busy\"", "await_signal: \"go\"", "get: \"a\""});
  Notes("o", "busy", 1);
  auto passivation = Send(&ObjectStub::PassivateObject, For<v1::PassivateObjectRequest>("o", "Scripted"));
  EXPECT_EQ(Describe("o", "Scripted").activation_state(), v1::ACTIVATION_STATE_ACTIVE);
  Signal("o", "go");
  const auto first = busy.get();
  ASSERT_TRUE(IsOk(first));
  EXPECT_EQ(first->results(0).value(), "1");
  EXPECT_TRUE(IsOk(passivation.get()));
  WaitUntil([&] { return Describe("o", "Scripted").activation_state() == v1::ACTIVATION_STATE_INACTIVE; });
  const auto next = Run("o", {"get: \"a\""});
  EXPECT_EQ(next->results(0).value(), "1");
  EXPECT_GT(next->instance(), first->instance());
}

TEST_P(ScriptedBehaviour, PassivateObjectIsNotUndoneByAMoveThatIsUnderWay) {
  // After the first write the server makes a family for the object and moves it there, while all requests of the test
  // run.
  Start("actors { idle_timeout_ms: 600000 }");
  ASSERT_TRUE(IsOk(Run("o", {"put { key: \"a\" value: \"1\" }"})));
  ASSERT_TRUE(IsOk(Call(&ObjectStub::PassivateObject, For<v1::PassivateObjectRequest>("o", "Scripted"))));
  WaitUntil([&] {
    const auto described = Describe("o", "Scripted");
    return described.placement() == v1::PLACEMENT_OWN_COLUMN_FAMILY &&
           described.activation_state() == v1::ACTIVATION_STATE_INACTIVE;
  });
}

TEST_P(ScriptedBehaviour, ARequestWhoseDeadlinePassesInTheQueueIsNotBegun) {
  auto busy = SendRun("o", {"put { key: \"a\" value: \"1\" }", "note: \"busy\"", "await_signal: \"go\""});
  Notes("o", "busy", 1);
  auto late = SendRun("o", {"note: \"late\"", "put { key: \"b\" value: \"1\" }"});
  WaitUntil([&] { return Describe("o", "Scripted").mailbox_depth() == 1; });
  Advance(absl::Seconds(25));
  Signal("o", "go");
  EXPECT_TRUE(IsOk(busy.get()));
  EXPECT_TRUE(Fails(late.get().status, grpc::StatusCode::DEADLINE_EXCEEDED, "DEADLINE_PASSED"));
  EXPECT_THAT(Notes("o", "late"), IsEmpty());
  EXPECT_THAT(All("o", "Scripted"), ElementsAre(Pair("a", "1")));
}

TEST_P(ScriptedBehaviour, OverloadIsToldApartFromFailure) {
  Start("actors { mailbox_requests_max: 2 }");
  auto busy = SendRun("o", {"put { key: \"a\" value: \"1\" }", "note: \"busy\"", "await_signal: \"go\""});
  Notes("o", "busy", 1);
  auto one = SendRun("o", {});
  auto two = SendRun("o", {});
  WaitUntil([&] { return Describe("o", "Scripted").mailbox_depth() == 2; });
  EXPECT_TRUE(Fails(Run("o", {}).status, grpc::StatusCode::RESOURCE_EXHAUSTED, "MAILBOX_FULL"));
  EXPECT_TRUE(IsOk(Run("another", {})));
  Signal("o", "go");
  EXPECT_TRUE(IsOk(busy.get()));
  EXPECT_TRUE(IsOk(one.get()));
  EXPECT_TRUE(IsOk(two.get()));
  // A failure of the handler has the handler's own code, and no RetryInfo.
  EXPECT_EQ(Run("o", {kFail}).status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_FALSE(DetailOf<google::rpc::RetryInfo>(Run("o", {kFail}).status).has_retry_delay());
}

}  // namespace
}  // namespace holdfast::blackbox
