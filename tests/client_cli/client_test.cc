#include "client/client.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/time/clock.h"
#include "client/status.h"
#include "tests/client_cli/fake_server.h"

namespace holdfast::client {
namespace {

using v1::CounterService;
using v1::GetValueRequest;
using v1::GetValueResponse;
using v1::IncrementRequest;
using v1::IncrementResponse;

constexpr char kGetValue[] = "/holdfast.v1.CounterService/GetValue";
constexpr char kIncrement[] = "/holdfast.v1.CounterService/Increment";
constexpr char kStreamIncrement[] = "/holdfast.v1.CounterService/StreamIncrement";

class ClientTest : public testing::Test {
 protected:
  ClientOptions Options() const {
    return {.address = server_.address(), .retry = {.backoff_initial = absl::Milliseconds(1)}};
  }

  // GetValue and Increment fail so often with this, then succeed with 7.
  void FailFirst(int failures, const grpc::Status& error) {
    server_.On<GetValueRequest, GetValueResponse>(kGetValue, [=, this](const auto&, auto* response) {
      response->set_value(7);
      return ++calls_ <= failures ? error : grpc::Status::OK;
    });
    server_.On<IncrementRequest, IncrementResponse>(kIncrement, [=, this](const auto&, auto* response) {
      response->set_value(7);
      return ++calls_ <= failures ? error : grpc::Status::OK;
    });
  }

  int calls_ = 0;
  FakeServer server_;
};

TEST_F(ClientTest, RetriesReads) {
  FailFirst(3, Error(grpc::StatusCode::UNAVAILABLE, "draining", "DRAINING", RetryAfterMs(1)));
  Client client(Options());
  const auto response = client.Call(CallKind::kRead, &CounterService::Stub::GetValue, GetValueRequest());
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->value(), 7);
  EXPECT_EQ(calls_, 4);
}

TEST_F(ClientTest, DoesNotRetryMutations) {
  FailFirst(1, Error(grpc::StatusCode::UNAVAILABLE, "draining", "DRAINING", RetryAfterMs(1)));
  Client client(Options());
  const auto response = client.Call(CallKind::kMutation, &CounterService::Stub::Increment, IncrementRequest());
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(calls_, 1);
}

TEST_F(ClientTest, DoesNotRetryWhatARetryCannotHelp) {
  FailFirst(100, Error(grpc::StatusCode::RESOURCE_EXHAUSTED, "too large", "RESPONSE_TOO_LARGE"));
  Client client(Options());
  const auto response = client.Call(CallKind::kRead, &CounterService::Stub::GetValue, GetValueRequest());
  EXPECT_EQ(response.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(calls_, 1);
}

TEST_F(ClientTest, RetriesAreBounded) {
  FailFirst(100, Error(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", "MAILBOX_FULL", RetryAfterMs(1)));
  Client client(Options());
  const auto response = client.Call(CallKind::kRead, &CounterService::Stub::GetValue, GetValueRequest());
  EXPECT_EQ(response.status().message(), "full");
  EXPECT_EQ(calls_, 5);
}

TEST_F(ClientTest, TheTimeoutCoversTheRetries) {
  FailFirst(100, Error(grpc::StatusCode::UNAVAILABLE, "draining", "DRAINING", RetryAfterMs(150)));
  ClientOptions options = Options();
  options.timeout = absl::Milliseconds(400);
  options.retry.retries = 100;
  Client client(options);
  const absl::Time start = absl::Now();
  const auto response = client.Call(CallKind::kRead, &CounterService::Stub::GetValue, GetValueRequest());
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
  EXPECT_LE(calls_, 3);
}

TEST_F(ClientTest, AServerThatDoesNotAnswerIsDeadlineExceeded) {
  server_.On<GetValueRequest, GetValueResponse>(kGetValue, [](const auto&, auto*) {
    absl::SleepFor(absl::Milliseconds(300));
    return grpc::Status::OK;
  });
  ClientOptions options = Options();
  options.timeout = absl::Milliseconds(50);
  Client client(options);
  const auto response = client.Call(CallKind::kRead, &CounterService::Stub::GetValue, GetValueRequest());
  EXPECT_EQ(response.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(OutcomeUnknown(response.status()));
}

TEST_F(ClientTest, ErrorsCarryTheirDetails) {
  google::rpc::BadRequest bad;
  bad.add_field_violations()->set_field("object.name");
  FailFirst(1, Error(grpc::StatusCode::INVALID_ARGUMENT, "name is empty", "INVALID_FIELD", bad));
  Client client(Options());
  const absl::Status status =
      client.Call(CallKind::kMutation, &CounterService::Stub::Increment, IncrementRequest()).status();
  EXPECT_EQ(status.message(), "name is empty");
  EXPECT_EQ(ReasonOf(status), "INVALID_FIELD");
  ASSERT_TRUE(DetailOf<google::rpc::BadRequest>(status).has_value());
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(status)->field_violations(0).field(), "object.name");
  EXPECT_FALSE(RetryDelayOf(status).has_value());
  EXPECT_FALSE(OutcomeUnknown(status));
}

TEST(StatusTest, WhetherItMayHaveHappened) {
  const auto of = [](grpc::StatusCode code, const std::string& reason) {
    return OutcomeUnknown(FromGrpcStatus(Error(code, "", reason)));
  };
  EXPECT_TRUE(of(grpc::StatusCode::UNAVAILABLE, "OUTCOME_UNKNOWN"));
  EXPECT_FALSE(of(grpc::StatusCode::UNAVAILABLE, "DRAINING"));
  EXPECT_FALSE(of(grpc::StatusCode::DEADLINE_EXCEEDED, "DEADLINE_PASSED"));
  EXPECT_TRUE(OutcomeUnknown(absl::UnavailableError("connection reset")));
  EXPECT_TRUE(OutcomeUnknown(absl::DeadlineExceededError("")));
  EXPECT_FALSE(OutcomeUnknown(absl::UnimplementedError("")));
  EXPECT_FALSE(OutcomeUnknown(absl::OkStatus()));
}

TEST(StatusTest, GarbledDetailsAreLeftOut) {
  const absl::Status status = FromGrpcStatus(grpc::Status(grpc::StatusCode::ABORTED, "aborted", "\xff\xff garbage"));
  EXPECT_EQ(status, absl::AbortedError("aborted"));
}

class StreamTest : public ClientTest {
 protected:
  // Adds up; fails the stream at the request with this number.
  void Serve(int64_t fail_at = -1) {
    server_.On<v1::StreamIncrementRequest, v1::StreamIncrementResponse>(
        kStreamIncrement, [=, this](const auto& request, auto* response) {
          if (calls_++ == fail_at) return Error(grpc::StatusCode::UNAVAILABLE, "reset", "OBJECT_RESET");
          total_ += request.increment().amount();
          if (request.increment().amount() == 0) {
            response->mutable_result()->mutable_error()->set_code(grpc::StatusCode::OUT_OF_RANGE);
          } else {
            response->mutable_result()->mutable_response()->set_value(total_);
          }
          return grpc::Status::OK;
        });
  }

  absl::Status Stream(const std::vector<int64_t>& amounts, size_t stop_after = SIZE_MAX) {
    size_t next = 0;
    Client client(Options());
    return client.StreamIncrement(
        [&](IncrementRequest* request) {
          EXPECT_FALSE(request->has_amount());
          if (next == amounts.size()) return false;
          request->set_amount(amounts[next++]);
          return true;
        },
        [&](const v1::IncrementResult& result) {
          results_.push_back(result.has_error() ? -result.error().code() : result.response().value());
          return results_.size() < stop_after;
        });
  }

  int64_t total_ = 0;
  std::vector<int64_t> results_;
};

TEST_F(StreamTest, ResultsInOrderAndAnItemsErrorEndsNothing) {
  Serve();
  EXPECT_TRUE(Stream({1, 2, 0, 3}).ok());
  EXPECT_EQ(results_, (std::vector<int64_t>{1, 3, -11, 6}));
}

TEST_F(StreamTest, Empty) {
  Serve();
  EXPECT_TRUE(Stream({}).ok());
  EXPECT_TRUE(results_.empty());
}

TEST_F(StreamTest, Many) {
  Serve();
  EXPECT_TRUE(Stream(std::vector<int64_t>(5000, 1)).ok());
  ASSERT_EQ(results_.size(), 5000u);
  EXPECT_EQ(results_.back(), 5000);
}

TEST_F(StreamTest, AFailureOfTheStreamIsTold) {
  Serve(/*fail_at=*/2);
  const absl::Status status = Stream(std::vector<int64_t>(5000, 1));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), "OBJECT_RESET");
  EXPECT_EQ(results_, (std::vector<int64_t>{1, 2}));
}

TEST_F(StreamTest, TheCallerCanCancel) {
  Serve();
  EXPECT_EQ(Stream(std::vector<int64_t>(5000, 1), /*stop_after=*/3).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(results_, (std::vector<int64_t>{1, 2, 3}));
}

}  // namespace
}  // namespace holdfast::client
