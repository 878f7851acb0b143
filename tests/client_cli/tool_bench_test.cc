// `holdfast bench` against a server whose answers the test chooses: its report, its objects, and its errors. Most loads
// here are for an hour, and are ended by the signal of Ctrl-C after a number of calls, so no pace matters.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "client/workloads.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class BenchTest : public ToolTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    server_.On<v1::IncrementRequest, v1::IncrementResponse>(
        "/holdfast.v1.CounterService/Increment", [this](const v1::IncrementRequest& request, v1::IncrementResponse*) {
          EXPECT_EQ(request.request_id(), "");
          made_.insert(request.object().name());
          const bool fails = fail_after_ >= 0 && increments_ >= fail_after_;
          if (++increments_ == interrupt_after_) kill(getpid(), SIGINT);
          return fails ? Error(grpc::StatusCode::UNAVAILABLE, "busy", "SERVER_OVERLOADED", RetryAfterMs(1))
                       : grpc::Status::OK;
        });
    server_.On<v1::CleanupRequest, v1::CleanupResponse>(
        "/holdfast.v1.ObjectService/Cleanup", [this](const v1::CleanupRequest& request, v1::CleanupResponse*) {
          EXPECT_EQ(request.object().object_class(), "Counter");
          EXPECT_EQ(request.object().namespace_(), "n");
          removed_.insert(request.object().name());
          return refuse_removal_ ? Error(grpc::StatusCode::PERMISSION_DENIED, "no", "PERMISSION_DENIED")
                                 : grpc::Status::OK;
        });
  }

  std::set<std::string> made_, removed_;
  int64_t increments_ = 0, fail_after_ = -1, interrupt_after_ = -1;
  bool refuse_removal_ = false;
};

TEST_F(BenchTest, ALoadIsReportedAndItsObjectsAreRemoved) {
  interrupt_after_ = 20;
  const Result result =
      Tool({"bench", "--duration", "1h", "--objects", "3", "--concurrency", "2", "--namespace", "n"}, "", true);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("workload  increment: increments of counters\n"
                                     "load      2 callers on 3 objects, as many calls as they can make\n"
                                     "time      0."));
  EXPECT_THAT(result.out, HasSubstr(", interrupted\n"));
  EXPECT_THAT(result.out, HasSubstr("\nlatency   mean "));
  EXPECT_THAT(result.out, HasSubstr("UP TO  CALLS"));
  EXPECT_THAT(result.out, HasSubstr("#\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("failures")));
  for (const absl::string_view line : absl::StrSplit(result.out, '\n')) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_EQ(made_.size(), 3u);
  EXPECT_EQ(removed_, made_);
  for (const std::string& name : made_) EXPECT_THAT(name, StartsWith("bench-"));
  // The progress is shown at the terminal, and taken away.
  EXPECT_THAT(result.err, HasSubstr("\rremoves 3 objects\x1b[K"));
  EXPECT_THAT(result.err, ::testing::EndsWith("\r\x1b[K"));
}

TEST_F(BenchTest, JsonHasTheSameNumbers) {
  const Result result =
      Tool({"bench", "increment", "--duration", "200ms", "--rate", "100", "--json", "--namespace", "n"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const nlohmann::json report = nlohmann::json::parse(result.out);
  EXPECT_EQ(report["workload"], "increment");
  EXPECT_EQ(report["concurrency"], 16);
  EXPECT_EQ(report["rate"], 100);
  EXPECT_EQ(report["failures"], "0");
  EXPECT_EQ(report["objects_left"], 0);
  EXPECT_EQ(report["interrupted"], false);
  // 20 calls are due in 200 ms; one more was made before the load.
  const int64_t calls = std::stoll(report["calls"].get<std::string>());
  const int64_t not_begun = std::stoll(report["not_begun"].get<std::string>());
  EXPECT_EQ(calls + not_begun, 20);
  EXPECT_EQ(increments_, calls + 1);
  int64_t in_histogram = 0;
  double before = 0;
  for (const auto& bucket : report["histogram"]) {
    in_histogram += std::stoll(bucket["calls"].get<std::string>());
    EXPECT_GT(bucket["up_to_ms"].get<double>(), before);
    before = bucket["up_to_ms"].get<double>();
  }
  EXPECT_EQ(in_histogram, 20);
  EXPECT_LE(report["latency"]["p50_ms"].get<double>(), report["latency"]["max_ms"].get<double>());
  EXPECT_GE(before * (1 + 1e-9), report["latency"]["max_ms"].get<double>());
}

TEST_F(BenchTest, FailuresAreCountedAndNotTriedAgain) {
  fail_after_ = 3;
  interrupt_after_ = 6;
  const Result result = Tool({"bench", "--duration", "1h", "--concurrency", "1", "--namespace", "n", "--json"});
  EXPECT_EQ(result.status, 1);
  const nlohmann::json report = nlohmann::json::parse(result.out);
  EXPECT_EQ(report["calls"], "2");
  EXPECT_EQ(report["failures"], "3");
  EXPECT_EQ(report["interrupted"], true);
  ASSERT_EQ(report["errors"].size(), 1u);
  EXPECT_EQ(report["errors"][0]["error"], "SERVER_OVERLOADED");
  EXPECT_EQ(report["errors"][0]["calls"], report["failures"]);
  EXPECT_EQ(removed_, made_);

  increments_ = 0;
  const Result text = Tool({"bench", "--duration", "1h", "--concurrency", "1", "--namespace", "n"});
  EXPECT_THAT(text.out, HasSubstr("FAILED  ERROR\n"));
  EXPECT_THAT(text.err, HasSubstr("the first error: UNAVAILABLE: busy (SERVER_OVERLOADED)\n"));
}

TEST_F(BenchTest, AServerThatRefusesTheFirstCallGetsNoLoad) {
  fail_after_ = 0;
  const Result result = Tool({"bench", "--duration", "1h", "--namespace", "n"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("UNAVAILABLE: busy (SERVER_OVERLOADED)"));
  EXPECT_EQ(increments_, 1);
}

TEST_F(BenchTest, ObjectsThatAreLeftAreNamed) {
  refuse_removal_ = true;
  Result result = Tool({"bench", "--duration", "100ms", "--objects", "1", "--namespace", "n"});
  EXPECT_EQ(result.status, 0);
  const std::string prefix = made_.begin()->substr(0, made_.begin()->size() - 1);
  EXPECT_EQ(result.err,
            "holdfast: 1 object is left: holdfast object objects --class Counter --prefix " + prefix + "\n");
  removed_.clear();
  interrupt_after_ = increments_ + 10;
  result = Tool({"bench", "--duration", "1h", "--objects", "2", "--namespace", "n", "--keep", "--json"});
  EXPECT_THAT(result.out, HasSubstr("\"objects_left\":2"));
  EXPECT_TRUE(removed_.empty());
}

TEST_F(BenchTest, ObjectsThatCannotBeMadeEndItBeforeTheLoad) {
  Fail<v1::PutEntriesRequest, v1::PutEntriesResponse>(
      "/holdfast.v1.ObjectService/PutEntries", Error(grpc::StatusCode::PERMISSION_DENIED, "no", "PERMISSION_DENIED"));
  server_.On<v1::CleanupRequest, v1::CleanupResponse>(
      "/holdfast.v1.ObjectService/Cleanup",
      [](const v1::CleanupRequest&, v1::CleanupResponse*) { return grpc::Status::OK; });
  const Result result = Tool({"bench", "read", "--duration", "1h", "--concurrency", "4"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("PERMISSION_DENIED: no"));
}

TEST_F(BenchTest, Bounds) {
  ExpectUsage({"bench", "--concurrency", "257"}, "--concurrency: '257' is not a whole number from 1 to 256");
  ExpectUsage({"bench", "--rate", "100001"}, "--rate: '100001' is not a whole number from 1 to 100000");
  ExpectUsage({"bench", "--objects", "0"}, "--objects: '0' is not a whole number from 1 to 100000");
  ExpectUsage({"bench", "--duration", "2h"}, "--duration: must be from 100ms to 1h");
  ExpectUsage({"bench", "--duration", "10ms"}, "--duration: must be from 100ms to 1h");
  ExpectUsage({"bench", "incr"},
              "WORKLOAD: 'incr' is none of increment, get, limit, add, put, read, sql-update, sql-select");
  ExpectUsage({"bench", "--request-id", "x"}, "this command takes no --request-id");
  ExpectUsage({"bnech"}, "unknown command or argument: bnech; did you mean bench?");
}

}  // namespace
}  // namespace holdfast::client
