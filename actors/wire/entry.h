// Entries of the key-value storage as clients see them: bounds and etags.

#ifndef HOLDFAST_ACTORS_WIRE_ENTRY_H_
#define HOLDFAST_ACTORS_WIRE_ENTRY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace holdfast::actors {

// Returns the XXH3-128 of the value, as 32 hexadecimal digits.
std::string EtagOf(absl::string_view value);
// These return INVALID_ARGUMENT, naming the field, unless the key or value is within its bounds.
absl::Status CheckEntryKey(absl::string_view key, absl::string_view field);
absl::Status CheckEntryValue(absl::string_view value, absl::string_view field);
// INVALID_ARGUMENT, naming the field, unless `count` is from 1 to the most entries that one call may name.
absl::Status CheckEntryCount(int count, absl::string_view field);
// Returns the key for a message: printable, and not too long.
std::string KeyForPeople(absl::string_view key);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_ENTRY_H_
