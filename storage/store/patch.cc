#include "storage/store/patch.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace holdfast::storage {
namespace {

// Unchanged bytes are compared this many at a time.
constexpr size_t kCompareBytes = 64;
constexpr int kVarintBits = 7;
constexpr int kVarintBitsMax = 28;  // 256 MiB: more than any value has

struct Range {
  size_t start;
  size_t end;
};

void AppendVarint(std::string* to, size_t number) {
  for (; number >= 0x80; number >>= kVarintBits) to->push_back(static_cast<char>(number | 0x80));
  to->push_back(static_cast<char>(number));
}

bool ConsumeVarint(absl::string_view* from, size_t* number) {
  *number = 0;
  for (int shift = 0; shift < kVarintBitsMax && !from->empty(); shift += kVarintBits) {
    const auto byte = static_cast<uint8_t>(from->front());
    from->remove_prefix(1);
    *number |= static_cast<size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Takes a range off the front of `*patch`. `*at` is the end of the range before, and becomes the end of this one.
bool ConsumeRange(absl::string_view* patch, size_t* at, Range* range, absl::string_view* bytes) {
  size_t gap;
  size_t length;
  if (!ConsumeVarint(patch, &gap) || !ConsumeVarint(patch, &length)) return false;
  if (length == 0 || length > patch->size()) return false;
  *range = {*at + gap, *at + gap + length};
  *bytes = patch->substr(0, length);
  patch->remove_prefix(length);
  *at = range->end;
  return true;
}

bool AppendRanges(absl::string_view patch, std::vector<Range>* ranges) {
  size_t at = 0;
  Range range;
  absl::string_view bytes;
  while (!patch.empty()) {
    if (!ConsumeRange(&patch, &at, &range, &bytes)) return false;
    ranges->push_back(range);
  }
  return true;
}

// `ranges` are in the order of their starts.
std::optional<std::string> Write(const std::vector<Range>& ranges, absl::string_view value) {
  std::string patch;
  size_t at = 0;
  for (size_t i = 0; i < ranges.size();) {
    Range range = ranges[i++];
    while (i < ranges.size() && ranges[i].start < range.end + kPatchGapMin) {
      range.end = std::max(range.end, ranges[i++].end);
    }
    if (range.end > value.size()) return std::nullopt;
    AppendVarint(&patch, range.start - at);
    AppendVarint(&patch, range.end - range.start);
    patch.append(value.data() + range.start, range.end - range.start);
    if (patch.size() > value.size() / 2) return std::nullopt;
    at = range.end;
  }
  return patch;
}

// Returns the position of the next byte from `at` on that is not the same in both; their end if there is none.
size_t NextDifference(absl::string_view a, absl::string_view b, size_t at) {
  while (at + kCompareBytes <= a.size() && std::memcmp(a.data() + at, b.data() + at, kCompareBytes) == 0) {
    at += kCompareBytes;
  }
  while (at < a.size() && a[at] == b[at]) ++at;
  return at;
}

}  // namespace

std::optional<std::string> MakePatch(absl::string_view base, absl::string_view value) {
  if (base.size() != value.size()) return std::nullopt;
  std::vector<Range> ranges;
  for (size_t at = NextDifference(base, value, 0); at < value.size();) {
    const size_t start = at;
    while (at < value.size() && base[at] != value[at]) ++at;
    ranges.push_back({start, at});
    at = NextDifference(base, value, at);
  }
  return Write(ranges, value);
}

std::optional<std::string> JoinPatches(absl::string_view older, absl::string_view newer, absl::string_view value) {
  std::vector<Range> ranges;
  if (!AppendRanges(older, &ranges) || !AppendRanges(newer, &ranges)) return std::nullopt;
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.start < b.start; });
  return Write(ranges, value);
}

bool ApplyPatch(absl::string_view patch, std::string* value) {
  size_t at = 0;
  Range range;
  absl::string_view bytes;
  while (!patch.empty()) {
    if (!ConsumeRange(&patch, &at, &range, &bytes) || range.end > value->size()) return false;
    std::memcpy(value->data() + range.start, bytes.data(), bytes.size());
  }
  return true;
}

}  // namespace holdfast::storage
