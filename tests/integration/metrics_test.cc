// The endpoint of the metrics of the real server, as Prometheus reads it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "service/metrics/metric_table.h"
#include "tests/integration/http_get.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

using service::MetricKind;
using service::MetricRow;
using service::MetricTable;
using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public ::testing::Test {
 protected:
  void Start(const std::string& settings = "") {
    server_ = std::make_unique<ServerProcess>(directory_.path() + "/data",
                                              absl::StrCat("metrics { listen: \"127.0.0.1:0\" ", settings, " }"));
    stub_ = v1::CounterService::NewStub(server_->NewChannel());
    for (absl::string_view line : absl::StrSplit(server_->Log(), '\n')) {
      const size_t at = line.find("event=metrics listen=");
      if (at != line.npos) endpoint_ = std::string(line.substr(at + 21));
    }
    ASSERT_NE(endpoint_, "");
  }
  std::string Scrape() const { return HttpGet(endpoint_, "/metrics"); }
  // Returns the series of a scrape with their values.
  std::map<std::string, double> Series() const {
    std::map<std::string, double> series;
    for (absl::string_view line : absl::StrSplit(Scrape(), '\n')) {
      const size_t space = line.rfind(' ');
      double value;
      if (line.empty() || line[0] == '#' || space == line.npos) continue;
      if (absl::SimpleAtod(line.substr(space + 1), &value)) series[std::string(line.substr(0, space))] = value;
    }
    return series;
  }
  // Increments counters of these many names and namespaces, each once.
  void Increment(int objects, int namespaces, const std::string& prefix) {
    constexpr int kTogether = 500;
    for (int i = 0; i < objects;) {
      v1::BatchIncrementRequest request;
      for (; request.increments_size() < kTogether && i < objects; ++i) {
        v1::IncrementRequest* const one = request.add_increments();
        one->mutable_object()->set_name(absl::StrCat(prefix, "object-", i));
        one->mutable_object()->set_namespace_(absl::StrCat(prefix, "ns-", i % namespaces));
        one->set_amount(1);
      }
      const auto reply = Invoke(*stub_, &v1::CounterService::Stub::BatchIncrement, request);
      ASSERT_TRUE(reply.ok()) << reply.status.error_message();
    }
  }

  TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<v1::CounterService::Stub> stub_;
  std::string endpoint_;
};

TEST_F(MetricsTest, EveryMetricOfTheTableIsThere) {
  Start();
  const std::string text = Scrape();
  EXPECT_THAT(text, HasSubstr("200 OK"));
  for (const MetricRow& row : MetricTable()) {
    const std::string type = row.kind == MetricKind::kCounter ? "counter"
                             : row.kind == MetricKind::kGauge ? "gauge"
                                                              : "histogram";
    EXPECT_THAT(text, HasSubstr(absl::StrCat("# TYPE ", row.name, " ", type, "\n")));
    EXPECT_THAT(text, HasSubstr(absl::StrCat("# HELP ", row.name, " ")));
    const std::string series = absl::StrCat("\n", row.name, row.kind == MetricKind::kHistogram ? "_count" : "",
                                            row.labels.empty() ? " " : "{");
    EXPECT_THAT(text, HasSubstr(series));
  }
  EXPECT_THAT(HttpGet(endpoint_, "/"), HasSubstr("404"));
  EXPECT_THAT(HttpGet(endpoint_, "/etc/passwd"), HasSubstr("404"));
}

TEST_F(MetricsTest, CallsTurnsAndCommitsAreCounted) {
  Start();
  v1::IncrementRequest request;
  request.mutable_object()->set_name("a");
  request.set_amount(1);
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(Invoke(*stub_, &v1::CounterService::Stub::Increment, request).ok());
  request.mutable_object()->set_name("");
  ASSERT_FALSE(Invoke(*stub_, &v1::CounterService::Stub::Increment, request).ok());
  // A scrape may tell the load as it was read up to a moment ago, before the client came.
  std::map<std::string, double> series = Series();
  const absl::Time until = absl::Now() + absl::Seconds(10);
  while (series.at("holdfast_connections") == 0 && absl::Now() < until) series = Series();
  const std::string method = "service=\"holdfast.v1.CounterService\",method=\"Increment\"";
  EXPECT_EQ(series.at(absl::StrCat("holdfast_requests_total{", method, ",code=\"OK\"}")), 7);
  EXPECT_EQ(series.at(absl::StrCat("holdfast_requests_total{", method, ",code=\"INVALID_ARGUMENT\"}")), 1);
  EXPECT_EQ(series.at(absl::StrCat("holdfast_request_duration_seconds_count{", method, "}")), 8);
  EXPECT_GT(series.at(absl::StrCat("holdfast_received_bytes_total{", method, "}")), 0);
  EXPECT_GT(series.at(absl::StrCat("holdfast_sent_bytes_total{", method, "}")), 0);
  EXPECT_EQ(series.at("holdfast_turn_duration_seconds_count{class=\"Counter\"}"), 7);
  EXPECT_EQ(series.at("holdfast_active_objects{class=\"Counter\"}"), 1);
  EXPECT_EQ(series.at("holdfast_turns_in_progress{class=\"Counter\"}"), 0);
  EXPECT_GE(series.at("holdfast_commit_duration_seconds_count"), 7);
  EXPECT_GE(series.at("holdfast_log_sync_duration_seconds_count"), 7);
  EXPECT_EQ(series.at("holdfast_requests_in_progress"), 0);
  EXPECT_EQ(series.at("holdfast_connections"), 1);
  EXPECT_EQ(series.at("holdfast_executors_unresponsive"), 0);
  EXPECT_GT(series.at("holdfast_disk_free_bytes"), 0);
  EXPECT_EQ(series.at("holdfast_build_info{version=\"0.1.0\",storage_format=\"4\"}"), 1);
}

TEST_F(MetricsTest, TenThousandObjectsInAThousandNamespacesMakeNoSeries) {
  Start();
  Increment(1, 1, "first");
  const auto before = Series();
  Increment(10'000, 1'000, "bounded");
  const std::string text = Scrape();
  EXPECT_THAT(text, Not(HasSubstr("bounded")));
  const auto after = Series();
  EXPECT_GE(after.at("holdfast_turn_duration_seconds_count{class=\"Counter\"}"), 10'001);
  std::vector<std::string> added;
  for (const auto& [name, value] : after) {
    if (!before.contains(name)) added.push_back(name);
  }
  EXPECT_THAT(added, ::testing::IsEmpty());
  EXPECT_LT(after.size(), 5'000u);
}

TEST_F(MetricsTest, ConnectionsThatSayNothingHoldTheEndpointForTheTimeLimitAndCallsNotAtAll) {
  Start("request_time_limit_ms: 500");
  std::vector<int> silent;
  for (int i = 0; i < 6; ++i) silent.push_back(ConnectTo(endpoint_));
  v1::IncrementRequest request;
  request.mutable_object()->set_name("a");
  request.set_amount(1);
  EXPECT_TRUE(Invoke(*stub_, &v1::CounterService::Stub::Increment, request, std::chrono::seconds(5)).ok());
  // Three for each of two threads.
  const absl::Time before = absl::Now();
  EXPECT_THAT(Scrape(), HasSubstr("holdfast_build_info"));
  EXPECT_LT(absl::Now() - before, absl::Seconds(20));
  for (const int fd : silent) close(fd);
}

TEST_F(MetricsTest, AServerWithoutAnAddressForThemServesNone) {
  server_ = std::make_unique<ServerProcess>(directory_.path() + "/data");
  EXPECT_THAT(server_->Log(), Not(HasSubstr("event=metrics")));
}

}  // namespace
}  // namespace holdfast::testing
