#include "service/http/connect_codec.h"

#include <google/protobuf/descriptor.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/http/json_codec.h"

namespace holdfast::service {
namespace {

using nlohmann::ordered_json;

struct CodeRow {
  absl::StatusCode code;
  absl::string_view name;
  int http_status;
};

constexpr CodeRow kCodes[] = {
    {absl::StatusCode::kCancelled, "canceled", 499},
    {absl::StatusCode::kUnknown, "unknown", 500},
    {absl::StatusCode::kInvalidArgument, "invalid_argument", 400},
    {absl::StatusCode::kDeadlineExceeded, "deadline_exceeded", 504},
    {absl::StatusCode::kNotFound, "not_found", 404},
    {absl::StatusCode::kAlreadyExists, "already_exists", 409},
    {absl::StatusCode::kPermissionDenied, "permission_denied", 403},
    {absl::StatusCode::kResourceExhausted, "resource_exhausted", 429},
    {absl::StatusCode::kFailedPrecondition, "failed_precondition", 400},
    {absl::StatusCode::kAborted, "aborted", 409},
    {absl::StatusCode::kOutOfRange, "out_of_range", 400},
    {absl::StatusCode::kUnimplemented, "unimplemented", 501},
    {absl::StatusCode::kInternal, "internal", 500},
    {absl::StatusCode::kUnavailable, "unavailable", 503},
    {absl::StatusCode::kDataLoss, "data_loss", 500},
    {absl::StatusCode::kUnauthenticated, "unauthenticated", 401},
};

const CodeRow& RowOf(absl::StatusCode code) {
  for (const CodeRow& row : kCodes) {
    if (row.code == code) return row;
  }
  return kCodes[1];
}

constexpr char kCompressed = 1;
constexpr char kEndStream = 2;
constexpr size_t kTimeoutDigitsMax = 10;
// The JSON of a detail is for people; a larger one is left out.
constexpr size_t kDebugBytesMax = 16 << 10;

absl::Status Invalid(absl::string_view field, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", problem));
}

// Base64 without padding, as Connect writes bytes.
std::string Base64(absl::string_view bytes) {
  std::string text = absl::Base64Escape(bytes);
  while (absl::EndsWith(text, "=")) text.pop_back();
  return text;
}

ordered_json DetailJson(absl::string_view type_url, const std::string& value) {
  const std::string type(absl::StripPrefix(type_url, "type.googleapis.com/"));
  ordered_json detail = {{"type", type}, {"value", Base64(value)}};
  const auto* const descriptor = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (descriptor == nullptr) return detail;
  const absl::StatusOr<std::string> json = ToJson(*descriptor, value, kDebugBytesMax);
  if (!json.ok()) return detail;
  ordered_json debug = ordered_json::parse(*json, nullptr, /*allow_exceptions=*/false);
  if (!debug.is_discarded()) detail["debug"] = std::move(debug);
  return detail;
}

ordered_json ErrorObject(const absl::Status& error) {
  ordered_json object = {{"code", RowOf(error.code()).name}};
  if (!error.message().empty()) object["message"] = std::string(error.message());
  // Abseil visits them in no order, but the same error reads the same each time.
  std::map<std::string, std::string> payloads;
  error.ForEachPayload([&](absl::string_view type_url, const absl::Cord& value) {
    payloads.emplace(std::string(type_url), std::string(value));
  });
  ordered_json details = ordered_json::array();
  for (const auto& [type_url, value] : payloads) details.push_back(DetailJson(type_url, value));
  if (!details.empty()) object["details"] = std::move(details);
  return object;
}

// Returns the text of it; bytes that are no UTF-8 are replaced.
std::string TextOf(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string EnvelopeWith(char flags, absl::string_view message) {
  const auto size = static_cast<uint32_t>(message.size());
  std::string envelope;
  envelope.reserve(kEnvelopeBytes + message.size());
  envelope.push_back(flags);
  for (int shift = 24; shift >= 0; shift -= 8) envelope.push_back(static_cast<char>(size >> shift & 0xff));
  envelope.append(message.data(), message.size());
  return envelope;
}

// Decodes a part of a query. Nothing if an escape is not complete.
std::optional<std::string> Unescaped(absl::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      plain.push_back(' ');
    } else if (text[i] != '%') {
      plain.push_back(text[i]);
    } else {
      if (i + 2 >= text.size() || !absl::ascii_isxdigit(text[i + 1]) || !absl::ascii_isxdigit(text[i + 2])) {
        return std::nullopt;
      }
      plain.append(absl::HexStringToBytes(text.substr(i + 1, 2)));
      i += 2;
    }
  }
  return plain;
}

// Decodes base64 of both alphabets, with padding or without.
std::optional<std::string> FromBase64(absl::string_view text) {
  while (absl::ConsumeSuffix(&text, "=")) {
  }
  std::string bytes;
  if (absl::WebSafeBase64Unescape(text, &bytes) || absl::Base64Unescape(text, &bytes)) return bytes;
  return std::nullopt;
}

}  // namespace

std::optional<ContentType> ParseContentType(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ';');
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string parameter = absl::AsciiStrToLower(absl::StripAsciiWhitespace(parts[i]));
    if (parameter != "charset=utf-8" && parameter != "charset=\"utf-8\"") return std::nullopt;
  }
  const std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(parts[0]));
  for (const bool json : {true, false}) {
    for (const bool stream : {true, false}) {
      const ContentType type{.json = json, .stream = stream};
      if (name == ContentTypeName(type)) return type;
    }
  }
  return std::nullopt;
}

absl::string_view ContentTypeName(ContentType type) {
  if (type.stream) return type.json ? "application/connect+json" : "application/connect+proto";
  return type.json ? "application/json" : "application/proto";
}

absl::string_view ConnectCode(absl::StatusCode code) { return RowOf(code).name; }

int HttpStatusOf(absl::StatusCode code) { return RowOf(code).http_status; }

std::string HeaderValue(absl::string_view name, absl::string_view value) {
  return absl::EndsWith(name, "-bin") ? Base64(value) : std::string(value);
}

std::string ErrorJson(const absl::Status& error) { return TextOf(ErrorObject(error)); }

std::string EndOfStream(const absl::Status& outcome, const Metadata& trailers) {
  ordered_json end = ordered_json::object();
  if (!outcome.ok()) end["error"] = ErrorObject(outcome);
  for (const auto& [name, value] : trailers) end["metadata"][name].push_back(HeaderValue(name, value));
  return EnvelopeWith(kEndStream, TextOf(end));
}

std::string Envelope(absl::string_view message) { return EnvelopeWith(0, message); }

absl::StatusOr<absl::string_view> OnlyMessage(absl::string_view body) {
  if (body.size() < kEnvelopeBytes) return Invalid("body", "has no whole envelope");
  const char flags = body[0];
  size_t size = 0;
  for (size_t i = 1; i < kEnvelopeBytes; ++i) size = size << 8 | static_cast<unsigned char>(body[i]);
  if ((flags & kCompressed) != 0) {
    return absl::InternalError("body: the message is compressed, and Connect-Content-Encoding is identity");
  }
  if (flags != 0) return Invalid("body", absl::StrCat("an envelope with the flags ", static_cast<int>(flags)));
  body.remove_prefix(kEnvelopeBytes);
  if (body.size() < size) {
    return Invalid("body", absl::StrCat("the envelope says ", size, " bytes, and ", body.size(), " have come"));
  }
  if (body.size() > size) return Invalid("body", "has more than one message, and the method takes one");
  return body;
}

absl::StatusOr<absl::Duration> ParseTimeoutMs(absl::string_view text) {
  int64_t ms;
  const bool digits = !text.empty() && text.size() <= kTimeoutDigitsMax &&
                      text.find_first_not_of("0123456789") == absl::string_view::npos;
  if (!digits || !absl::SimpleAtoi(text, &ms)) {
    return Invalid("Connect-Timeout-Ms", "is no number of milliseconds of at most 10 digits");
  }
  return absl::Milliseconds(ms);
}

absl::StatusOr<GetQuery> ParseGetQuery(absl::string_view query) {
  std::optional<std::string> message;
  std::optional<std::string> encoding;
  std::optional<std::string> version;
  bool base64 = false;
  for (const absl::string_view part : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    std::optional<std::string> value = Unescaped(pair.second);
    if (!value) return Invalid(pair.first, "has an escape that is not complete");
    if (pair.first == "message") {
      message = *std::move(value);
    } else if (pair.first == "encoding") {
      encoding = *std::move(value);
    } else if (pair.first == "connect") {
      version = *std::move(value);
    } else if (pair.first == "base64") {
      base64 = *value == "1";
      if (!base64 && *value != "0") return Invalid("base64", "is 1 or left out");
    } else if (pair.first == "compression" && !value->empty() && *value != "identity") {
      return absl::UnimplementedError("compression: only identity is known here");
    }
  }
  if (version != "v1") return Invalid("connect", "must be v1");
  if (encoding != "json" && encoding != "proto") return Invalid("encoding", "must be json or proto");
  if (!message) return Invalid("message", "is missing");
  if (base64) message = FromBase64(*message);
  if (!message) return Invalid("message", "is no base64");
  return GetQuery{.json = encoding == "json", .message = *std::move(message)};
}

}  // namespace holdfast::service
