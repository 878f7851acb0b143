#include "storage/store/damage.h"

#include <cstddef>
#include <memory>

namespace holdfast::storage {
namespace {

// The place is searched for byte by byte, up to this many bytes. Blocks end at short keys, so few are needed.
constexpr size_t kPlaceBytesMax = 600;
// No key has this many bytes FF in a row, so nothing lies behind them.
constexpr size_t kHighBytesMax = 8;

bool CanRead(Store* store, const Location& location, const KeyRange& range) {
  const std::unique_ptr<Cursor> cursor = store->NewCursor(location, range, ReadTier::kDisk);
  cursor->SeekToFirst();
  return cursor->state() != ReadResult::kError;
}

}  // namespace

std::optional<std::string> ReadableFrom(Store* store, const Location& location, const KeyRange& range) {
  const auto readable = [&](const std::string& place) {
    if (place < range.start) return false;
    return !range.Contains(place) || CanRead(store, location, {place, range.end});
  };
  if (readable(range.start)) return range.start;
  // `last` is a prefix of the last place that is not readable.
  std::string last;
  size_t high_bytes = 0;
  while (last.size() < kPlaceBytesMax && high_bytes < kHighBytesMax && !readable(last + '\0')) {
    // Finds the highest next byte with which the place is not readable.
    int low = 0;
    int high = 256;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (readable(last + static_cast<char>(middle)) ? high : low) = middle;
    }
    last.push_back(static_cast<char>(low));
    high_bytes = low == 0xff ? high_bytes + 1 : 0;
  }
  const bool exact = last.size() < kPlaceBytesMax && high_bytes < kHighBytesMax;
  std::string place = exact ? last + '\0' : PrefixEnd(last);
  if (place.empty() || !range.Contains(place)) return std::nullopt;
  return place;
}

absl::Status ScanReadable(Store* store, const Location& location, KeyRange range, EntryVisitor visit,
                          DamageVisitor damaged) {
  while (!range.IsEmpty()) {
    const std::unique_ptr<Cursor> cursor = store->NewCursor(location, range, ReadTier::kDisk);
    for (cursor->SeekToFirst(); cursor->state() == ReadResult::kFound; cursor->Next()) {
      range.start = std::string(cursor->key()) + '\0';
      if (!visit(cursor->key(), cursor->value())) return absl::OkStatus();
    }
    if (cursor->state() == ReadResult::kAbsent) return absl::OkStatus();
    const absl::Status why = cursor->error();
    if (why.code() != absl::StatusCode::kDataLoss) return why;
    const std::optional<std::string> next = ReadableFrom(store, location, range);
    if (next == range.start) return why;
    damaged({range.start, next.value_or(range.end)}, why);
    if (!next) return absl::OkStatus();
    range.start = *next;
  }
  return absl::OkStatus();
}

}  // namespace holdfast::storage
