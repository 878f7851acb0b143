// Traces of the real server, which exports its spans to a collector in this process.

#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/integration/requests.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"
#include "tests/shared/otlp_collector.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Span = OtlpCollector::Span;
using Spans = std::vector<Span>;

constexpr char kTrace[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kCaller[] = "b7ad6b7169203331";

std::string Sampled() { return absl::StrCat("00-", kTrace, "-", kCaller, "-01"); }
std::string NotSampled() { return absl::StrCat("00-", kTrace, "-", kCaller, "-00"); }

class TracesTest : public ::testing::Test {
 protected:
  // A setting of traces that the test does not give lets the spans go to the collector soon.
  void Start(std::string traces, const std::string& settings = "") {
    if (!absl::StrContains(traces, "endpoint")) {
      absl::StrAppend(&traces, " endpoint: \"", collector_.endpoint(), "\"");
    }
    if (!absl::StrContains(traces, "batch_interval_ms")) absl::StrAppend(&traces, " batch_interval_ms: 10");
    server_ = std::make_unique<ServerProcess>(directory_.path() + "/data",
                                              absl::StrCat("traces { ", traces, " } ", settings));
    counters_ = v1::CounterService::NewStub(server_->NewChannel());
  }
  grpc::Status Increment(const std::string& name, const std::string& traceparent, const std::string& tracestate = "") {
    grpc::ClientContext context;
    SetTrace(traceparent, tracestate, &context);
    auto request = For<v1::IncrementRequest>(name);
    request.mutable_object()->set_namespace_("shop");
    request.set_amount(1);
    v1::IncrementResponse response;
    return counters_->Increment(&context, request, &response);
  }
  static void SetTrace(const std::string& traceparent, const std::string& tracestate, grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    if (!traceparent.empty()) context->AddMetadata("traceparent", traceparent);
    if (!tracestate.empty()) context->AddMetadata("tracestate", tracestate);
  }
  static const Span* Find(const Spans& spans, const std::string& name) {
    const auto it = std::find_if(spans.begin(), spans.end(), [&](const Span& span) { return span.name() == name; });
    return it == spans.end() ? nullptr : &*it;
  }
  static size_t Count(const Spans& spans, const std::string& name) {
    return static_cast<size_t>(
        std::count_if(spans.begin(), spans.end(), [&](const Span& span) { return span.name() == name; }));
  }
  // Expects that each span lies within its parent, if that is among them.
  static void ExpectNested(const Spans& spans) {
    for (const Span& span : spans) {
      EXPECT_LE(span.start_time_unix_nano(), span.end_time_unix_nano()) << span.name();
      for (const Span& parent : spans) {
        if (parent.span_id() != span.parent_span_id()) continue;
        EXPECT_EQ(parent.trace_id(), span.trace_id());
        EXPECT_GE(span.start_time_unix_nano(), parent.start_time_unix_nano()) << span.name();
        EXPECT_LE(span.end_time_unix_nano(), parent.end_time_unix_nano()) << span.name();
      }
    }
  }

  TemporaryDirectory directory_;
  OtlpCollector collector_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<v1::CounterService::Stub> counters_;
};

TEST_F(TracesTest, ACallThatItsCallerTracesHasSpansOfTheCallersTrace) {
  Start("sampling_per_mille: 0");
  const absl::Time before = absl::Now();
  ASSERT_TRUE(Increment("secret-name", Sampled(), "vendor=1").ok());
  const Spans spans = collector_.WaitFor(4);
  const absl::Time after = absl::Now();
  ASSERT_EQ(spans.size(), 4u);
  const Span* const call = Find(spans, "holdfast.v1.CounterService/Increment");
  const Span* const queue = Find(spans, "queue");
  const Span* const turn = Find(spans, "turn");
  const Span* const commit = Find(spans, "commit");
  ASSERT_TRUE(call != nullptr && queue != nullptr && turn != nullptr && commit != nullptr);
  EXPECT_EQ(absl::BytesToHexString(call->parent_span_id()), kCaller);
  for (const Span& span : spans) {
    EXPECT_EQ(absl::BytesToHexString(span.trace_id()), kTrace);
    EXPECT_EQ(span.trace_state(), "vendor=1");
    if (&span != call) EXPECT_EQ(span.parent_span_id(), call->span_id());
    EXPECT_THAT(span.DebugString(), Not(HasSubstr("secret-name")));
  }
  ExpectNested(spans);
  EXPECT_EQ(queue->end_time_unix_nano(), turn->start_time_unix_nano());
  EXPECT_EQ(turn->end_time_unix_nano(), commit->start_time_unix_nano());
  EXPECT_GE(absl::FromUnixNanos(static_cast<int64_t>(call->start_time_unix_nano())), before);
  EXPECT_LE(absl::FromUnixNanos(static_cast<int64_t>(call->end_time_unix_nano())), after);
  EXPECT_EQ(AttributeOf(*call, "holdfast.namespace"), "shop");
  EXPECT_EQ(AttributeOf(*call, "holdfast.object_class"), "Counter");
  EXPECT_EQ(AttributeOf(*call, "rpc.grpc.status_code"), "0");
  EXPECT_EQ(collector_.resource().attributes(0).value().string_value(), "holdfast");
}

TEST_F(TracesTest, ACallThatItsCallerDoesNotTraceAndAMalformedTraceHaveNoSpans) {
  Start("sampling_per_mille: 0");
  for (const std::string& traceparent :
       {NotSampled(), std::string(), std::string("nonsense"), absl::StrCat("00-", kTrace, "-0000000000000000-01")}) {
    ASSERT_TRUE(Increment("a", traceparent).ok());
  }
  {
    // Two are as none.
    grpc::ClientContext context;
    SetTrace(Sampled(), "", &context);
    context.AddMetadata("traceparent", Sampled());
    v1::GetValueResponse response;
    ASSERT_TRUE(counters_->GetValue(&context, For<v1::GetValueRequest>("a"), &response).ok());
  }
  ASSERT_TRUE(Increment("a", Sampled()).ok());
  const Spans spans = collector_.WaitFor(4);
  EXPECT_EQ(spans.size(), 4u) << "those of the last call alone";
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_EQ(collector_.spans().size(), 4u);
}

TEST_F(TracesTest, ARatioTracesCallsOfNoTraceButNotHealth) {
  Start("sampling_per_mille: 1000");
  grpc::health::v1::HealthCheckResponse health;
  grpc::ClientContext context;
  ASSERT_TRUE(grpc::health::v1::Health::NewStub(server_->NewChannel())->Check(&context, {}, &health).ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Increment("a", i == 0 ? "nonsense" : "").ok());
  const Spans spans = collector_.WaitFor(12);
  ASSERT_EQ(spans.size(), 12u);
  EXPECT_EQ(Count(spans, "grpc.health.v1.Health/Check"), 0u);
  std::vector<std::string> traces;
  for (const Span& span : spans) {
    if (span.parent_span_id().empty()) traces.push_back(span.trace_id());
  }
  std::sort(traces.begin(), traces.end());
  EXPECT_EQ(std::unique(traces.begin(), traces.end()) - traces.begin(), 3) << "a trace each";
  ExpectNested(spans);
}

TEST_F(TracesTest, ARefusedCallHasItsReasonAndNoTurn) {
  Start("sampling_per_mille: 0", "log_level: DEBUG");
  ASSERT_FALSE(Increment("", Sampled()).ok());
  const Spans spans = collector_.WaitFor(1);
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(AttributeOf(spans[0], "rpc.grpc.status_code"), "3");
  EXPECT_EQ(AttributeOf(spans[0], "holdfast.reason"), "INVALID_FIELD");
  EXPECT_THAT(server_->Log(), HasSubstr(absl::StrCat("trace=", kTrace, "\n")));
}

TEST_F(TracesTest, ItemsOfABatchAndOfAStreamAreSpansBelowTheCall) {
  Start("sampling_per_mille: 0", "actors { executors: 2 }");
  {
    grpc::ClientContext context;
    SetTrace(Sampled(), "", &context);
    v1::BatchIncrementRequest request;
    for (int i = 0; i < 20; ++i) {
      auto* const one = request.add_increments();
      one->mutable_object()->set_name(i == 3 ? "" : absl::StrCat("c", i));
      one->set_amount(1);
    }
    v1::BatchIncrementResponse response;
    ASSERT_TRUE(counters_->BatchIncrement(&context, request, &response).ok());
  }
  // Sixteen items, of which one was refused.
  constexpr size_t kOfACall = 1 + 16 + 15 * 3;
  Spans spans = collector_.WaitFor(kOfACall);
  ASSERT_EQ(spans.size(), kOfACall);
  const Span* call = Find(spans, "holdfast.v1.CounterService/BatchIncrement");
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(AttributeOf(*call, "holdfast.items_left_out"), "4");
  EXPECT_EQ(Count(spans, "item"), 16u);
  EXPECT_EQ(Count(spans, "commit"), 15u);
  for (const Span& span : spans) {
    if (span.name() == "item") EXPECT_EQ(span.parent_span_id(), call->span_id());
  }
  ExpectNested(spans);

  grpc::ClientContext context;
  SetTrace(Sampled(), "", &context);
  auto stream = counters_->StreamIncrement(&context);
  v1::StreamIncrementRequest request;
  request.mutable_increment()->mutable_object()->set_name("s");
  request.mutable_increment()->set_amount(1);
  v1::StreamIncrementResponse response;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  stream->WritesDone();
  ASSERT_TRUE(stream->Finish().ok());
  spans = collector_.WaitFor(kOfACall + 1 + 5 * 4);
  ASSERT_EQ(spans.size(), kOfACall + 1 + 5 * 4);
  EXPECT_NE(Find(spans, "holdfast.v1.CounterService/StreamIncrement"), nullptr);
  ExpectNested(spans);
}

TEST_F(TracesTest, TheTurnsOfATransferAreSpansOfTheCall) {
  Start("sampling_per_mille: 0");
  auto objects = v1::ObjectService::NewStub(server_->NewChannel());
  auto sql = For<v1::ExecuteSqlRequest>("db");
  sql.add_statements()->set_sql("CREATE TABLE t (a)");
  ASSERT_TRUE(Invoke(*objects, &v1::ObjectService::Stub::ExecuteSql, sql).ok());
  grpc::ClientContext context;
  SetTrace(Sampled(), "", &context);
  auto reader = objects->ExportSql(&context, For<v1::ExportSqlRequest>("db"));
  v1::ExportSqlResponse part;
  while (reader->Read(&part)) {
  }
  ASSERT_TRUE(reader->Finish().ok());
  const Spans spans =
      collector_.WaitFor([](const Spans& all) { return Count(all, "holdfast.v1.ObjectService/ExportSql") > 0; });
  EXPECT_GT(Count(spans, "turn"), 0u);
  ExpectNested(spans);
}

TEST_F(TracesTest, ADrainSendsTheLastSpans) {
  Start("sampling_per_mille: 0 batch_interval_ms: 60000");
  ASSERT_TRUE(Increment("a", Sampled()).ok());
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_EQ(collector_.spans().size(), 4u);
}

TEST_F(TracesTest, WithoutAnEndpointNothingIsSentAndTheLogNamesTheTrace) {
  server_ = std::make_unique<ServerProcess>(directory_.path() + "/data", "log_level: DEBUG log_slow_call_ms: 0");
  counters_ = v1::CounterService::NewStub(server_->NewChannel());
  ASSERT_TRUE(Increment("a", "").ok());
  EXPECT_THAT(server_->Log(), Not(HasSubstr("trace=")));
  ASSERT_TRUE(Increment("a", NotSampled()).ok());
  ASSERT_TRUE(Increment("a", Sampled()).ok());
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_THAT(server_->Log(), HasSubstr(absl::StrCat("trace=", kTrace, "\n")));
  EXPECT_EQ(collector_.exports(), 0);
}

TEST_F(TracesTest, ACollectorThatIsNotThereHoldsNobodyUp) {
  // Nobody listens there.
  Start("sampling_per_mille: 1000 endpoint: \"127.0.0.1:1\" queue_spans_max: 64");
  const absl::Time before = absl::Now();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(Increment("a", Sampled()).ok());
  EXPECT_LT(absl::Now() - before, absl::Seconds(60));
  const absl::Time drain = absl::Now();
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_LT(absl::Now() - drain, absl::Seconds(20));
  EXPECT_THAT(server_->Log(), HasSubstr("event=spans_dropped"));
}

TEST_F(TracesTest, BadSettingsAreNamed) {
  const auto error_of = [this](const std::string& traces) {
    const std::string path = directory_.path() + "/bad.textproto";
    std::ofstream(path) << "traces { " << traces << " }";
    return ServerProcess::RunToEnd({"--config", path, "--check-config"}).output;
  };
  EXPECT_THAT(error_of("endpoint: \"collector\""), HasSubstr("traces.endpoint: \"collector\" is not ADDRESS:PORT"));
  EXPECT_THAT(error_of("endpoint: \":4317\""), HasSubstr("has no host"));
  EXPECT_THAT(error_of("endpoint: \"collector:4317\""), HasSubstr("set traces.insecure: true"));
  EXPECT_THAT(error_of("endpoint: \"collector:4317\" insecure: true"), HasSubstr("insecure: true"));
  EXPECT_THAT(error_of("endpoint: \"127.0.0.1:4317\" sampling_per_mille: 1001"),
              HasSubstr("traces.sampling_per_mille: 1001 is not from 0 to 1000"));
  const auto exit =
      ServerProcess::RunToEnd({"--config",
                               [this] {
                                 const std::string path = directory_.path() + "/ca.textproto";
                                 std::ofstream(path)
                                     << "traces { endpoint: \"collector:4317\" ca_file: \"/no/such/file\" }";
                                 return path;
                               }(),
                               "--listen", "127.0.0.1:0", "--data-dir", directory_.path() + "/data"});
  EXPECT_EQ(exit.status, 1);
  EXPECT_THAT(exit.output, HasSubstr("traces.ca_file: cannot read /no/such/file"));
}

}  // namespace
}  // namespace holdfast::testing
