// Parses requests that are always small if they are valid: the items of a stream, and the requests of calls that only
// name an object or the like. A larger one is refused before anybody parses it (request_parser.h says why).

#ifndef HOLDFAST_SERVICE_CALL_SMALL_REQUEST_H_
#define HOLDFAST_SERVICE_CALL_SMALL_REQUEST_H_

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "service/call/request_parser.h"

namespace holdfast::service {

// Returns the error for a client that has sent bytes which are no message of this type.
template <typename Request>
absl::Status NotA() {
  return actors::InvalidField("request", absl::StrCat("is no ", Request::descriptor()->full_name(),
                                                      ": not its bytes, or a text that is not UTF-8"));
}

// Parses the bytes of the buffer and empties it. INVALID_ARGUMENT if they are too many or no such message.
template <typename Request>
absl::Status ParseSmall(grpc::ByteBuffer* buffer, Request* request) {
  const size_t bytes = buffer->Length();
  if (bytes > RequestParser::kSmallBytes) {
    buffer->Clear();
    return actors::InvalidField("request", absl::StrCat("has ", bytes, " bytes; at most ", RequestParser::kSmallBytes));
  }
  return grpc::SerializationTraits<Request>::Deserialize(buffer, request).ok() ? absl::OkStatus() : NotA<Request>();
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_SMALL_REQUEST_H_
