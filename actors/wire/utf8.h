// Makes text from outside safe for the strings of messages, which must be UTF-8 (proto/utf8.h).

#ifndef HOLDFAST_ACTORS_WIRE_UTF8_H_
#define HOLDFAST_ACTORS_WIRE_UTF8_H_

#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::actors {

// Returns the text with U+FFFD in place of each byte that is not part of a character.
std::string ValidUtf8(absl::string_view text);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_UTF8_H_
