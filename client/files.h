// Reads files whole, within a bound: some files have no end.

#ifndef HOLDFAST_CLIENT_FILES_H_
#define HOLDFAST_CLIENT_FILES_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace holdfast::client {

// Returns the bytes of a file. INVALID_ARGUMENT: the file can't be read, or is over `mebibytes_max`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t mebibytes_max);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_FILES_H_
