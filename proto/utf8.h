// The form of every text in the contract. One string field that is not UTF-8 makes its whole message unreadable, so the
// server and the clients check a text before they put it into a message. Both include this header, which stands beside
// the contract since neither side sees the other.

#ifndef HOLDFAST_PROTO_UTF8_H_
#define HOLDFAST_PROTO_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"

namespace holdfast {

// Returns the size in bytes of the first character of `text`, which must not be empty; 0 if it is not UTF-8.
inline size_t Utf8CharacterSize(absl::string_view text) {
  const auto byte = [&text](size_t i) -> unsigned { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second >= 0xA0;
  const bool too_large = first == 0xF4 && second >= 0x90;
  return overlong || surrogate || too_large ? 0 : size;
}

inline bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    // Most text is ASCII, and is checked eight bytes at a time.
    uint64_t bytes = 0;
    if (text.size() >= sizeof(bytes)) {
      std::memcpy(&bytes, text.data(), sizeof(bytes));
      if ((bytes & 0x8080808080808080) == 0) {
        text.remove_prefix(sizeof(bytes));
        continue;
      }
    }
    const size_t size = Utf8CharacterSize(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace holdfast

#endif  // HOLDFAST_PROTO_UTF8_H_
