#include "service/traces/tracer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/random/random.h"

namespace holdfast::service {
namespace {

// Bytes that are no printable ASCII are of no tracestate. A client that sends them all the same would make a text that
// is no UTF-8 of them, for which a collector refuses all the spans of an export.
bool IsTracestate(absl::string_view text) {
  return text.size() <= kTracestateBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

Tracer::Tracer(Options options, const actors::Clock* clock, Bits bits, Sink sink)
    : options_(options), clock_(clock), bits_(std::move(bits)), sink_(std::move(sink)) {}

std::unique_ptr<CallTrace> Tracer::Begin(const TraceHeaders& headers, absl::string_view method, bool by_ratio,
                                         bool log_all) {
  const std::optional<CallerTrace> caller = ParseTraceparent(headers.traceparent);
  const bool wanted = caller ? caller->sampled
                             : by_ratio && options_.sampling_per_mille > 0 &&
                                   bits_() % 1000 < static_cast<uint64_t>(options_.sampling_per_mille);
  if (!wanted || !HasRoom()) {
    return caller && log_all ? std::make_unique<CallTrace>(caller->trace_id) : nullptr;
  }
  CallTrace::Span span;
  span.span_id = {NewId(bits_)};
  if (caller) {
    span.trace_id = caller->trace_id;
    span.parent = caller->span_id;
    if (IsTracestate(headers.tracestate)) span.tracestate = headers.tracestate;
  } else {
    span.trace_id = {bits_(), NewId(bits_)};
  }
  return std::make_unique<CallTrace>(std::move(span), method, clock_);
}

void Tracer::End(std::unique_ptr<CallTrace> trace, const absl::Status& outcome) const {
  trace->End(outcome);
  sink_(std::move(trace));
}

std::unique_ptr<CallTrace> Tracer::ForLog(const TraceHeaders& headers) {
  const std::optional<CallerTrace> caller = ParseTraceparent(headers.traceparent);
  return caller ? std::make_unique<CallTrace>(caller->trace_id) : nullptr;
}

bool Tracer::HasRoom() {
  const int64_t second = absl::ToUnixSeconds(clock_->Steady());
  if (second_.exchange(second, std::memory_order_relaxed) != second) calls_.store(0, std::memory_order_relaxed);
  if (calls_.fetch_add(1, std::memory_order_relaxed) < options_.calls_per_second_max) return true;
  left_out_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

uint64_t RandomTraceBits() {
  thread_local absl::BitGen random;
  return absl::Uniform<uint64_t>(random);
}

}  // namespace holdfast::service
