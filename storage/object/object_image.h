// A whole object as one file: its keys as they are in its keyspace, and its alarm. storage/FORMAT.md has the bytes.
//
// The image lacks what belongs to the place and the run of the object: its header, whose counts a new object makes
// itself, and a delivery of its alarm that is out.

#ifndef HOLDFAST_STORAGE_OBJECT_OBJECT_IMAGE_H_
#define HOLDFAST_STORAGE_OBJECT_OBJECT_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::storage {

struct ObjectImage {
  std::string object_class;
  int64_t schema_version = 0;  // of the class
  std::optional<int64_t> alarm_us;
  // In order.
  std::vector<std::pair<std::string, std::string>> keys;

  bool operator==(const ObjectImage&) const = default;
};

// Adds the keys of an object, in order. The record of an alarm of clients is added without the delivery that is out:
// such an alarm is due again, and becomes that of the image. DATA_LOSS if the record is garbled.
absl::Status AddKeys(std::vector<std::pair<std::string, std::string>> keys, ObjectImage* image);

// The bytes of a file beside those of the keys and values, and for each key.
inline constexpr size_t kObjectImageBytes = 128;
inline constexpr size_t kObjectImageBytesPerKey = 8;

std::string EncodeObjectImage(const ObjectImage& image);

// Errors, which say what is wrong: DATA_LOSS for a damaged file, INVALID_ARGUMENT for one that is no file of an object,
// FAILED_PRECONDITION for one of a later version of the format.
absl::StatusOr<ObjectImage> DecodeObjectImage(absl::string_view file);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_OBJECT_IMAGE_H_
