#include "storage/object/keyspace.h"

#include <memory>

#include "storage/store/layered_cursor.h"

namespace holdfast::storage {

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
  if (preread_ != nullptr && preread_->Covers(key)) {
    const std::string* const found = preread_->Find(key);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  std::string value;
  absl::Status error;
  switch (store_->Get(*location_, key, tier_, &value, &error)) {
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
  return FrozenRange(std::move(pending), store_->NewCursor(*location_, range, tier_));
}

absl::Status View::Scan(const KeyRange& range, bool reverse, Visitor visit) {
  if (range.IsEmpty()) return absl::OkStatus();
  const bool preread = preread_ != nullptr && preread_->Covers(range);
  LayeredCursor cursor(layers_, range,
                       preread ? preread_->NewCursor(range) : store_->NewCursor(*location_, range, tier_),
                       entries_left_);
  reverse ? cursor.SeekToLast() : cursor.SeekToFirst();
  while (cursor.state() == ReadResult::kFound) {
    if (!visit(cursor.key(), cursor.value())) break;
    reverse ? cursor.Prev() : cursor.Next();
  }
  entries_left_ = cursor.entries_left();
  if (cursor.state() == ReadResult::kError) return cursor.error();
  if (cursor.state() == ReadResult::kNeedsDisk) needs_disk_ = true;
  return absl::OkStatus();
}

}  // namespace holdfast::storage
