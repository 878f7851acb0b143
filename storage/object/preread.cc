#include "storage/object/preread.h"

#include <algorithm>

#include "absl/status/status.h"

namespace holdfast::storage {
namespace {

class PrereadCursor : public Cursor {
 public:
  using Entries = Preread::Entries;

  PrereadCursor(const Entries* entries, const KeyRange& range)
      : begin_(LowerBound(*entries, range.start)),
        end_(range.end.empty() ? entries->end() : LowerBound(*entries, range.end)),
        at_(end_) {}

  void SeekToFirst() override { at_ = begin_; }
  void SeekToLast() override { at_ = begin_ == end_ ? end_ : std::prev(end_); }
  void Seek(absl::string_view key) override {
    at_ = std::lower_bound(begin_, end_, key, [](const auto& entry, absl::string_view k) { return entry.first < k; });
  }
  void Next() override { ++at_; }
  void Prev() override { at_ = at_ == begin_ ? end_ : std::prev(at_); }
  ReadResult state() const override { return at_ == end_ ? ReadResult::kAbsent : ReadResult::kFound; }
  absl::Status error() const override { return absl::OkStatus(); }
  absl::string_view key() const override { return at_->first; }
  absl::string_view value() const override { return at_->second; }

 private:
  static Entries::const_iterator LowerBound(const Entries& entries, absl::string_view key) {
    return std::lower_bound(entries.begin(), entries.end(), key,
                            [](const auto& entry, absl::string_view k) { return entry.first < k; });
  }

  const Entries::const_iterator begin_;
  const Entries::const_iterator end_;
  Entries::const_iterator at_;
};

// Reads one object, and returns the bytes that this took.
size_t ReadOne(Store* store, PrereadOrder* order) {
  Preread::Entries entries;
  size_t bytes = 0;
  KeyRange range = KeyRange::All();
  if (!order->last.empty()) range.end = KeyRange::Single(order->last).end;
  const auto cursor = store->NewCursor(order->location, range, ReadTier::kDisk);
  for (cursor->SeekToFirst(); cursor->state() == ReadResult::kFound; cursor->Next()) {
    const absl::string_view key = cursor->key();
    const absl::string_view value = cursor->value();
    if (entries.size() == Preread::kEntriesMax || bytes + key.size() + value.size() > Preread::kBytesMax) {
      range.end = std::string(key);
      break;
    }
    bytes += key.size() + value.size();
    entries.emplace_back(std::string(key), std::string(value));
    // The step to the next key could read a large value that nobody asks for.
    if (key == order->last) break;
  }
  // Nothing is known if the first key could not be read, or had too large a value.
  if (cursor->state() == ReadResult::kError || (entries.empty() && cursor->state() == ReadResult::kFound)) return bytes;
  order->read = std::make_unique<Preread>(std::move(range), std::move(entries));
  return bytes;
}

}  // namespace

bool Preread::Covers(const KeyRange& range) const {
  if (range.start < range_.start) return false;
  return range_.end.empty() || (!range.end.empty() && range.end <= range_.end);
}

const std::string* Preread::Find(absl::string_view key) const {
  for (const auto& [found, value] : entries_) {
    if (found == key) return &value;
  }
  return nullptr;
}

std::unique_ptr<Cursor> Preread::NewCursor(KeyRange range) const {
  return std::make_unique<PrereadCursor>(&entries_, range);
}

void ReadAhead(Store* store, absl::Span<PrereadOrder> orders) {
  std::vector<PrereadOrder*> sorted;
  sorted.reserve(orders.size());
  for (PrereadOrder& order : orders) sorted.push_back(&order);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->location.prefix < b->location.prefix; });
  size_t bytes = 0;
  for (PrereadOrder* const order : sorted) {
    if (bytes >= Preread::kAllBytesMax) return;
    bytes += ReadOne(store, order);
  }
}

}  // namespace holdfast::storage
