// Makes text from outside safe for strings of Protobuf: one string that is not UTF-8 makes its whole message
// unreadable.

#ifndef HOLDFAST_ACTORS_WIRE_UTF8_H_
#define HOLDFAST_ACTORS_WIRE_UTF8_H_

#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::actors {

bool IsUtf8(absl::string_view text);
// Returns the text with U+FFFD in place of each byte that is not part of a character.
std::string ValidUtf8(absl::string_view text);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_UTF8_H_
