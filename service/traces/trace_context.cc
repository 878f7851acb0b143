#include "service/traces/trace_context.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

// The places of the fields in a traceparent of version 00, each but the last followed by a dash.
constexpr size_t kVersionAt = 0, kVersionDigits = 2;
constexpr size_t kTraceIdAt = 3, kHalfDigits = 16;
constexpr size_t kSpanIdAt = 36, kSpanIdDigits = 16;
constexpr size_t kFlagsAt = 53, kFlagsDigits = 2;
constexpr size_t kBytes = 55;

constexpr uint64_t kInvalidVersion = 0xff;
constexpr uint64_t kSampled = 1;

// Returns nothing unless all are digits; the W3C permits lower case alone.
std::optional<uint64_t> ParseHex(absl::string_view digits) {
  uint64_t value = 0;
  for (const char c : digits) {
    if (c >= '0' && c <= '9') {
      value = value << 4 | static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value << 4 | static_cast<uint64_t>(c - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return value;
}

std::string BytesOf(uint64_t value) {
  std::string bytes(sizeof(value), '\0');
  for (size_t i = 0; i < sizeof(value); ++i) bytes[i] = static_cast<char>(value >> (8 * (sizeof(value) - 1 - i)));
  return bytes;
}

}  // namespace

std::string TraceId::ToHex() const { return absl::BytesToHexString(ToBytes()); }
std::string TraceId::ToBytes() const { return absl::StrCat(BytesOf(high), BytesOf(low)); }
std::string SpanId::ToHex() const { return absl::BytesToHexString(ToBytes()); }
std::string SpanId::ToBytes() const { return BytesOf(value); }

std::optional<CallerTrace> ParseTraceparent(absl::string_view text) {
  if (text.size() < kBytes) return std::nullopt;
  const auto version = ParseHex(text.substr(kVersionAt, kVersionDigits));
  const auto high = ParseHex(text.substr(kTraceIdAt, kHalfDigits));
  const auto low = ParseHex(text.substr(kTraceIdAt + kHalfDigits, kHalfDigits));
  const auto span_id = ParseHex(text.substr(kSpanIdAt, kSpanIdDigits));
  const auto flags = ParseHex(text.substr(kFlagsAt, kFlagsDigits));
  if (!version || !high || !low || !span_id || !flags) return std::nullopt;
  for (const size_t dash : {kTraceIdAt - 1, kSpanIdAt - 1, kFlagsAt - 1}) {
    if (text[dash] != '-') return std::nullopt;
  }
  // A later version may have more fields after these.
  const bool more = text.size() > kBytes;
  if (*version == kInvalidVersion || (more && (*version == 0 || text[kBytes] != '-'))) return std::nullopt;
  if ((*high == 0 && *low == 0) || *span_id == 0) return std::nullopt;
  return CallerTrace{{*high, *low}, {*span_id}, (*flags & kSampled) != 0};
}

uint64_t NewId(const std::function<uint64_t()>& bits) {
  uint64_t id;
  do {
    id = bits();
  } while (id == 0);
  return id;
}

}  // namespace holdfast::service
