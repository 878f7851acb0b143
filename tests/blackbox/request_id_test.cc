// Request ids: the bounds of records, clients that give up or send at once, and calls that leave no record.

#include <thread>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using CounterStub = v1::CounterService::Stub;

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
};

INSTANTIATE_TEST_SUITE_P(Stores, RequestIds, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

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
