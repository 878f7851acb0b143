// The trace that a caller names, by the W3C's Trace Context in the metadata of its call.
//
//   traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
//                version, trace id, span id of the caller, flags
//   tracestate:  what the tracing systems on the way want to keep; it is passed on as it is
//
// A traceparent that is not of this form, or comes twice, is as none.

#ifndef HOLDFAST_SERVICE_TRACES_TRACE_CONTEXT_H_
#define HOLDFAST_SERVICE_TRACES_TRACE_CONTEXT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::service {

// A tracestate that is longer, or has other bytes than printable ASCII, is left out.
inline constexpr size_t kTracestateBytesMax = 512;

struct TraceId {
  uint64_t high = 0;
  uint64_t low = 0;

  bool operator==(const TraceId&) const = default;
  // Returns 32 hexadecimal digits.
  std::string ToHex() const;
  // Returns the 16 bytes as OTLP has them.
  std::string ToBytes() const;
};

struct SpanId {
  uint64_t value = 0;  // 0: none

  bool operator==(const SpanId&) const = default;
  std::string ToHex() const;
  std::string ToBytes() const;
};

// Returns a number that is not 0, for an id.
uint64_t NewId(const std::function<uint64_t()>& bits);

// The metadata of a call that tell of its trace. The views are valid as long as the call.
struct TraceHeaders {
  absl::string_view traceparent;  // empty: there is none, or more than one
  std::string tracestate;         // several are joined by commas, as the W3C has it
};

struct CallerTrace {
  TraceId trace_id;
  SpanId span_id;
  bool sampled = false;  // the caller traces this call
};

// Returns nothing for a text that is no traceparent.
std::optional<CallerTrace> ParseTraceparent(absl::string_view text);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_TRACES_TRACE_CONTEXT_H_
