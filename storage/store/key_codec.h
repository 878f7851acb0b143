// Memcomparable keys: the byte order of the encoded form is the order of the tuples that were encoded.
//
//   text     each 0x00 becomes 0x00 0xFF, and 0x00 0x01 ends it; so "a" sorts before "a\0" before "ab"
//   int64    eight bytes, big-endian, the sign bit flipped
//   uint16   two bytes, big-endian
//   uint32   four bytes, big-endian
//
// storage/FORMAT.md lists the tuples.

#ifndef HOLDFAST_STORAGE_STORE_KEY_CODEC_H_
#define HOLDFAST_STORAGE_STORE_KEY_CODEC_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::storage {

// The bytes that end an encoded text.
inline constexpr size_t kTextEndBytes = 2;

void AppendText(std::string* key, absl::string_view text);
void AppendInt64(std::string* key, int64_t value);
void AppendUint16(std::string* key, uint16_t value);
void AppendUint32(std::string* key, uint32_t value);

// Each takes its part off the front of `*key`. Returns false, with `*key` unspecified, if `*key` does not begin with
// such a part.
bool ConsumeText(absl::string_view* key, std::string* text);
bool ConsumeInt64(absl::string_view* key, int64_t* value);
bool ConsumeUint16(absl::string_view* key, uint16_t* value);
bool ConsumeUint32(absl::string_view* key, uint32_t* value);

// Returns the first key after all keys that begin with `prefix`; empty, which means "no end", if there is none.
std::string PrefixEnd(absl::string_view prefix);

// The keys from `start`, inclusive, to `end`, exclusive; an empty `end` means all keys that follow.
struct KeyRange {
  std::string start;
  std::string end;

  static KeyRange Prefix(absl::string_view prefix) { return {std::string(prefix), PrefixEnd(prefix)}; }
  static KeyRange Single(absl::string_view key) { return {std::string(key), std::string(key) + '\0'}; }
  static KeyRange All() { return {}; }

  bool Contains(absl::string_view key) const { return key >= start && (end.empty() || key < end); }
  bool IsEmpty() const { return !end.empty() && start >= end; }
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_KEY_CODEC_H_
