#include "client/client.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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
constexpr char kBatchIncrement[] = "/holdfast.v1.CounterService/BatchIncrement";
constexpr char kStreamIncrement[] = "/holdfast.v1.CounterService/StreamIncrement";

class ClientTest : public testing::Test {
 protected:
  ClientOptions Options() const {
    return {.address = server_.address(), .retry = {.retries = 4, .backoff_initial = absl::Milliseconds(1)}};
  }

  // Makes GetValue and Increment fail with `error` for `failures` attempts; later attempts succeed with 7.
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
  const auto response = client.Call(CallKind::kIdempotent, &CounterService::Stub::GetValue, GetValueRequest());
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->value(), 7);
  EXPECT_EQ(calls_, 4);
}

TEST_F(ClientTest, DoesNotRetryWhatARetryCannotHelp) {
  FailFirst(100, Error(grpc::StatusCode::RESOURCE_EXHAUSTED, "too large", "RESPONSE_TOO_LARGE"));
  Client client(Options());
  const auto response = client.Call(CallKind::kIdempotent, &CounterService::Stub::GetValue, GetValueRequest());
  EXPECT_EQ(response.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(calls_, 1);
}

TEST_F(ClientTest, RetriesAreBounded) {
  FailFirst(100, Error(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", "MAILBOX_FULL", RetryAfterMs(1)));
  Client client(Options());
  const auto response = client.Call(CallKind::kIdempotent, &CounterService::Stub::GetValue, GetValueRequest());
  EXPECT_EQ(response.status().message(), "full");
  EXPECT_EQ(calls_, 5);
}

TEST_F(ClientTest, RetriesGoOnUntilTheTimeout) {
  FailFirst(9, Error(grpc::StatusCode::UNAVAILABLE, "draining", "DRAINING", RetryAfterMs(1)));
  ClientOptions options = Options();
  options.retry = {.backoff_initial = absl::Milliseconds(1), .backoff_max = absl::Milliseconds(2)};
  Client client(options);
  const auto response = client.Call(CallKind::kMutation, &CounterService::Stub::Increment, IncrementRequest());
  EXPECT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(calls_, 10);
}

TEST_F(ClientTest, TheTimeoutCoversTheRetries) {
  FailFirst(100, Error(grpc::StatusCode::UNAVAILABLE, "draining", "DRAINING", RetryAfterMs(150)));
  ClientOptions options = Options();
  options.timeout = absl::Milliseconds(400);
  options.retry.retries = 100;
  Client client(options);
  const absl::Time start = absl::Now();
  const auto response = client.Call(CallKind::kIdempotent, &CounterService::Stub::GetValue, GetValueRequest());
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
  const auto response = client.Call(CallKind::kIdempotent, &CounterService::Stub::GetValue, GetValueRequest());
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

// Increment and BatchIncrement answer each attempt with the next of `answers_`, then with 7.
class MutationTest : public ClientTest {
 protected:
  void SetUp() override {
    server_.On<IncrementRequest, IncrementResponse>(kIncrement, [this](const auto& request, auto* response) {
      ids_.push_back(request.request_id());
      response->set_value(7);
      return NextAnswer();
    });
    server_.On<v1::BatchIncrementRequest, v1::BatchIncrementResponse>(
        kBatchIncrement, [this](const auto& request, auto*) {
          for (const IncrementRequest& item : request.increments()) ids_.push_back(item.request_id());
          return NextAnswer();
        });
  }
  grpc::Status NextAnswer() {
    if (answers_.empty()) return grpc::Status::OK;
    const grpc::Status answer = answers_.front();
    answers_.erase(answers_.begin());
    return answer;
  }

  absl::Status Increment(const IncrementRequest& request, const ClientOptions& options) {
    return Client(options).Call(CallKind::kMutation, &CounterService::Stub::Increment, request).status();
  }
  absl::Status Increment() { return Increment({}, Options()); }

  static inline const grpc::Status kConnectionLost = grpc::Status(grpc::StatusCode::UNAVAILABLE, "connection lost");
  static inline const grpc::Status kDraining =
      Error(grpc::StatusCode::UNAVAILABLE, "draining", "DRAINING", RetryAfterMs(1));

  std::vector<grpc::Status> answers_;
  std::vector<std::string> ids_;
};

TEST_F(MutationTest, IsRetriedWithTheSameId) {
  answers_ = {kDraining, kConnectionLost, Error(grpc::StatusCode::UNAVAILABLE, "sync failed", "OUTCOME_UNKNOWN"),
              Error(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", "MAILBOX_FULL", RetryAfterMs(1))};
  EXPECT_TRUE(Increment().ok());
  ASSERT_EQ(ids_.size(), 5u);
  EXPECT_EQ(ids_[0].size(), 32u);
  EXPECT_EQ(ids_[0].find_first_not_of("0123456789abcdef"), std::string::npos) << ids_[0];
  for (const std::string& id : ids_) EXPECT_EQ(id, ids_[0]);
}

TEST_F(MutationTest, EachCallHasAnIdOfItsOwn) {
  EXPECT_TRUE(Increment().ok());
  EXPECT_TRUE(Increment().ok());
  ASSERT_EQ(ids_.size(), 2u);
  EXPECT_NE(ids_[0], ids_[1]);
}

TEST_F(MutationTest, TheCallersIdIsNotChanged) {
  answers_ = {kConnectionLost};
  IncrementRequest request;
  request.set_request_id("mine");
  EXPECT_TRUE(Increment(request, Options()).ok());
  EXPECT_EQ(ids_, (std::vector<std::string>{"mine", "mine"}));
}

TEST_F(MutationTest, TheCallersRequestIsNotChanged) {
  const IncrementRequest request;
  EXPECT_TRUE(Increment(request, Options()).ok());
  EXPECT_EQ(request.request_id(), "");
}

TEST_F(MutationTest, WithoutRetriesItGetsNoId) {
  answers_ = {kDraining};
  ClientOptions options = Options();
  options.retry.retries = 0;
  EXPECT_EQ(Increment({}, options).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ids_, std::vector<std::string>{""});
}

TEST_F(MutationTest, EachItemOfABatchHasAnId) {
  answers_ = {kConnectionLost};
  v1::BatchIncrementRequest request;
  request.add_increments();
  request.add_increments()->set_request_id("mine");
  request.add_increments();
  Client client(Options());
  EXPECT_TRUE(client.Call(CallKind::kMutation, &CounterService::Stub::BatchIncrement, request).ok());
  ASSERT_EQ(ids_.size(), 6u);
  EXPECT_EQ(ids_[0].size(), 32u);
  EXPECT_EQ(ids_[1], "mine");
  EXPECT_EQ(ids_[2].size(), 32u);
  EXPECT_NE(ids_[0], ids_[2]);
  EXPECT_EQ(std::vector(ids_.begin(), ids_.begin() + 3), std::vector(ids_.begin() + 3, ids_.end()));
}

TEST_F(MutationTest, IsNotRetriedWhereThatCannotHelp) {
  for (const grpc::Status& error : {Error(grpc::StatusCode::ABORTED, "etag", "ETAG_MISMATCH"),
                                    Error(grpc::StatusCode::ALREADY_EXISTS, "reused", "REQUEST_ID_REUSED"),
                                    grpc::Status(grpc::StatusCode::INTERNAL, "no ErrorInfo")}) {
    ids_.clear();
    answers_ = {error};
    EXPECT_EQ(static_cast<int>(Increment().code()), error.error_code());
    EXPECT_EQ(ids_.size(), 1u);
  }
}

TEST_F(MutationTest, RetriesAreBounded) {
  answers_.assign(100, kDraining);
  const absl::Status status = Increment();
  EXPECT_EQ(ReasonOf(status), "DRAINING");
  EXPECT_FALSE(OutcomeUnknown(status));
  EXPECT_EQ(ids_.size(), 5u);
}

TEST_F(MutationTest, AnEarlierAttemptThatMayHaveHappenedIsTold) {
  answers_ = {kConnectionLost};
  answers_.resize(100, kDraining);
  EXPECT_TRUE(OutcomeUnknown(Increment()));
  // The server found no record of the first attempt, so that the first attempt had no effect.
  answers_ = {kConnectionLost, Error(grpc::StatusCode::ABORTED, "no", "PRECONDITION_FAILED")};
  EXPECT_EQ(ReasonOf(Increment()), "PRECONDITION_FAILED");
  answers_ = {kConnectionLost, Error(grpc::StatusCode::DEADLINE_EXCEEDED, "late", "DEADLINE_PASSED")};
  EXPECT_TRUE(OutcomeUnknown(Increment()));
  answers_ = {kConnectionLost, grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "another server")};
  EXPECT_TRUE(OutcomeUnknown(Increment()));
}

TEST_F(MutationTest, ALaterErrorSaysNothingOfAnEarlierAttemptUnlessTheServerLookedForItsRecord) {
  answers_ = {kConnectionLost, Error(grpc::StatusCode::DATA_LOSS, "damaged", "DATA_CORRUPT")};
  const absl::Status status = Increment();
  EXPECT_TRUE(OutcomeUnknown(status));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  // The message has both errors.
  EXPECT_NE(status.message().find(kConnectionLost.error_message()), std::string::npos) << status;
  EXPECT_NE(status.message().find("DATA_LOSS: damaged"), std::string::npos) << status;
  answers_ = {kConnectionLost, Error(grpc::StatusCode::FAILED_PRECONDITION, "newer", "SCHEMA_NEWER")};
  EXPECT_TRUE(OutcomeUnknown(Increment()));
  answers_ = {kConnectionLost, Error(grpc::StatusCode::INVALID_ARGUMENT, "too large now", "INVALID_FIELD")};
  EXPECT_TRUE(OutcomeUnknown(Increment()));
  // A first attempt has no earlier attempt whose outcome could be unknown.
  answers_ = {Error(grpc::StatusCode::DATA_LOSS, "damaged", "DATA_CORRUPT")};
  EXPECT_EQ(ReasonOf(Increment()), "DATA_CORRUPT");
}

TEST_F(MutationTest, WhatIsIdempotentByItselfGetsNoId) {
  answers_ = {kDraining};
  Client client(Options());
  EXPECT_TRUE(client.Call(CallKind::kIdempotent, &CounterService::Stub::Increment, IncrementRequest()).ok());
  EXPECT_EQ(ids_, (std::vector<std::string>{"", ""}));
}

TEST_F(MutationTest, ARequestThatHasNoIdIsNotRetried) {
  FailFirst(1, kDraining);
  Client client(Options());
  EXPECT_FALSE(client.Call(CallKind::kMutation, &CounterService::Stub::GetValue, GetValueRequest()).ok());
  EXPECT_EQ(calls_, 1);
}

// Every request of a mutation has an id that the client fills in. A new request without an id would not be retried. The
// id of ImportSql and ImportObject, which are streams, is in their header.
TEST(RequestIdTest, EveryMutationHasOne) {
  const std::set<std::string> without = {"GetValue",       "BatchIncrement", "StreamIncrement", "ListProcessedItems",
                                         "GetBatchStatus", "GetUser",        "ListUsers",       "BatchGetUsers",
                                         "GetEntries",     "ListEntries",    "GetAlarm",        "WatchAlarms",
                                         "ListObjects",    "DescribeObject", "PassivateObject", "ExportSql",
                                         "ImportSql",      "ExportObject",   "ImportObject",    "GetRights"};
  for (const char* file : {"counter", "rate_limiter", "batch_processor", "user_cache", "object"}) {
    const auto* service = google::protobuf::DescriptorPool::generated_pool()
                              ->FindFileByName(absl::StrCat("holdfast/v1/", file, "_service.proto"))
                              ->service(0);
    for (int i = 0; i < service->method_count(); ++i) {
      const auto* method = service->method(i);
      EXPECT_EQ(method->input_type()->FindFieldByName("request_id") == nullptr, without.contains(method->name()))
          << method->full_name();
    }
  }
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
  // Serves sums; fails the stream at the request with this number.
  void Serve(int64_t fail_at = -1) {
    server_.On<v1::StreamIncrementRequest, v1::StreamIncrementResponse>(
        kStreamIncrement, [=, this](const auto& request, auto* response) {
          EXPECT_EQ(request.increment().request_id(), "");
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

class WatchTest : public ClientTest {
 protected:
  // Serves three deliveries, then this status; with OK the stream stays open.
  void Serve(const grpc::Status& status) {
    server_.OnStream<v1::WatchAlarmsRequest, v1::WatchAlarmsResponse>(
        "/holdfast.v1.ObjectService/WatchAlarms",
        [=, this](const v1::WatchAlarmsRequest& request, std::vector<v1::WatchAlarmsResponse>* responses) {
          ++calls_;
          absl::SleepFor(delay_);
          for (const char* token : {"a", "b", "c"}) {
            responses->emplace_back().set_delivery_token(request.name_prefix() + token);
          }
          return status;
        });
  }
  absl::Status Watch(const std::string& until) {
    Client client(options_.value_or(Options()));
    v1::WatchAlarmsRequest request;
    request.set_name_prefix("p");
    return client.WatchAlarms(request, [&](const v1::WatchAlarmsResponse& alarm) {
      tokens_.push_back(alarm.delivery_token());
      return alarm.delivery_token() != until;
    });
  }

  std::optional<ClientOptions> options_;
  absl::Duration delay_;
  std::vector<std::string> tokens_;
};

TEST_F(WatchTest, EndsWhenTheCallerHasSeenEnough) {
  Serve(grpc::Status::OK);
  EXPECT_EQ(Watch("pb"), absl::OkStatus());
  EXPECT_EQ(tokens_, (std::vector<std::string>{"pa", "pb"}));
  const absl::Time end = absl::Now() + absl::Seconds(10);
  while (server_.cancelled() == 0 && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(server_.cancelled(), 1);
}

TEST_F(WatchTest, AnEndByTheServerIsToldAndNotRetried) {
  Serve(Error(grpc::StatusCode::UNAVAILABLE, "draining", "DRAINING", RetryAfterMs(1)));
  EXPECT_EQ(ReasonOf(Watch("never")), "DRAINING");
  EXPECT_EQ(tokens_, (std::vector<std::string>{"pa", "pb", "pc"}));
  EXPECT_EQ(calls_, 1);
}

TEST_F(WatchTest, HasNoTimeout) {
  options_ = Options();
  options_->timeout = absl::Milliseconds(20);
  delay_ = absl::Milliseconds(200);
  Serve(grpc::Status::OK);
  EXPECT_EQ(Watch("pc"), absl::OkStatus());
}

TEST_F(WatchTest, AnUnreachableServerIsAnError) {
  options_ = ClientOptions{.address = "127.0.0.1:1"};
  EXPECT_EQ(Watch("never").code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace holdfast::client
