// The bytes of one run of a fuzz target, taken apart from the front. When there are no more, numbers are 0 and texts
// empty.

#ifndef HOLDFAST_TESTS_FUZZ_INPUT_H_
#define HOLDFAST_TESTS_FUZZ_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t bytes) : rest_(reinterpret_cast<const char*>(data), bytes) {}

  bool empty() const { return rest_.empty(); }
  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  // Returns a number from 0 to n - 1.
  size_t Below(size_t n) { return (size_t{Byte()} << 8 | Byte()) % n; }
  // Returns a text of up to 255 bytes, whose length comes first.
  std::string Text() { return Bytes(Byte()); }
  // Returns the next bytes, at most `max`.
  std::string Bytes(size_t max) {
    const std::string bytes(rest_.substr(0, max));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  int64_t Number() {
    uint64_t number = 0;
    for (int i = 0; i < 8; ++i) number = number << 8 | Byte();
    return static_cast<int64_t>(number);
  }
  absl::string_view rest() const { return rest_; }

 private:
  absl::string_view rest_;
};

}  // namespace holdfast::fuzz

#endif  // HOLDFAST_TESTS_FUZZ_INPUT_H_
