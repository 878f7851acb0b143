// A patch: a value as the byte ranges in which it differs from one of the same length that was there before. What is
// large and changes little, as a page of a SQL database does, is written as one.
//
// The bytes: for each range, in their order, varint gap (how many bytes lie between the end of the range before, or the
// beginning, and this one), varint length, the bytes as they are now. A varint has seven bits a byte, the lowest first,
// and 0x80 in each byte but the last.
//
// A patch says what is there afterwards, so applying it twice, or applying it and then one that goes on from it, twice,
// is as good as once.

#ifndef HOLDFAST_STORAGE_STORE_PATCH_H_
#define HOLDFAST_STORAGE_STORE_PATCH_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::storage {

// Ranges with fewer bytes than this between them are one: a range of its own costs about as much.
inline constexpr size_t kPatchGapMin = 4;

// What makes `value` of `base`. Nothing where it is not worth it, and the value is to be written in full: it has
// another length, or the patch would have more than half of its bytes.
std::optional<std::string> MakePatch(absl::string_view base, absl::string_view value);

// One patch for two in a row, the second of which led to `value`. Nothing where it is not worth it.
std::optional<std::string> JoinPatches(absl::string_view older, absl::string_view newer, absl::string_view value);

// False, with `*value` unspecified, for what is no patch, or none of a value so short.
[[nodiscard]] bool ApplyPatch(absl::string_view patch, std::string* value);

// What a store has in place of a value that a patch was to make, but that it cannot: there is nothing to apply it to,
// or it does not fit. That is damage, which who reads the value must tell by its length: a store that failed instead
// could not write its tables any more.
inline constexpr absl::string_view kDamagedValue = "damaged";

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_PATCH_H_
