#include "service/http/cors.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

// The fields that clients of Connect send, beside those that need no leave.
constexpr absl::string_view kRequestHeaders =
    "content-type, connect-protocol-version, connect-timeout-ms, authorization, traceparent, tracestate, x-user-agent";

constexpr absl::string_view kAny = "*";

// Returns the host of "HOST:PORT", in lower case.
std::string HostOf(absl::string_view authority) {
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.rfind(':');
  if (colon != absl::string_view::npos && (bracket == absl::string_view::npos || colon > bracket)) {
    authority = authority.substr(0, colon);
  }
  return absl::AsciiStrToLower(authority);
}

bool IsThisMachine(absl::string_view host) {
  if (host == "localhost" || host == "[::1]" || absl::EndsWith(host, ".localhost")) return true;
  return absl::StartsWith(host, "127.") && host.find_first_not_of("0123456789.") == absl::string_view::npos;
}

// Returns whether the origin is that of the server itself. A proxy in front may speak TLS, so the scheme does not
// count.
bool IsOwn(absl::string_view origin, const RequestHead& head) {
  const size_t scheme = origin.find("://");
  const auto host = head.Find("host");
  return scheme != absl::string_view::npos && host && absl::EqualsIgnoreCase(origin.substr(scheme + 3), *host);
}

}  // namespace

Cors::Cors(const config::v1::HttpConfig& config, bool has_tls)
    : allowed_headers_(kRequestHeaders), max_age_(absl::StrCat(config.cors().max_age_ms() / 1000)) {
  for (const std::string& origin : config.cors().allowed_origin()) {
    any_origin_ |= origin == kAny;
    origins_.insert(origin);
  }
  for (const std::string& header : config.cors().allowed_header()) absl::StrAppend(&allowed_headers_, ", ", header);
  for (const std::string& host : config.allowed_host()) {
    any_host_ |= host == kAny;
    hosts_.insert(absl::AsciiStrToLower(host));
  }
  if (hosts_.empty()) any_host_ = has_tls || !IsThisMachine(HostOf(config.listen()));
}

bool Cors::MayBeNamed(const RequestHead& head) const {
  const auto host = head.Find("host");
  // Only HTTP/1.0 may leave it out, which no browser speaks.
  if (any_host_ || !host) return true;
  const std::string name = HostOf(*host);
  return IsThisMachine(name) || hosts_.contains(name);
}

bool Cors::IsAllowed(absl::string_view origin) const { return any_origin_ || origins_.contains(origin); }

bool Cors::MayCall(const RequestHead& head) const {
  const auto origin = head.Find("origin");
  if (origin) return IsAllowed(*origin) || IsOwn(*origin, head);
  // A browser does not name the origin of a page that loads an image, say, but tells that it is another one. A link
  // that a person follows is no call of the page.
  const absl::string_view site = head.Find("sec-fetch-site").value_or("none");
  return any_origin_ || site == "none" || site == "same-origin" || head.Find("sec-fetch-mode") == "navigate";
}

bool Cors::IsPreflight(const RequestHead& head) {
  return head.method == "OPTIONS" && head.Find("origin") && head.Find("access-control-request-method");
}

Headers Cors::ForAnswer(const RequestHead& head) const {
  Headers headers;
  // The answer is another one for another origin, unless all have the same.
  if (!any_origin_ && !origins_.empty()) headers.emplace_back("vary", "origin");
  const auto origin = head.Find("origin");
  if (origin && IsAllowed(*origin)) {
    headers.emplace_back("access-control-allow-origin", any_origin_ ? std::string(kAny) : std::string(*origin));
  }
  return headers;
}

Headers Cors::ForPreflight(const RequestHead& head) const {
  Headers headers = ForAnswer(head);
  headers.emplace_back("access-control-allow-methods", "GET, POST");
  headers.emplace_back("access-control-allow-headers", allowed_headers_);
  headers.emplace_back("access-control-max-age", max_age_);
  return headers;
}

void Cors::Expose(absl::string_view exposed, Headers* headers) {
  const bool wanted = std::any_of(headers->begin(), headers->end(),
                                  [](const auto& field) { return field.first == "access-control-allow-origin"; });
  if (wanted && !exposed.empty()) headers->emplace_back("access-control-expose-headers", std::string(exposed));
}

}  // namespace holdfast::service
