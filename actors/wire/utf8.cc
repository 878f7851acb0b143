#include "actors/wire/utf8.h"

#include "google/protobuf/stubs/common.h"

namespace holdfast::actors {
namespace {

// Returns the size of the character that begins with this byte.
size_t SizeOf(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  return google::protobuf::internal::IsStructurallyValidUTF8(text.data(), static_cast<int>(text.size()));
}

std::string ValidUtf8(absl::string_view text) {
  if (IsUtf8(text)) return std::string(text);
  constexpr absl::string_view kReplacement = "\xef\xbf\xbd";
  std::string valid;
  while (!text.empty()) {
    const absl::string_view character = text.substr(0, SizeOf(text[0]));
    const bool is_valid = IsUtf8(character);
    valid.append(is_valid ? character.data() : kReplacement.data(), is_valid ? character.size() : kReplacement.size());
    text.remove_prefix(is_valid ? character.size() : 1);
  }
  return valid;
}

}  // namespace holdfast::actors
