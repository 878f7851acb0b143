// Reads and writes files: whole, within a bound, since some files have no end; or in parts.

#ifndef HOLDFAST_CLIENT_FILES_H_
#define HOLDFAST_CLIENT_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace holdfast::client {

// Returns the bytes of a file. INVALID_ARGUMENT: the file can't be read, or is over `mebibytes_max`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t mebibytes_max);

// Writes a file in parts: `write` calls its argument with each, which returns false if the part can't be written. An
// earlier file of this name stays until all is there. Returns the number of bytes. INVALID_ARGUMENT: the file can't be
// written; the error of `write`.
using OnChunk = absl::FunctionRef<bool(const std::string&)>;
absl::StatusOr<int64_t> WriteInParts(const std::string& path, absl::FunctionRef<absl::Status(OnChunk)> write);

// Reads a file in parts: `read` calls its argument for each, which returns false at the end. INVALID_ARGUMENT: the file
// can't be read; the error of `read`.
using NextChunk = absl::FunctionRef<bool(std::string*)>;
absl::Status ReadInParts(const std::string& path, absl::FunctionRef<absl::Status(NextChunk)> read);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_FILES_H_
