// Reads requests of HTTP/1.1 from bytes, one after the other, with Boost.Beast's parser.
//
// It is stricter than it must be where two readers of the same bytes might see two different requests: a length that is
// given twice or beside chunks, an encoding other than "chunked", bare line ends, folded lines, and names with blanks
// are refused.
// Trailers behind a chunked body are dropped.
//
// Bounds: header_bytes_max bytes of a head, kFieldsMax fields, body_bytes_max of a body. Threading: one thread.

#ifndef HOLDFAST_SERVICE_HTTP_REQUEST_READER_H_
#define HOLDFAST_SERVICE_HTTP_REQUEST_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace holdfast::service {

// A request without its body.
struct RequestHead {
  std::string method;  // "POST"
  std::string path;    // "/holdfast.v1.CounterService/Increment", as it was sent
  std::string query;   // the text behind the question mark
  // The fields in the order in which they came; names are in lower case.
  std::vector<std::pair<std::string, std::string>> fields;
  bool is_1_1 = true;  // otherwise 1.0
  bool keep_alive = true;
  bool expects_continue = false;
  bool has_body = false;

  // Returns the first value of the field; nothing if there is none. `name` is in lower case.
  std::optional<absl::string_view> Find(absl::string_view name) const;
  // Returns all values of the field.
  std::vector<std::string> All(absl::string_view name) const;
};

class RequestReader {
 public:
  static constexpr size_t kFieldsMax = 100;

  RequestReader(size_t header_bytes_max, size_t body_bytes_max);
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;
  ~RequestReader();

  // Why a request can't be read. Nothing more is read from its connection.
  enum class Problem {
    kNone,
    kMalformed,
    kHeadTooLarge,
    kBodyTooLarge,  // the head is there
    kVersion,       // neither 1.0 nor 1.1
  };

  // Takes bytes from the front, and returns how many; the rest is to come again with more behind it. It stops behind
  // the head and behind the request. `bytes` are at least those that were not taken before.
  size_t Take(absl::string_view bytes);
  Problem problem() const;
  // From now on the body may have so many bytes, which are fewer. Call it once has_head().
  void LimitBody(size_t bytes_max);
  // Says what is wrong, for the client.
  const std::string& explanation() const;
  bool has_head() const;
  bool done() const;

  // The head, once has_head().
  const RequestHead& head() const;
  // The body, as far as it was read.
  std::string& body();

 private:
  class Parser;
  const std::unique_ptr<Parser> parser_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_REQUEST_READER_H_
