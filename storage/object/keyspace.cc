#include "storage/object/keyspace.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"

namespace holdfast::storage {
namespace {

// Walks the points of a set in either direction.
class PointWalk {
 public:
  PointWalk(const WriteSet::Points& points, bool reverse)
      : points_(points), reverse_(reverse), at_(reverse ? Last() : points.begin()) {}

  bool done() const { return at_ == points_.end(); }
  const std::string& key() const { return at_->first; }
  const std::optional<std::string>& value() const { return at_->second; }
  void Step() {
    if (!reverse_) {
      ++at_;
    } else {
      at_ = at_ == points_.begin() ? points_.end() : std::prev(at_);
    }
  }

 private:
  WriteSet::Points::const_iterator Last() const { return points_.empty() ? points_.end() : std::prev(points_.end()); }

  const WriteSet::Points& points_;
  const bool reverse_;
  WriteSet::Points::const_iterator at_;
};

}  // namespace

std::vector<const WriteSet*> Keyspace::Layers(const WriteSet* turn) const {
  std::vector<const WriteSet*> layers;
  for (const WriteSet* layer : {turn, static_cast<const WriteSet*>(pending_.filling), pending_.in_flight}) {
    if (layer != nullptr && !layer->empty()) layers.push_back(layer);
  }
  return layers;
}

absl::StatusOr<std::optional<std::string>> View::Get(absl::string_view key) {
  for (const WriteSet* layer : layers_) {
    const std::string* value;
    switch (layer->Find(key, &value)) {
      case WriteSet::Verdict::kPresent:
        return *value;
      case WriteSet::Verdict::kRemoved:
        return std::nullopt;
      case WriteSet::Verdict::kUnknown:
        break;
    }
  }
  std::string value;
  absl::Status error;
  const std::string full_key = absl::StrCat(location_->prefix, key);
  switch (store_->Get(location_->family, full_key, tier_, &value, &error)) {
    case ReadResult::kFound:
      return value;
    case ReadResult::kAbsent:
      return std::nullopt;
    case ReadResult::kNeedsDisk:
      needs_disk_ = true;
      return std::nullopt;
    case ReadResult::kError:
      break;
  }
  return error;
}

FrozenRange View::Freeze(const KeyRange& range) const {
  WriteSet pending;
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) (*layer)->CopyRangeOnto(range, &pending);
  return FrozenRange(std::move(pending), location_->prefix,
                     store_->NewCursor(location_->family, location_->Under(range), tier_));
}

absl::Status View::Scan(const KeyRange& range, bool reverse, Visitor visit) {
  if (range.IsEmpty()) return absl::OkStatus();
  WriteSet pending;
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) (*layer)->CopyRangeOnto(range, &pending);

  const std::string& prefix = location_->prefix;
  std::unique_ptr<Cursor> cursor = store_->NewCursor(location_->family, location_->Under(range), tier_);
  PointWalk points(pending.points(), reverse);
  reverse ? cursor->SeekToLast() : cursor->SeekToFirst();

  // Merges the two walks; if both have a key, the pending entry counts.
  while (true) {
    const ReadResult stored = cursor->state();
    if (stored == ReadResult::kError) return cursor->error();
    if (stored == ReadResult::kAbsent && points.done()) return absl::OkStatus();
    if (stored == ReadResult::kNeedsDisk || (tier_ == ReadTier::kMemory && ++scanned_ > kInlineEntriesMax)) {
      needs_disk_ = true;
      return absl::OkStatus();
    }
    absl::string_view stored_key;
    if (stored == ReadResult::kFound) stored_key = cursor->key().substr(prefix.size());

    bool take_pending = stored == ReadResult::kAbsent;
    if (!take_pending && !points.done()) {
      take_pending = reverse ? points.key() >= stored_key : points.key() <= stored_key;
    }
    if (take_pending) {
      const bool shadows = stored == ReadResult::kFound && points.key() == stored_key;
      if (points.value() && !visit(points.key(), *points.value())) return absl::OkStatus();
      points.Step();
      if (shadows) reverse ? cursor->Prev() : cursor->Next();
    } else {
      if (!pending.RangeRemoved(stored_key) && !visit(stored_key, cursor->value())) return absl::OkStatus();
      reverse ? cursor->Prev() : cursor->Next();
    }
  }
}

}  // namespace holdfast::storage
