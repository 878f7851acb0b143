// Texts that others have made, for strings of Protobuf: one that is not UTF-8 makes its whole message unreadable.

#ifndef HOLDFAST_ACTORS_WIRE_UTF8_H_
#define HOLDFAST_ACTORS_WIRE_UTF8_H_

#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::actors {

bool IsUtf8(absl::string_view text);
// With U+FFFD for each byte that is of no character.
std::string ValidUtf8(absl::string_view text);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_UTF8_H_
