// A bearer token from a file. Tokens expire and are replaced, so a long-lived client reads the file again.

#ifndef HOLDFAST_CLIENT_TOKEN_FILE_H_
#define HOLDFAST_CLIENT_TOKEN_FILE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::client {

// Returns the token that a call is to carry; an error fails the call. Any thread may call it.
using TokenSource = std::function<absl::StatusOr<std::string>()>;

// Returns whether a call can carry this token: one word of printable ASCII, at most 8 KiB.
bool IsBearerToken(absl::string_view token);

// Returns the token that the file holds, without the blanks and the newline around it. INVALID_ARGUMENT names the file,
// and shows nothing of what it holds.
absl::StatusOr<std::string> ReadToken(const std::string& path);

// Returns a source that reads the file once, and again after each change of it: of its time, size or inode.
TokenSource TokenFromFile(const std::string& path);

// Returns whether users other than the owner may read or change the file.
bool OthersMayUse(const std::string& path);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_TOKEN_FILE_H_
