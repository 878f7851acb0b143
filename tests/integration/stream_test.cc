// StreamIncrement, and many clients at once.

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

class StreamTest : public ::testing::Test {
 protected:
  explicit StreamTest(const std::string& config = "") : server_(directory_.path() + "/data", config) {}

  TemporaryDirectory directory_;
  ServerProcess server_;
};

TEST_F(StreamTest, ResultsComeInRequestOrderAndErrorsDoNotEndTheStream) {
  constexpr int kItems = 5000;  // far more than may be under way at once
  auto stub = v1::CounterService::NewStub(server_.NewChannel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  auto stream = stub->StreamIncrement(&context);
  std::thread writer([&] {
    for (int i = 0; i < kItems; ++i) {
      v1::StreamIncrementRequest request;
      request.mutable_increment()->mutable_object()->set_name(i % 10 == 9 ? "" : absl::StrCat("c", i % 7));
      request.mutable_increment()->set_amount(i);
      if (!stream->Write(request)) break;
    }
    stream->WritesDone();
  });
  std::map<std::string, int64_t> model;
  v1::StreamIncrementResponse response;
  int i = 0;
  for (; stream->Read(&response); ++i) {
    if (i % 10 == 9) {
      EXPECT_EQ(response.result().error().code(), grpc::StatusCode::INVALID_ARGUMENT) << i;
    } else {
      EXPECT_EQ(response.result().response().value(), model[absl::StrCat("c", i % 7)] += i) << i;
    }
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(i, kItems);
}

TEST_F(StreamTest, AClientThatGoesAwayLeavesTheServerWell) {
  for (int round = 0; round < 20; ++round) {
    auto stub = v1::CounterService::NewStub(server_.NewChannel());
    grpc::ClientContext context;
    auto stream = stub->StreamIncrement(&context);
    for (int i = 0; i < 300; ++i) {
      v1::StreamIncrementRequest request;
      request.mutable_increment()->mutable_object()->set_name("x");
      stream->Write(request);
    }
    v1::StreamIncrementResponse response;
    if (round % 2 == 0) stream->Read(&response);
    context.TryCancel();
    (void)stream->Finish();
  }
  auto stub = v1::CounterService::NewStub(server_.NewChannel());
  v1::GetValueRequest get;
  get.mutable_object()->set_name("x");
  EXPECT_TRUE(Invoke(*stub, &v1::CounterService::Stub::GetValue, get).ok());
}

// Concurrent increments and unique numbers, also with several executors.
class ConcurrencyTest : public StreamTest, public ::testing::WithParamInterface<int> {
 protected:
  ConcurrencyTest() : StreamTest(absl::StrCat("actors { executors: ", GetParam(), " idle_timeout_ms: 50 }")) {}
};

TEST_P(ConcurrencyTest, NothingIsLostOrDoubled) {
  constexpr int kThreads = 8;
  constexpr int kCalls = 300;
  std::vector<std::vector<int64_t>> numbers(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      auto stub = v1::CounterService::NewStub(server_.NewChannel());
      for (int i = 0; i < kCalls; ++i) {
        v1::IncrementRequest increment;
        increment.mutable_object()->set_name(absl::StrCat("shared", i % 5));
        ASSERT_TRUE(Invoke(*stub, &v1::CounterService::Stub::Increment, increment).ok());
        v1::GetUniqueNumberRequest unique;
        unique.mutable_object()->set_name("ids");
        numbers[t].push_back(Invoke(*stub, &v1::CounterService::Stub::GetUniqueNumber, unique)->number());
        v1::BatchIncrementRequest batch;
        for (int j = 0; j < 5; ++j) {
          batch.add_increments()->mutable_object()->set_name(absl::StrCat("batched", j));
        }
        ASSERT_TRUE(Invoke(*stub, &v1::CounterService::Stub::BatchIncrement, batch).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  auto stub = v1::CounterService::NewStub(server_.NewChannel());
  for (int i = 0; i < 5; ++i) {
    v1::GetValueRequest get;
    get.mutable_object()->set_name(absl::StrCat("shared", i));
    EXPECT_EQ(Invoke(*stub, &v1::CounterService::Stub::GetValue, get)->value(), kThreads * kCalls / 5);
    get.mutable_object()->set_name(absl::StrCat("batched", i));
    EXPECT_EQ(Invoke(*stub, &v1::CounterService::Stub::GetValue, get)->value(), kThreads * kCalls);
  }
  std::set<int64_t> all;
  for (const auto& list : numbers) all.insert(list.begin(), list.end());
  EXPECT_EQ(all.size(), static_cast<size_t>(kThreads * kCalls));
  EXPECT_EQ(*all.begin(), 0);
  EXPECT_EQ(*all.rbegin(), kThreads * kCalls - 1);
}

TEST_P(ConcurrencyTest, StreamsAnswerInRequestOrder) {
  constexpr int kStreams = 4;
  constexpr int kItems = 2000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kStreams; ++t) {
    threads.emplace_back([&, t] {
      auto stub = v1::CounterService::NewStub(server_.NewChannel());
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
      auto stream = stub->StreamIncrement(&context);
      std::thread writer([&] {
        for (int i = 0; i < kItems; ++i) {
          v1::StreamIncrementRequest request;
          request.mutable_increment()->mutable_object()->set_name(absl::StrCat("stream", t, "-", i % 20));
          if (!stream->Write(request)) break;
        }
        stream->WritesDone();
      });
      v1::StreamIncrementResponse response;
      int answered = 0;
      for (; stream->Read(&response); ++answered) {
        EXPECT_EQ(response.result().response().value(), answered / 20 + 1) << answered;
      }
      writer.join();
      EXPECT_TRUE(stream->Finish().ok());
      EXPECT_EQ(answered, kItems);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(ConcurrencyTest, ABatchAnswersInRequestOrder) {
  auto stub = v1::CounterService::NewStub(server_.NewChannel());
  // The names make the second batch one that is too large to be parsed on an executor.
  for (const std::string& prefix : {std::string("short"), std::string(300, 'x')}) {
    v1::BatchIncrementRequest request;
    for (int i = 0; i < 1000; ++i) {
      v1::IncrementRequest* const item = request.add_increments();
      if (i % 10 == 9) continue;  // names no object
      item->mutable_object()->set_name(absl::StrCat(prefix, i % 100));
      // The third and the fourth item of each counter have the same request_id.
      if (i / 100 == 2 || i / 100 == 3) item->set_request_id(absl::StrCat("id", i % 100));
    }
    const auto reply = Invoke(*stub, &v1::CounterService::Stub::BatchIncrement, request);
    ASSERT_TRUE(reply.ok()) << reply.status.error_message();
    ASSERT_EQ(reply->results_size(), 1000);
    for (int i = 0; i < 1000; ++i) {
      if (i % 10 == 9) {
        EXPECT_EQ(reply->results(i).error().code(), grpc::StatusCode::INVALID_ARGUMENT) << i;
      } else {
        const int round = i / 100;
        EXPECT_EQ(reply->results(i).response().value(), round < 3 ? round + 1 : round) << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Executors, ConcurrencyTest, ::testing::Values(1, 3));

}  // namespace
}  // namespace holdfast::testing
