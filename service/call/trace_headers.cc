#include "service/call/trace_headers.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast::service {
namespace {

constexpr char kTraceparent[] = "traceparent";
constexpr char kTracestate[] = "tracestate";

absl::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

}  // namespace

TraceHeaders ReadTraceHeaders(const grpc::ServerContext& context) {
  TraceHeaders headers;
  const auto& metadata = context.client_metadata();
  const auto [begin, end] = metadata.equal_range(kTraceparent);
  if (begin == end || std::next(begin) != end) return headers;
  headers.traceparent = View(begin->second);
  const auto [state, state_end] = metadata.equal_range(kTracestate);
  for (auto it = state; it != state_end; ++it) {
    absl::StrAppend(&headers.tracestate, headers.tracestate.empty() ? "" : ",", View(it->second));
  }
  return headers;
}

}  // namespace holdfast::service
