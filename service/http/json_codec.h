// Messages between protobuf's JSON and its binary form, by their descriptors, with protobuf's own code. No message
// class is needed, so a method of any service can be called.
//
// Bounds: `bytes_max` bytes of output; JSON nests at most 100 deep, as protobuf has it. Memory is a few times that of
// input and output.
//
// Threading: any thread. A MiB takes some 10 ms, so large messages belong on a thread that may be busy.

#ifndef HOLDFAST_SERVICE_HTTP_JSON_CODEC_H_
#define HOLDFAST_SERVICE_HTTP_JSON_CODEC_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::service {

// INVALID_ARGUMENT says where the JSON is wrong, and names a field that the message does not have. RESOURCE_EXHAUSTED:
// the message has over `bytes_max` bytes.
absl::StatusOr<std::string> FromJson(const google::protobuf::Descriptor& message, absl::string_view json,
                                     size_t bytes_max);

// The bytes are a message that was serialised here; of others protobuf may take a part. RESOURCE_EXHAUSTED: the JSON
// has over `bytes_max` bytes.
absl::StatusOr<std::string> ToJson(const google::protobuf::Descriptor& message, absl::string_view binary,
                                   size_t bytes_max);
absl::StatusOr<std::string> ToJson(const google::protobuf::Descriptor& message,
                                   google::protobuf::io::ZeroCopyInputStream* binary, size_t bytes_max);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_JSON_CODEC_H_
