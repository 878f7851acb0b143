#include "actors/wire/entry.h"

#include <xxhash.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "storage/object/object_storage.h"

namespace holdfast::actors {
namespace {

constexpr size_t kShownBytesMax = 100;

}  // namespace

std::string EtagOf(absl::string_view value) {
  const XXH128_hash_t hash = XXH3_128bits(value.data(), value.size());
  return absl::StrCat(absl::Hex(hash.high64, absl::kZeroPad16), absl::Hex(hash.low64, absl::kZeroPad16));
}

absl::Status CheckEntryKey(absl::string_view key, absl::string_view field) {
  if (key.empty()) return InvalidField(field, "must not be empty");
  if (key.size() <= storage::kEntryKeyBytesMax) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("has ", key.size(), " bytes; at most ", storage::kEntryKeyBytesMax));
}

absl::Status CheckEntryValue(absl::string_view value, absl::string_view field) {
  if (value.size() <= storage::kEntryValueBytesMax) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("has ", value.size(), " bytes; at most ", storage::kEntryValueBytesMax));
}

absl::Status CheckEntryCount(int count, absl::string_view field) {
  if (count >= 1 && static_cast<size_t>(count) <= storage::kEntriesPerCallMax) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("has ", count, " items; must be 1 to ", storage::kEntriesPerCallMax));
}

std::string KeyForPeople(absl::string_view key) {
  const std::string shown = absl::CHexEscape(key.substr(0, kShownBytesMax));
  return absl::StrCat("\"", shown, key.size() > kShownBytesMax ? "..." : "", "\"");
}

}  // namespace holdfast::actors
