#include "actors/wire/utf8.h"

#include "absl/strings/str_cat.h"
#include "proto/utf8.h"

namespace holdfast::actors {

std::string ValidUtf8(absl::string_view text) {
  if (IsUtf8(text)) return std::string(text);
  constexpr absl::string_view kReplacement = "\xef\xbf\xbd";
  std::string valid;
  while (!text.empty()) {
    const size_t size = Utf8CharacterSize(text);
    absl::StrAppend(&valid, size > 0 ? text.substr(0, size) : kReplacement);
    text.remove_prefix(size > 0 ? size : 1);
  }
  return valid;
}

}  // namespace holdfast::actors
