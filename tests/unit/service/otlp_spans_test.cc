#include "service/traces/otlp_spans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/counter.h"
#include "actors/wire/errors.h"
#include "tests/shared/otlp_collector.h"
#include "tests/simulation/node.h"

namespace holdfast::service {
namespace {

using opentelemetry::proto::trace::v1::ScopeSpans;
using opentelemetry::proto::trace::v1::Span;
using opentelemetry::proto::trace::v1::Status;
using testing::AttributeOf;
using ::testing::ElementsAre;

const TraceId kTrace = {0x0af7651916cd43dd, 0x8448eb211c80319c};

class OtlpSpansTest : public ::testing::Test {
 protected:
  CallTrace MakeTrace(const std::string& method = "holdfast.v1.CounterService.Increment") {
    methods_.push_back(method);
    return {{.trace_id = kTrace, .parent = {7}, .span_id = {8}, .tracestate = "vendor=1"}, methods_.back(), &clock_};
  }
  void Pass(int64_t ms) { clock_.Advance(absl::Milliseconds(ms)); }
  std::vector<Span> SpansOf(const CallTrace& trace) {
    ScopeSpans spans;
    AddSpans(
        trace, [this] { return ++id_; }, &spans);
    return {spans.spans().begin(), spans.spans().end()};
  }
  // Returns "name from-to" in milliseconds since the call arrived.
  static std::vector<std::string> TimesOf(const std::vector<Span>& spans) {
    std::vector<std::string> times;
    const uint64_t began = spans.empty() ? 0 : spans[0].start_time_unix_nano();
    for (const Span& span : spans) {
      times.push_back(absl::StrCat(span.name(), " ", (span.start_time_unix_nano() - began) / 1'000'000, "-",
                                   (span.end_time_unix_nano() - began) / 1'000'000));
    }
    return times;
  }

  simulation::VirtualClock clock_;
  uint64_t id_ = 100;
  std::list<std::string> methods_;
  const storage::ObjectKey key_{"shop", "Counter", "secret-name"};
  const actors::ObjectClass& class_ = actors::Counter::Class();
};

TEST_F(OtlpSpansTest, ACallHasASpanForEachOfItsParts) {
  CallTrace trace = MakeTrace();
  clock_.StepWall(absl::Hours(1));  // the wall clock that the spans go by is that of the arrival
  Pass(1);
  TracedDelivery* const delivery = trace.AddDelivery(/*item=*/false);
  ASSERT_NE(delivery, nullptr);
  actors::TurnTimes* const turn = delivery->Queued(key_, &class_);
  Pass(2);
  turn->began = clock_.Steady();
  Pass(3);
  turn->ended = clock_.Steady();
  Pass(4);
  trace.End(absl::OkStatus());
  EXPECT_EQ(trace.SpansMax(), 4u);
  const std::vector<Span> spans = SpansOf(trace);
  EXPECT_THAT(TimesOf(spans),
              ElementsAre("holdfast.v1.CounterService/Increment 0-10", "queue 1-3", "turn 3-6", "commit 6-10"));
  for (const Span& span : spans) {
    EXPECT_EQ(span.trace_id(), kTrace.ToBytes());
    EXPECT_EQ(span.trace_state(), "vendor=1");
    EXPECT_EQ(span.parent_span_id(), SpanId{span.span_id() == SpanId{8}.ToBytes() ? 7u : 8u}.ToBytes());
    EXPECT_EQ(span.DebugString().find("secret-name"), std::string::npos);
    EXPECT_EQ(span.status().code(), Status::STATUS_CODE_UNSET);
  }
  EXPECT_EQ(spans[0].start_time_unix_nano(), static_cast<uint64_t>(absl::ToUnixNanos(trace.WallOf(trace.began()))));
  EXPECT_EQ(spans[0].kind(), Span::SPAN_KIND_SERVER);
  EXPECT_EQ(AttributeOf(spans[0], "rpc.system"), "grpc");
  EXPECT_EQ(AttributeOf(spans[0], "rpc.service"), "holdfast.v1.CounterService");
  EXPECT_EQ(AttributeOf(spans[0], "rpc.method"), "Increment");
  EXPECT_EQ(AttributeOf(spans[0], "rpc.grpc.status_code"), "0");
  EXPECT_EQ(AttributeOf(spans[0], "holdfast.namespace"), "shop");
  EXPECT_EQ(AttributeOf(spans[0], "holdfast.object_class"), "Counter");
  EXPECT_EQ(AttributeOf(spans[0], "holdfast.reason"), "");
}

TEST_F(OtlpSpansTest, ACallThatNeverReachedAnObjectHasOneSpan) {
  CallTrace trace = MakeTrace();
  Pass(1);
  trace.End(actors::Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_DRAINING, "", absl::Seconds(1)));
  const std::vector<Span> spans = SpansOf(trace);
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(AttributeOf(spans[0], "rpc.grpc.status_code"), "14");
  EXPECT_EQ(AttributeOf(spans[0], "holdfast.reason"), "DRAINING");
  EXPECT_EQ(AttributeOf(spans[0], "holdfast.namespace"), "");
  EXPECT_EQ(spans[0].status().code(), Status::STATUS_CODE_ERROR);
}

TEST_F(OtlpSpansTest, OnlyFailuresOfTheServerAreErrors) {
  const std::map<absl::StatusCode, bool> codes = {
      {absl::StatusCode::kInvalidArgument, false},   {absl::StatusCode::kNotFound, false},
      {absl::StatusCode::kResourceExhausted, false}, {absl::StatusCode::kCancelled, false},
      {absl::StatusCode::kDataLoss, true},           {absl::StatusCode::kInternal, true},
      {absl::StatusCode::kDeadlineExceeded, true}};
  for (const auto& [code, error] : codes) {
    CallTrace trace = MakeTrace();
    trace.End(absl::Status(code, ""));
    EXPECT_EQ(SpansOf(trace)[0].status().code() == Status::STATUS_CODE_ERROR, error) << static_cast<int>(code);
  }
}

TEST_F(OtlpSpansTest, AMomentThatDidNotComeLeavesItsSpanOut) {
  // Refused in the mailbox.
  CallTrace refused = MakeTrace();
  refused.AddDelivery(false)->Queued(key_, &class_);
  Pass(1);
  refused.End(absl::ResourceExhaustedError(""));
  EXPECT_THAT(TimesOf(SpansOf(refused)), ElementsAre("holdfast.v1.CounterService/Increment 0-1", "queue 0-1"));
  // A turn whose end nobody saw.
  CallTrace begun = MakeTrace();
  begun.AddDelivery(false)->Queued(key_, &class_)->began = clock_.Steady();
  Pass(1);
  begun.End(absl::OkStatus());
  EXPECT_THAT(TimesOf(SpansOf(begun)),
              ElementsAre("holdfast.v1.CounterService/Increment 0-1", "queue 0-0", "turn 0-1"));
}

TEST_F(OtlpSpansTest, ItemsHaveSpansOfTheirOwnUpToABound) {
  CallTrace trace = MakeTrace("holdfast.v1.CounterService.BatchIncrement");
  for (size_t i = 0; i < CallTrace::kDeliveriesMax; ++i) {
    TracedDelivery* const item = trace.AddDelivery(/*item=*/true);
    ASSERT_NE(item, nullptr);
    if (i == 0) {
      item->End(actors::InvalidField("object", "is missing"));
      continue;
    }
    actors::TurnTimes* const turn = item->Queued(key_, &class_);
    turn->began = turn->ended = clock_.Steady();
    item->End(absl::OkStatus());
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(trace.AddDelivery(/*item=*/true), nullptr);
  trace.End(absl::OkStatus());
  const std::vector<Span> spans = SpansOf(trace);
  EXPECT_EQ(spans.size(), 1 + 1 + 4 * (CallTrace::kDeliveriesMax - 1));
  EXPECT_LE(spans.size(), trace.SpansMax());
  EXPECT_EQ(AttributeOf(spans[0], "holdfast.items_left_out"), "3");
  EXPECT_EQ(AttributeOf(spans[0], "holdfast.namespace"), "") << "each item has its own";
  EXPECT_EQ(AttributeOf(spans[1], "holdfast.reason"), "INVALID_FIELD");
  std::map<std::string, std::string> names;
  for (const Span& span : spans) {
    EXPECT_TRUE(names.emplace(span.span_id(), span.name()).second) << "an id twice";
    if (span.name() == "item") EXPECT_EQ(span.parent_span_id(), SpanId{8}.ToBytes());
    if (span.name() == "turn") EXPECT_EQ(names[span.parent_span_id()], "item");
  }
}

}  // namespace
}  // namespace holdfast::service
