#include "service/traces/otlp_spans.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace holdfast::service {
namespace {

using opentelemetry::proto::trace::v1::ScopeSpans;
using opentelemetry::proto::trace::v1::Span;
using opentelemetry::proto::trace::v1::Status;

void Set(absl::string_view key, absl::string_view value, Span* span) {
  auto* const attribute = span->add_attributes();
  attribute->set_key(key.data(), key.size());
  attribute->mutable_value()->set_string_value(value.data(), value.size());
}

void Set(absl::string_view key, int64_t value, Span* span) {
  auto* const attribute = span->add_attributes();
  attribute->set_key(key.data(), key.size());
  attribute->mutable_value()->set_int_value(value);
}

// Returns whether a code is the server's failure rather than the client's; OpenTelemetry's conventions for servers of
// gRPC count these as errors.
bool IsServerError(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

void SetOutcome(absl::StatusCode code, v1::ErrorReason reason, Span* span) {
  Set("rpc.grpc.status_code", static_cast<int64_t>(code), span);
  if (reason != v1::ERROR_REASON_UNSPECIFIED) {
    Set("holdfast.reason", absl::StripPrefix(v1::ErrorReason_Name(reason), "ERROR_REASON_"), span);
  }
  if (IsServerError(code)) span->mutable_status()->set_code(Status::STATUS_CODE_ERROR);
}

// Makes the spans of one trace.
class Maker {
 public:
  Maker(const CallTrace& trace, const std::function<uint64_t()>& bits, ScopeSpans* spans)
      : trace_(trace), bits_(bits), spans_(spans) {}

  void Make() {
    Span* const call = Add(trace_.span().span_id, trace_.span().parent, trace_.began(), trace_.ended());
    call->set_kind(Span::SPAN_KIND_SERVER);
    const absl::string_view method = trace_.method();
    const size_t dot = method.rfind('.');
    const absl::string_view service = method.substr(0, dot);
    const absl::string_view name = method.substr(dot + 1);
    call->set_name(absl::StrCat(service, "/", name));
    Set("rpc.system", "grpc", call);
    Set("rpc.service", service, call);
    Set("rpc.method", name, call);
    SetOutcome(trace_.code(), trace_.reason(), call);
    if (trace_.deliveries_left_out() > 0) {
      Set("holdfast.items_left_out", static_cast<int64_t>(trace_.deliveries_left_out()), call);
    }
    if (!trace_.deliveries().empty() && !trace_.deliveries().front().item()) {
      SetObject(trace_.deliveries().front(), call);
    }
    for (const TracedDelivery& delivery : trace_.deliveries()) AddDelivery(delivery);
  }

 private:
  void AddDelivery(const TracedDelivery& delivery) {
    const absl::Time ended = delivery.ended() == absl::InfinitePast() ? trace_.ended() : delivery.ended();
    SpanId parent = trace_.span().span_id;
    if (delivery.item()) {
      Span* const item = Add({NewId(bits_)}, parent, delivery.began(), ended);
      item->set_name("item");
      SetObject(delivery, item);
      SetOutcome(delivery.code(), delivery.reason(), item);
      parent = last_;
    }
    if (delivery.queued() == absl::InfinitePast()) return;
    const absl::Time turn_began = delivery.turn().began == absl::InfinitePast() ? ended : delivery.turn().began;
    AddPhase("queue", parent, delivery.queued(), turn_began);
    if (delivery.turn().began == absl::InfinitePast()) return;
    const absl::Time turn_ended = delivery.turn().ended == absl::InfinitePast() ? ended : delivery.turn().ended;
    AddPhase("turn", parent, turn_began, turn_ended);
    if (delivery.turn().ended != absl::InfinitePast()) AddPhase("commit", parent, turn_ended, ended);
  }

  static void SetObject(const TracedDelivery& delivery, Span* span) {
    if (delivery.queued() == absl::InfinitePast()) return;
    Set("holdfast.namespace", delivery.ns(), span);
    Set("holdfast.object_class", delivery.object_class(), span);
  }

  void AddPhase(const char* name, const SpanId& parent, absl::Time from, absl::Time to) {
    Add({NewId(bits_)}, parent, from, to)->set_name(name);
  }

  Span* Add(const SpanId& id, const SpanId& parent, absl::Time from, absl::Time to) {
    Span* const span = spans_->add_spans();
    last_ = id;
    span->set_trace_id(trace_.trace_id().ToBytes());
    span->set_span_id(id.ToBytes());
    if (parent.value != 0) span->set_parent_span_id(parent.ToBytes());
    span->set_trace_state(trace_.span().tracestate);
    span->set_kind(Span::SPAN_KIND_INTERNAL);
    span->set_start_time_unix_nano(static_cast<uint64_t>(absl::ToUnixNanos(trace_.WallOf(from))));
    span->set_end_time_unix_nano(static_cast<uint64_t>(absl::ToUnixNanos(trace_.WallOf(to))));
    return span;
  }

  const CallTrace& trace_;
  const std::function<uint64_t()>& bits_;
  ScopeSpans* const spans_;
  SpanId last_;  // of the span that was added last
};

}  // namespace

void AddSpans(const CallTrace& trace, const std::function<uint64_t()>& bits, ScopeSpans* spans) {
  Maker(trace, bits, spans).Make();
}

}  // namespace holdfast::service
