// The values that metadata may have. Threading: any thread.

#ifndef HOLDFAST_SERVICE_CALL_METADATA_TEXT_H_
#define HOLDFAST_SERVICE_CALL_METADATA_TEXT_H_

#include <algorithm>

#include "absl/strings/string_view.h"

namespace holdfast::service {

// Returns whether a call may send this as the value of metadata whose key does not end in "-bin": printable ASCII. gRPC
// ends the process that tries to send another, so whoever passes on what a client has sent must look.
inline bool IsMetadataText(absl::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_METADATA_TEXT_H_
