// Reads a small file as a whole: a list of tokens, a set of keys, a certificate.

#ifndef HOLDFAST_SERVICE_ACCESS_SMALL_FILE_H_
#define HOLDFAST_SERVICE_ACCESS_SMALL_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace holdfast::service {

// NOT_FOUND if it can't be read as a file, INVALID_ARGUMENT if it has over `bytes_max`. The errors do not repeat the
// path.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t bytes_max);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_SMALL_FILE_H_
