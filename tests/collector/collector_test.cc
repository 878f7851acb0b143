// The spans that the real OpenTelemetry Collector gets from the real server: each span once, whole, under its parent,
// without and with TLS, and also when the collector goes away and comes back.
//
// tests/integration/traces_test.cc has the cases of sampling, refusals and streams, with a collector in the process.

#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/collector/collector_process.h"
#include "tests/integration/http_get.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/shared/certificates.h"
#include "tests/unit/storage/files.h"

namespace holdfast::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr char kIncrement[] = "holdfast.v1.CounterService/Increment";
constexpr char kTrace[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kCaller[] = "b7ad6b7169203331";
// A call of one object has a span of its own, and those of its wait, its turn and its commit.
constexpr size_t kSpansOfACall = 4;
// As OTLP numbers them.
constexpr int kInternal = 1;
constexpr int kServer = 2;
constexpr int kError = 2;

class CollectorTest : public ::testing::Test {
 protected:
  // Starts the server, which traces what its callers trace, and sends its spans soon.
  void StartServer(const CollectorProcess& collector, const std::string& traces = "",
                   const std::string& settings = "") {
    std::string all = absl::StrCat("endpoint: \"127.0.0.1:", collector.port(), "\" ", traces);
    if (!absl::StrContains(traces, "sampling_per_mille")) absl::StrAppend(&all, " sampling_per_mille: 0");
    if (!absl::StrContains(traces, "batch_interval_ms")) absl::StrAppend(&all, " batch_interval_ms: 20");
    server_ = std::make_unique<ServerProcess>(
        directory_.path() + "/data",
        absl::StrCat("traces { ", all, " } metrics { listen: \"127.0.0.1:0\" } ", settings));
    counters_ = v1::CounterService::NewStub(server_->NewChannel());
    objects_ = v1::ObjectService::NewStub(server_->NewChannel());
  }

  static void Trace(const std::string& trace, bool sampled, grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    context->AddMetadata("traceparent", absl::StrCat("00-", trace, "-", kCaller, sampled ? "-01" : "-00"));
  }
  // Increments a counter as a part of this trace; of none if it is empty.
  grpc::Status Increment(const std::string& name, const std::string& trace, bool sampled = true) {
    grpc::ClientContext context;
    if (!trace.empty()) Trace(trace, sampled, &context);
    if (trace == kTrace) context.AddMetadata("tracestate", "vendor=1");
    auto request = For<v1::IncrementRequest>(name);
    request.mutable_object()->set_namespace_("shop");
    request.set_amount(1);
    v1::IncrementResponse response;
    return counters_->Increment(&context, request, &response);
  }
  // Increments once in each of the traces `first` to `first + calls - 1`.
  void IncrementEach(int first, int calls) {
    for (int i = first; i < first + calls; ++i) {
      ASSERT_TRUE(Increment(absl::StrCat("c", i % 100), TraceOf(i)).ok());
    }
  }
  static std::string TraceOf(int i) { return absl::StrCat(kTraceStart, absl::Dec(i, absl::kZeroPad16)); }

  // Returns the sum of the series of a metric.
  double Metric(const std::string& name) const {
    std::string endpoint;
    for (const absl::string_view line : absl::StrSplit(server_->Log(), '\n')) {
      const size_t at = line.find("event=metrics listen=");
      if (at != line.npos) endpoint = std::string(line.substr(at + 21));
    }
    double sum = 0;
    for (const absl::string_view line : absl::StrSplit(HttpGet(endpoint, "/metrics"), '\n')) {
      double value;
      if (!absl::StartsWith(line, name) || !absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) continue;
      sum += value;
    }
    return sum;
  }
  // Expects that the server soon counts so many spans as taken, and none as lost.
  void ExpectExported(size_t spans) const {
    const absl::Time until = absl::Now() + absl::Seconds(30);
    while (Metric("holdfast_trace_spans_exported_total") < static_cast<double>(spans) && absl::Now() < until) {
      absl::SleepFor(absl::Milliseconds(20));  // the server counts them when it has the answer of the collector
    }
    EXPECT_EQ(Metric("holdfast_trace_spans_exported_total"), spans);
    EXPECT_EQ(Metric("holdfast_trace_spans_dropped_total"), 0);
    EXPECT_EQ(Metric("holdfast_traces_left_out_total"), 0);
  }

  static const WrittenSpan& Named(const WrittenSpans& spans, const std::string& name) {
    static const WrittenSpan* const none = new WrittenSpan();
    const auto it = std::find_if(spans.begin(), spans.end(), [&](const auto& span) { return span.name == name; });
    EXPECT_NE(it, spans.end()) << "no span " << name;
    return it == spans.end() ? *none : *it;
  }
  // Expects one call of each of these traces, each with its four spans under one another, and each span once.
  static void ExpectCalls(const WrittenSpans& spans, int first, int calls) {
    std::map<std::string, WrittenSpans> traces;
    std::set<std::string> ids;
    for (const WrittenSpan& span : spans) {
      EXPECT_TRUE(ids.insert(span.span_id).second) << span.name << " was written twice";
      traces[span.trace_id].push_back(span);
    }
    EXPECT_THAT(traces, SizeIs(calls));
    for (int i = first; i < first + calls; ++i) {
      const WrittenSpans& trace = traces[TraceOf(i)];
      ASSERT_THAT(trace, SizeIs(kSpansOfACall)) << i;
      const WrittenSpan& call = Named(trace, kIncrement);
      EXPECT_EQ(call.parent_span_id, kCaller);
      for (const char* const phase : {"queue", "turn", "commit"}) {
        EXPECT_EQ(Named(trace, phase).parent_span_id, call.span_id);
      }
    }
  }

  static constexpr char kTraceStart[] = "a000000000000000";

  TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<v1::CounterService::Stub> counters_;
  std::unique_ptr<v1::ObjectService::Stub> objects_;
};

TEST_F(CollectorTest, ACallIsWrittenWhole) {
  CollectorProcess collector(directory_.path());
  collector.Start();
  StartServer(collector, "service_name: \"shop-store\"");
  const absl::Time before = absl::Now();
  ASSERT_TRUE(Increment("secret-name", kTrace).ok());
  const WrittenSpans spans = collector.WaitFor(kSpansOfACall);
  const absl::Time after = absl::Now();
  ASSERT_THAT(spans, SizeIs(kSpansOfACall));

  const WrittenSpan& call = Named(spans, kIncrement);
  EXPECT_EQ(call.parent_span_id, kCaller);
  EXPECT_EQ(call.kind, kServer);
  EXPECT_EQ(call.status_code, 0);
  EXPECT_THAT(call.attributes,
              UnorderedElementsAre(Pair("rpc.system", "grpc"), Pair("rpc.service", "holdfast.v1.CounterService"),
                                   Pair("rpc.method", "Increment"), Pair("rpc.grpc.status_code", "0"),
                                   Pair("holdfast.namespace", "shop"), Pair("holdfast.object_class", "Counter")));
  EXPECT_GE(absl::FromUnixNanos(static_cast<int64_t>(call.start_unix_nano)), before);
  EXPECT_LE(absl::FromUnixNanos(static_cast<int64_t>(call.end_unix_nano)), after);

  const WrittenSpan& queue = Named(spans, "queue");
  const WrittenSpan& turn = Named(spans, "turn");
  const WrittenSpan& commit = Named(spans, "commit");
  for (const WrittenSpan* const phase : {&queue, &turn, &commit}) {
    EXPECT_EQ(phase->parent_span_id, call.span_id);
    EXPECT_EQ(phase->kind, kInternal);
    EXPECT_THAT(phase->attributes, IsEmpty());
  }
  EXPECT_LE(call.start_unix_nano, queue.start_unix_nano);
  EXPECT_EQ(queue.end_unix_nano, turn.start_unix_nano);
  EXPECT_EQ(turn.end_unix_nano, commit.start_unix_nano);
  EXPECT_LT(commit.start_unix_nano, commit.end_unix_nano) << "a commit takes time";
  EXPECT_LE(commit.end_unix_nano, call.end_unix_nano);

  for (const WrittenSpan& span : spans) {
    EXPECT_EQ(span.trace_id, kTrace);
    EXPECT_EQ(span.trace_state, "vendor=1");
    EXPECT_EQ(span.scope, "holdfast");
    EXPECT_THAT(span.resource,
                UnorderedElementsAre(Pair("service.name", "shop-store"), Pair("service.version", Not(IsEmpty()))));
  }
  EXPECT_THAT(storage::ReadFile(directory_.path() + "/spans-1.json"), Not(HasSubstr("secret-name")));
  ExpectExported(kSpansOfACall);
}

TEST_F(CollectorTest, CallsWithoutATraceHaveOneEachAndTheFlagOfACallerDecides) {
  CollectorProcess collector(directory_.path());
  collector.Start();
  StartServer(collector, "sampling_per_mille: 1000");
  ASSERT_TRUE(Increment("a", kTrace, false).ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Increment("a", "").ok());
  ASSERT_TRUE(Increment("a", TraceOf(1)).ok());
  const WrittenSpans spans = collector.WaitFor(4 * kSpansOfACall);
  ASSERT_THAT(spans, SizeIs(4 * kSpansOfACall));
  std::set<std::string> traces;
  for (const WrittenSpan& span : spans) {
    EXPECT_NE(span.trace_id, kTrace) << "its caller does not trace it";
    traces.insert(span.trace_id);
    if (span.name == kIncrement) EXPECT_EQ(span.parent_span_id, span.trace_id == TraceOf(1) ? kCaller : "");
  }
  EXPECT_THAT(traces, SizeIs(4));
  ExpectExported(4 * kSpansOfACall);
}

TEST_F(CollectorTest, AnErrorOfTheServerIsAnErrorOfTheSpanAndOneOfTheClientIsNot) {
  CollectorProcess collector(directory_.path());
  collector.Start();
  StartServer(collector, "", "actors { turn_timeout_ms: 200 } sql { time_limit_ms: 60000 }");
  ASSERT_FALSE(Increment("", kTrace).ok());
  const WrittenSpans refused = collector.WaitFor(1);
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_EQ(refused[0].status_code, 0);
  EXPECT_THAT(refused[0].attributes,
              AllOf(Contains(Pair("rpc.grpc.status_code", "3")), Contains(Pair("holdfast.reason", "INVALID_FIELD"))));

  grpc::ClientContext context;
  Trace(TraceOf(1), true, &context);
  auto endless = For<v1::ExecuteSqlRequest>("db");
  endless.add_statements()->set_sql(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
  v1::ExecuteSqlResponse response;
  ASSERT_EQ(objects_->ExecuteSql(&context, endless, &response).error_code(), grpc::StatusCode::UNAVAILABLE);
  const WrittenSpans spans = collector.WaitFor(2);
  const WrittenSpan& failed = Named(spans, "holdfast.v1.ObjectService/ExecuteSql");
  EXPECT_EQ(failed.status_code, kError);
  EXPECT_THAT(failed.attributes,
              AllOf(Contains(Pair("rpc.grpc.status_code", "14")), Contains(Pair("holdfast.reason", "OBJECT_RESET"))));
}

TEST_F(CollectorTest, ItemsOfABatchAreBelowTheCallAndTheirPhasesBelowThem) {
  CollectorProcess collector(directory_.path());
  collector.Start();
  StartServer(collector);
  constexpr size_t kItems = 3;
  grpc::ClientContext context;
  Trace(kTrace, true, &context);
  v1::BatchIncrementRequest request;
  for (size_t i = 0; i < kItems; ++i) {
    auto* const one = request.add_increments();
    one->mutable_object()->set_name(absl::StrCat("c", i));
    one->set_amount(1);
  }
  v1::BatchIncrementResponse response;
  ASSERT_TRUE(counters_->BatchIncrement(&context, request, &response).ok());
  constexpr size_t kSpans = 1 + kItems * kSpansOfACall;
  const WrittenSpans spans = collector.WaitFor(kSpans);
  ASSERT_THAT(spans, SizeIs(kSpans));
  EXPECT_THAT(spans, Each(Field(&WrittenSpan::trace_id, kTrace)));
  const std::string call = Named(spans, "holdfast.v1.CounterService/BatchIncrement").span_id;
  std::map<std::string, std::set<std::string>> phases;  // of each item
  for (const WrittenSpan& span : spans) {
    if (span.span_id == call) continue;
    if (span.name == "item") {
      EXPECT_EQ(span.parent_span_id, call);
      EXPECT_THAT(span.attributes, Contains(Pair("holdfast.object_class", "Counter")));
      phases[span.span_id];
    } else {
      phases[span.parent_span_id].insert(span.name);
    }
  }
  EXPECT_THAT(phases, SizeIs(kItems));
  EXPECT_THAT(phases, Each(Pair(Not(call), ElementsAre("commit", "queue", "turn"))));
}

TEST_F(CollectorTest, OfManyCallsNoSpanIsLostOrWrittenTwice) {
  CollectorProcess collector(directory_.path());
  collector.Start();
  StartServer(collector, "calls_per_second_max: 1000000 queue_spans_max: 1000000");
  constexpr int kThreads = 4;
  constexpr int kCallsOfAThread = 500;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this, i] { IncrementEach(i * kCallsOfAThread, kCallsOfAThread); });
  }
  for (std::thread& thread : threads) thread.join();
  constexpr int kCalls = kThreads * kCallsOfAThread;
  const WrittenSpans spans = collector.WaitFor(kCalls * kSpansOfACall);
  ExpectCalls(spans, 0, kCalls);
  ExpectExported(kCalls * kSpansOfACall);
}

TEST_F(CollectorTest, ACollectorThatIsKilledGetsTheSpansWhenItIsBack) {
  CollectorProcess collector(directory_.path());
  collector.Start();
  StartServer(collector);
  IncrementEach(0, 20);
  ASSERT_THAT(collector.WaitFor(20 * kSpansOfACall), SizeIs(20 * kSpansOfACall));
  collector.End(SIGKILL);
  IncrementEach(20, 20);
  collector.Start();
  IncrementEach(40, 20);
  ExpectCalls(collector.WaitFor(60 * kSpansOfACall), 0, 60);
  ExpectExported(60 * kSpansOfACall);
}

TEST_F(CollectorTest, ACollectorThatIsStoppedInOrderUnderLoadLosesNothing) {
  CollectorProcess collector(directory_.path());
  collector.Start();
  StartServer(collector, "batch_interval_ms: 10 batch_spans_max: 16");
  int calls = 0;
  for (int round = 0; round < 3; ++round) {
    std::thread load([this, calls] { IncrementEach(calls, 200); });
    absl::SleepFor(absl::Milliseconds(50));  // the stop comes among the calls
    collector.End(SIGTERM);
    collector.Start();
    load.join();
    calls += 200;
  }
  // An answer of a collector that ends may be lost, and the spans are then sent again: each comes at least once.
  WrittenSpans spans;
  const absl::Time until = absl::Now() + absl::Seconds(60);
  do {
    std::set<std::string> ids;
    spans.clear();
    for (WrittenSpan& span : collector.Spans()) {
      if (ids.insert(span.span_id).second) spans.push_back(std::move(span));
    }
    absl::SleepFor(absl::Milliseconds(100));  // no event tells that another process has written
  } while (spans.size() < static_cast<size_t>(calls) * kSpansOfACall && absl::Now() < until);
  ExpectCalls(spans, 0, calls);
  ExpectExported(static_cast<size_t>(calls) * kSpansOfACall);
}

TEST_F(CollectorTest, WithTlsTheSpansComeIfTheAuthorityIsTheRightOne) {
  const CertificateAuthority authority;
  CollectorProcess collector(directory_.path(), authority.Issue());
  collector.Start();
  const std::string ca_file = directory_.path() + "/ca.crt";
  storage::WriteFile(ca_file, authority.pem());
  StartServer(collector, absl::StrCat("ca_file: \"", ca_file, "\""));
  IncrementEach(0, 5);
  ExpectCalls(collector.WaitFor(5 * kSpansOfACall), 0, 5);
  ExpectExported(5 * kSpansOfACall);
  server_.reset();

  // A server that knows another authority, and one that speaks no TLS, send nothing, serve, and say so.
  storage::WriteFile(ca_file, CertificateAuthority("another authority").pem());
  for (const std::string& traces : {absl::StrCat("ca_file: \"", ca_file, "\""), std::string()}) {
    StartServer(collector, traces);
    IncrementEach(5, 5);
    const absl::Time until = absl::Now() + absl::Seconds(60);
    while (Metric("holdfast_trace_spans_dropped_total") < 5 * kSpansOfACall && absl::Now() < until) {
      absl::SleepFor(absl::Milliseconds(100));  // it tries four times, later each time
    }
    EXPECT_EQ(Metric("holdfast_trace_spans_dropped_total"), 5 * kSpansOfACall);
    EXPECT_THAT(server_->Log(), HasSubstr("event=spans_dropped"));
    server_.reset();
  }
  EXPECT_THAT(collector.Spans(), SizeIs(5 * kSpansOfACall));
}

}  // namespace
}  // namespace holdfast::testing
