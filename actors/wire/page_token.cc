#include "actors/wire/page_token.h"

#include <xxhash.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/deterministic.h"
#include "actors/wire/errors.h"
#include "storage/store/key_codec.h"

namespace holdfast::actors {
namespace {

// Returns a checksum of fingerprint and position together, which detects a change of any byte.
int64_t Checksum(uint64_t fingerprint, absl::string_view position) {
  return static_cast<int64_t>(XXH3_64bits_withSeed(position.data(), position.size(), fingerprint));
}

}  // namespace

absl::StatusOr<size_t> PageSize(int32_t page_size) {
  if (page_size < 0) return InvalidField("page_size", "must not be negative");
  return page_size == 0 ? kPageSizeDefault : std::min(page_size, kPageSizeMax);
}

uint64_t PageFingerprint(const google::protobuf::Message& request) {
  const std::string bytes = request.GetDescriptor()->full_name() + SerializeDeterministically(request);
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string MakePageToken(uint64_t fingerprint, absl::string_view position) {
  std::string bytes;
  storage::AppendInt64(&bytes, Checksum(fingerprint, position));
  absl::StrAppend(&bytes, position);
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<std::string> ParsePageToken(absl::string_view token, uint64_t fingerprint) {
  std::string bytes;
  int64_t checksum = 0;
  absl::string_view rest;
  const bool well_formed = absl::WebSafeBase64Unescape(token, &bytes);
  if (well_formed) rest = bytes;
  if (!well_formed || !storage::ConsumeInt64(&rest, &checksum) || checksum != Checksum(fingerprint, rest)) {
    return InvalidField("page_token", "is not one that this list, with these arguments, has given");
  }
  return std::string(rest);
}

}  // namespace holdfast::actors
