// Request ids: a request that is sent again is done once and gets the same answer.

#include <thread>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;
using CounterStub = v1::CounterService::Stub;

constexpr char kFail[] = "fail { code: 10 message: \"on purpose\" }";

class RequestIds : public ScriptedBehaviour {
 protected:
  // Returns a turn that counts itself; its reply has the count and the instance.
  script::RunRequest CountingRun(const std::string& id) {
    auto request = RunRequest("o", {"increment: \"n\""});
    request.set_request_id(id);
    return request;
  }
  std::string Serialized(const Reply<script::RunResponse>& reply) {
    EXPECT_TRUE(IsOk(reply));
    return reply->SerializeAsString();
  }
  std::string Count() { return Run("o", {"get: \"n\""})->results(0).value(); }
  ::testing::AssertionResult IsReused(const grpc::Status& status) {
    return Fails(status, grpc::StatusCode::ALREADY_EXISTS, "REQUEST_ID_REUSED");
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, RequestIds, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(RequestIds, ARepeatedRequestIsDoneOnceAndAnsweredTheSame) {
  const std::string first = Serialized(Call(&ScriptStub::Run, CountingRun("1")));
  EXPECT_EQ(Serialized(Call(&ScriptStub::Run, CountingRun("1"))), first);
  EXPECT_NE(Serialized(Call(&ScriptStub::Run, CountingRun("2"))), first);
  EXPECT_EQ(Serialized(Call(&ScriptStub::Run, CountingRun("1"))), first);
  EXPECT_EQ(Count(), "2");
}

TEST_P(RequestIds, TheReplyOutlivesPassivation) {
  const std::string first = Serialized(Call(&ScriptStub::Run, CountingRun("1")));
  Passivate("o", "Scripted");
  EXPECT_EQ(Serialized(Call(&ScriptStub::Run, CountingRun("1"))), first);
  EXPECT_EQ(Count(), "1");
}

TEST_P(RequestIds, TheReplyOutlivesAReset) {
  const std::string first = Serialized(Call(&ScriptStub::Run, CountingRun("1")));
  EXPECT_FALSE(Run("o", {"put { key: \"a\" value: \"1\" }", kFail}).ok());
  EXPECT_EQ(Serialized(Call(&ScriptStub::Run, CountingRun("1"))), first);
  EXPECT_EQ(Count(), "1");
}

TEST_P(RequestIds, TheReplyOutlivesDeleteAll) {
  const std::string first = Serialized(Call(&ScriptStub::Run, CountingRun("1")));
  auto deletion = For<v1::DeleteAllRequest>("o", "Scripted");
  deletion.set_request_id("delete");
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, deletion)));
  EXPECT_EQ(Serialized(Call(&ScriptStub::Run, CountingRun("1"))), first);
  EXPECT_EQ(Count(), "");
  ASSERT_TRUE(IsOk(Call(&ScriptStub::Run, CountingRun("2"))));
  // The deletion is not done a second time.
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, deletion)));
  EXPECT_EQ(Count(), "1");
}

TEST_P(RequestIds, AReplyIsKeptForTenMinutes) {
  const std::string first = Serialized(Call(&ScriptStub::Run, CountingRun("1")));
  Advance(absl::Minutes(9) + absl::Seconds(50));
  EXPECT_EQ(Serialized(Call(&ScriptStub::Run, CountingRun("1"))), first);
  EXPECT_EQ(Count(), "1");
}

TEST_P(RequestIds, AtTheBoundNewIdsAreRefusedAndNoneIsForgotten) {
  Start("storage { request_record_bytes_max: 1024 }");
  int64_t kept = 0;
  while (kept < 20 && Call(&ScriptStub::Run, CountingRun(absl::StrCat(kept + 1))).ok()) ++kept;
  ASSERT_GT(kept, 2);
  ASSERT_LT(kept, 10);
  EXPECT_TRUE(Fails(Call(&ScriptStub::Run, CountingRun("new")).status, grpc::StatusCode::RESOURCE_EXHAUSTED,
                    "SERVER_OVERLOADED"));
  EXPECT_EQ(Count(), absl::StrCat(kept));
  EXPECT_EQ(Call(&ScriptStub::Run, CountingRun("1"))->results(0).number(), 1);
  EXPECT_TRUE(IsOk(Run("o", {"increment: \"n\""})));
  // Expired records leave room for new ones.
  Advance(absl::Minutes(11));
  WaitUntil([&] { return Call(&ScriptStub::Run, CountingRun("new")).ok(); });
  EXPECT_EQ(Count(), absl::StrCat(kept + 2));
  EXPECT_EQ(Call(&ScriptStub::Run, CountingRun("new"))->results(0).number(), kept + 2);
}

TEST_P(RequestIds, TheSameIdWithAnotherRequestIsRefused) {
  ASSERT_TRUE(IsOk(Call(&ScriptStub::Run, CountingRun("1"))));
  auto other = RunRequest("o", {"increment: \"m\""});
  other.set_request_id("1");
  EXPECT_TRUE(IsReused(Call(&ScriptStub::Run, other).status));
  // The id is also taken for another method.
  auto deletion = For<v1::DeleteAllRequest>("o", "Scripted");
  deletion.set_request_id("1");
  EXPECT_TRUE(IsReused(Call(&ObjectStub::DeleteAll, deletion).status));
  EXPECT_EQ(Count(), "1");
  // The same id on another object is another id.
  other.mutable_object()->set_name("p");
  EXPECT_TRUE(IsOk(Call(&ScriptStub::Run, other)));
  auto put = PutRequest("o", {{"a", "1"}});
  put.set_request_id("1");
  EXPECT_TRUE(IsOk(Call(&ObjectStub::PutEntries, put)));
}

TEST_P(RequestIds, ARequestThatIsUnderWayIsWaitedFor) {
  auto request = RunRequest("o", {"note: \"runs\"", "await_signal: \"go\"", "increment: \"n\""});
  request.set_request_id("1");
  auto first = Send(&ScriptStub::Run, request);
  Notes("o", "runs", 1);
  std::vector<std::future<Reply<script::RunResponse>>> again;
  for (int i = 0; i < 4; ++i) again.push_back(Send(&ScriptStub::Run, request));
  // The handler has not written, so that other requests run; the repeated requests wait all the same.
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(IsOk(Run("o", {})));
  for (auto& reply : again) EXPECT_EQ(reply.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  Signal("o", "go");
  const std::string reply = Serialized(first.get());
  for (auto& repeated : again) EXPECT_EQ(Serialized(repeated.get()), reply);
  EXPECT_EQ(Count(), "1");
  EXPECT_THAT(Notes("o", "runs"), SizeIs(1));
}

TEST_P(RequestIds, AClientThatGaveUpAndSendsAgainGetsTheReply) {
  auto request = RunRequest("o", {"increment: \"n\"", "note: \"runs\"", "await_signal: \"go\""});
  request.set_request_id("1");
  grpc::ClientContext context;
  std::thread impatient([&] {
    ScriptStub stub(channel_);
    script::RunResponse response;
    EXPECT_EQ(stub.Run(&context, request, &response).error_code(), grpc::StatusCode::CANCELLED);
  });
  Notes("o", "runs", 1);
  context.TryCancel();
  impatient.join();
  auto again = Send(&ScriptStub::Run, request);
  Signal("o", "go");
  EXPECT_EQ(again.get()->results(0).number(), 1);
  EXPECT_EQ(Count(), "1");
}

TEST_P(RequestIds, AnotherRequestWithAnIdThatIsUnderWayIsRefused) {
  auto request = RunRequest("o", {"note: \"runs\"", "await_signal: \"go\"", "increment: \"n\""});
  request.set_request_id("1");
  auto first = Send(&ScriptStub::Run, request);
  Notes("o", "runs", 1);
  auto other = Send(&ScriptStub::Run, CountingRun("1"));
  Signal("o", "go");
  EXPECT_TRUE(IsOk(first.get()));
  EXPECT_TRUE(IsReused(other.get().status));
  EXPECT_EQ(Count(), "1");
}

TEST_P(RequestIds, OneThatWaitsForAFailureIsTheFirstAgain) {
  auto request = RunRequest("o", {"note: \"runs\"", "await_signal: \"go\"", "increment: \"n\"", kFail});
  request.set_request_id("1");
  auto first = Send(&ScriptStub::Run, request);
  Notes("o", "runs", 1);
  auto again = Send(&ScriptStub::Run, request);
  Signal("o", "go");
  EXPECT_EQ(first.get().status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_FALSE(again.get().ok());
  EXPECT_EQ(Count(), "");
}

TEST_P(RequestIds, AnErrorLeavesNoRecord) {
  auto request = RunRequest("o", {"increment: \"n\"", kFail});
  request.set_request_id("1");
  EXPECT_EQ(Call(&ScriptStub::Run, request).status.error_code(), grpc::StatusCode::ABORTED);
  // After the record has expired, a request with the same id counts as new.
  EXPECT_EQ(Call(&ScriptStub::Run, CountingRun("1"))->results(0).number(), 1);
  EXPECT_EQ(Call(&ScriptStub::Run, CountingRun("1"))->results(0).number(), 1);
}

TEST_P(RequestIds, AReplyOver64KiBIsRefusedAndNothingIsDone) {
  const std::string large(70'000, 'v');
  ASSERT_TRUE(IsOk(Run("o", {"put { key: \"large\" value: \"" + large + "\" }"})));
  auto request = RunRequest("o", {"increment: \"n\"", "get: \"large\""});
  request.set_request_id("1");
  EXPECT_TRUE(
      Fails(Call(&ScriptStub::Run, request).status, grpc::StatusCode::RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE"));
  EXPECT_EQ(Count(), "");
  request.clear_request_id();
  EXPECT_TRUE(IsOk(Call(&ScriptStub::Run, request)));
  EXPECT_EQ(Count(), "1");
}

TEST_P(RequestIds, AnIdHasUpTo128Bytes) {
  EXPECT_TRUE(IsInvalid(Call(&ScriptStub::Run, CountingRun(std::string(129, 'i'))).status, "request_id"));
  const std::string first = Serialized(Call(&ScriptStub::Run, CountingRun(std::string(128, 'i'))));
  EXPECT_EQ(Serialized(Call(&ScriptStub::Run, CountingRun(std::string(128, 'i')))), first);
  EXPECT_EQ(Count(), "1");
}

TEST_P(RequestIds, AReadOnlyTurnIsAnsweredTheSame) {
  auto request = RunRequest("o", {"get: \"n\""});
  request.set_request_id("1");
  const std::string first = Serialized(Call(&ScriptStub::Run, request));
  ASSERT_TRUE(IsOk(Run("o", {"increment: \"n\""})));
  EXPECT_EQ(Serialized(Call(&ScriptStub::Run, request)), first);
}

TEST_P(RequestIds, ManyAtOnceAreOne) {
  auto request = For<v1::IncrementRequest>("n");
  request.set_request_id("1");
  std::vector<std::future<Reply<v1::IncrementResponse>>> sent;
  for (int i = 0; i < 16; ++i) sent.push_back(Send(&CounterStub::Increment, request));
  for (auto& reply : sent) EXPECT_EQ(reply.get()->value(), 1);
  EXPECT_EQ(Call(&CounterStub::GetValue, For<v1::GetValueRequest>("n"))->value(), 1);
}

TEST_P(RequestIds, DeniedAndPeekedLimitsLeaveNoRecord) {
  auto request = For<v1::CheckLimitRequest>("limits");
  request.mutable_check()->set_key("alice");
  request.mutable_check()->set_limit(1);
  request.mutable_check()->mutable_window()->set_seconds(60);
  const auto check = [&](const std::string& id, bool peek) {
    request.set_request_id(id);
    request.set_peek(peek);
    const auto reply = Call(&v1::RateLimiterService::Stub::CheckLimit, request);
    EXPECT_TRUE(IsOk(reply));
    return reply->allowed();
  };
  EXPECT_TRUE(check("peek", true));
  EXPECT_TRUE(check("peek", false));  // a first request, which takes the only permit
  EXPECT_TRUE(check("peek", false));  // a repeat of that request
  EXPECT_FALSE(check("denied", false));
  Advance(absl::Seconds(61));
  EXPECT_TRUE(check("denied", false));  // a first request again, as a denial left no record
  EXPECT_FALSE(check("another", false));
}

}  // namespace
}  // namespace holdfast::blackbox
