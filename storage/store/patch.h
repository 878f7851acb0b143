// A patch describes a value by the byte ranges in which it differs from an earlier value of the same length. Large
// values that change little, such as pages of a SQL database, are written as patches.
//
// Encoding: for each range, in order, varint gap (the bytes between the end of the range before, or the beginning, and
// this range), varint length, the new bytes. A varint has seven bits a byte, the lowest first, and 0x80 in each byte
// but the last.
//
// A patch has the new bytes, so applying it twice is as good as once. The same holds for a patch and the next one:
// applying both, and both again, is as good as once.

#ifndef HOLDFAST_STORAGE_STORE_PATCH_H_
#define HOLDFAST_STORAGE_STORE_PATCH_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::storage {

// Ranges with fewer bytes than this between them are joined: a separate range costs about as much.
inline constexpr size_t kPatchGapMin = 4;

// Returns the patch that makes `value` of `base`. Returns nothing if `value` is to be written in full: it has another
// length, or the patch would have more than half of its bytes.
std::optional<std::string> MakePatch(absl::string_view base, absl::string_view value);

// Joins two patches in a row, the second of which led to `value`. Returns nothing if `value` is to be written in full.
std::optional<std::string> JoinPatches(absl::string_view older, absl::string_view newer, absl::string_view value);

// Applies a patch to `*value`. Returns false, with `*value` unspecified, if `patch` is malformed or goes past the end
// of `*value`.
[[nodiscard]] bool ApplyPatch(absl::string_view patch, std::string* value);

// A store puts this in place of a value if a patch cannot be applied: there is no value to apply it to, or the patch
// does not fit. That is damage, and readers must recognise it by the length of the value. The store does not fail
// instead, since it could then write no more tables.
inline constexpr absl::string_view kDamagedValue = "damaged";

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_PATCH_H_
