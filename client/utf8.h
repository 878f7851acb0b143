#ifndef HOLDFAST_CLIENT_UTF8_H_
#define HOLDFAST_CLIENT_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace holdfast::client {

// Returns the size in bytes of the first character of `text`, which must not be empty; 0 if it is not UTF-8.
size_t Utf8CharacterSize(absl::string_view text);

bool IsUtf8(absl::string_view text);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_UTF8_H_
