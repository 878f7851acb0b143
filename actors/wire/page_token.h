// Pages of lists (AIP-158): sizes and tokens.
//
// A token holds where the next page begins and a fingerprint of the request without its page fields, so that a token
// used with other arguments, or garbled, is refused instead of answered wrongly. It is opaque, not secret.

#ifndef HOLDFAST_ACTORS_WIRE_PAGE_TOKEN_H_
#define HOLDFAST_ACTORS_WIRE_PAGE_TOKEN_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace holdfast::actors {

inline constexpr int32_t kPageSizeDefault = 100;
inline constexpr int32_t kPageSizeMax = 1000;
// A page ends after the item with which it reaches this many bytes.
inline constexpr size_t kPageBytesMax = 1 << 20;

// Returns the number of items that `page_size` asks for; INVALID_ARGUMENT if it is negative.
absl::StatusOr<size_t> PageSize(int32_t page_size);

// Returns the fingerprint of a request whose page_size and page_token are cleared.
uint64_t PageFingerprint(const google::protobuf::Message& request);
std::string MakePageToken(uint64_t fingerprint, absl::string_view position);
// Returns the position in the token; INVALID_ARGUMENT, naming page_token, if the token is garbled or has another
// fingerprint.
absl::StatusOr<std::string> ParsePageToken(absl::string_view token, uint64_t fingerprint);

// The start of a list request's page: its size, the position in its token, or "" without a token, and the fingerprint
// for the next token.
struct PageStart {
  size_t size;
  std::string position;
  uint64_t fingerprint;
};

template <typename Request>
absl::StatusOr<PageStart> BeginPage(const Request& request) {
  absl::StatusOr<size_t> size = PageSize(request.page_size());
  if (!size.ok()) return size.status();
  Request arguments = request;
  arguments.clear_page_size();
  arguments.clear_page_token();
  PageStart start{*size, "", PageFingerprint(arguments)};
  if (!request.page_token().empty()) {
    absl::StatusOr<std::string> position = ParsePageToken(request.page_token(), start.fingerprint);
    if (!position.ok()) return position.status();
    start.position = *std::move(position);
  }
  return start;
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_PAGE_TOKEN_H_
