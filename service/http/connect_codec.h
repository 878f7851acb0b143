// The Connect protocol on the wire (https://connectrpc.com/docs/protocol): content types, codes, the JSON of errors,
// the envelopes of streams, time limits, and the queries of GET. It does no I/O and knows no connection.
//
// Threading: any thread; everything here is a function of its arguments. Errors are INVALID_ARGUMENT and name the
// header or the parameter, unless a function says otherwise.

#ifndef HOLDFAST_SERVICE_HTTP_CONNECT_CODEC_H_
#define HOLDFAST_SERVICE_HTTP_CONNECT_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::service {

// How the message of a request and those of its reply are written.
struct ContentType {
  bool json = true;     // otherwise protobuf's binary form
  bool stream = false;  // messages in envelopes
  friend bool operator==(const ContentType&, const ContentType&) = default;
};

// Returns the content type of a call; nothing for one that no call has. A character set other than UTF-8 is none.
std::optional<ContentType> ParseContentType(absl::string_view text);
// Returns "application/connect+json" and the like.
absl::string_view ContentTypeName(ContentType type);
// The content types of methods with one reply, and of those with a stream of them, for the header Accept-Post.
inline constexpr absl::string_view kUnaryTypes = "application/json, application/proto";
inline constexpr absl::string_view kStreamTypes = "application/connect+json, application/connect+proto";

// Returns the name of the code: "invalid_argument".
absl::string_view ConnectCode(absl::StatusCode code);
// Returns the status of HTTP for an error with this code.
int HttpStatusOf(absl::StatusCode code);

// Metadata of a reply: names in lower case, and values, which are bytes where the name ends in -bin.
using Metadata = std::vector<std::pair<std::string, std::string>>;
// Returns a value as it stands in a header: the base64 of bytes.
std::string HeaderValue(absl::string_view name, absl::string_view value);

// Returns the JSON of an error: its code, its message and its details. Details of types that this program knows are
// also told in JSON, under "debug".
std::string ErrorJson(const absl::Status& error);
// Returns the message with which a stream ends, in its envelope.
std::string EndOfStream(const absl::Status& outcome, const Metadata& trailers);

// The bytes of an envelope around its message: a byte of flags and the length in 4 bytes, the highest first.
inline constexpr size_t kEnvelopeBytes = 5;
std::string Envelope(absl::string_view message);
// Returns the one message of a request with a stream of replies. INTERNAL for one that is compressed, as Connect has
// it.
absl::StatusOr<absl::string_view> OnlyMessage(absl::string_view body);

// Parses the value of Connect-Timeout-Ms: at most 10 digits.
absl::StatusOr<absl::Duration> ParseTimeoutMs(absl::string_view text);

// The query of a GET.
struct GetQuery {
  bool json = true;
  std::string message;  // the bytes, out of base64 if it was that
};
// `query` is the text behind the question mark. UNIMPLEMENTED for a compression.
absl::StatusOr<GetQuery> ParseGetQuery(absl::string_view query);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_CONNECT_CODEC_H_
