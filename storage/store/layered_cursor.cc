#include "storage/store/layered_cursor.h"

#include <iterator>
#include <utility>

namespace holdfast::storage {

LayeredCursor::LayeredCursor(const std::vector<const WriteSet*>& layers, KeyRange range, std::unique_ptr<Cursor> base,
                             int64_t entries_max)
    : range_(std::move(range)), base_(std::move(base)), entries_left_(entries_max) {
  walks_.reserve(layers.size());
  for (const WriteSet* layer : layers) {
    const Points& points = layer->points();
    const auto first = range_.IsEmpty() ? points.end() : points.lower_bound(range_.start);
    const auto end = range_.IsEmpty() || range_.end.empty() ? points.end() : points.lower_bound(range_.end);
    walks_.push_back({layer, first, end, end});
  }
}

void LayeredCursor::StepBack(Walk* walk) { walk->at = walk->at == walk->first ? walk->end : std::prev(walk->at); }

void LayeredCursor::SeekToFirst() {
  reverse_ = false;
  for (Walk& walk : walks_) walk.at = walk.first;
  base_->SeekToFirst();
  Settle();
}

void LayeredCursor::SeekToLast() {
  reverse_ = true;
  for (Walk& walk : walks_) {
    walk.at = walk.end;
    StepBack(&walk);
  }
  base_->SeekToLast();
  Settle();
}

void LayeredCursor::Seek(absl::string_view key) {
  if (key <= range_.start) return SeekToFirst();
  reverse_ = false;
  for (Walk& walk : walks_) {
    const bool inside = walk.first != walk.end && key <= std::prev(walk.end)->first;
    walk.at = inside ? walk.writes->points().lower_bound(key) : walk.end;
  }
  base_->Seek(key);
  Settle();
}

void LayeredCursor::TurnToReverse() {
  reverse_ = true;
  const std::string here(key());
  for (Walk& walk : walks_) {
    walk.at = walk.writes->points().lower_bound(here);
    StepBack(&walk);
  }
  base_->Seek(here);
  switch (base_->state()) {
    case ReadResult::kFound:
      base_->Prev();
      break;
    case ReadResult::kAbsent:  // all keys of the store are before this one
      base_->SeekToLast();
      break;
    case ReadResult::kNeedsDisk:
    case ReadResult::kError:
      break;
  }
}

void LayeredCursor::TurnToForward() {
  reverse_ = false;
  std::string after(key());
  after.push_back('\0');
  for (Walk& walk : walks_) {
    walk.at = walk.writes->points().lower_bound(after);
  }
  base_->Seek(after);
}

void LayeredCursor::Next() {
  reverse_ ? TurnToForward() : Step();
  Settle();
}

void LayeredCursor::Prev() {
  reverse_ ? Step() : TurnToReverse();
  Settle();
}

void LayeredCursor::Step() {
  for (Walk& walk : walks_) {
    if (!walk.at_key) continue;
    if (reverse_) {
      StepBack(&walk);
    } else {
      ++walk.at;
    }
  }
  if (base_at_key_) reverse_ ? base_->Prev() : base_->Next();
}

void LayeredCursor::LeaveRange(const KeyRange& range) {
  base_at_key_ = false;
  if (!reverse_ && range.end.empty()) {
    base_->SeekToLast();
    if (base_->state() == ReadResult::kFound) base_->Next();
  } else if (!reverse_) {
    base_->Seek(range.end);
  } else {
    base_->Seek(range.start);
    if (base_->state() == ReadResult::kFound) base_->Prev();
  }
}

size_t LayeredCursor::FindNext() {
  // Negative if `a` comes before `b` in the direction of the walk.
  const auto compare = [this](absl::string_view a, absl::string_view b) {
    return reverse_ ? b.compare(a) : a.compare(b);
  };
  base_at_key_ = base_->state() == ReadResult::kFound;
  absl::string_view least;
  if (base_at_key_) least = base_->key();
  bool any = base_at_key_;
  size_t newest = kBase;
  for (size_t i = walks_.size(); i-- > 0;) {
    Walk& walk = walks_[i];
    walk.at_key = false;
    if (walk.at == walk.end) continue;
    const int order = any ? compare(walk.at->first, least) : -1;
    if (order > 0) continue;
    if (order < 0) {
      least = walk.at->first;
      base_at_key_ = false;
      for (size_t older = i + 1; older < walks_.size(); ++older) walks_[older].at_key = false;
    }
    any = walk.at_key = true;
    newest = i;
  }
  return newest;
}

void LayeredCursor::Settle() {
  for (;; Step()) {
    const ReadResult stored = base_->state();
    done_ = stored == ReadResult::kError || stored == ReadResult::kNeedsDisk;
    if (done_) return;
    newest_ = FindNext();
    done_ = (newest_ == kBase && !base_at_key_) || --entries_left_ < 0;
    if (done_) return;
    if (newest_ != kBase && !walks_[newest_].at->second) continue;
    // A layer that is newer than the entry may have removed a range with its key.
    const absl::string_view here = key();
    const size_t newer = newest_ == kBase ? walks_.size() : newest_;
    const KeyRange* removed = nullptr;
    for (size_t i = 0; i < newer && removed == nullptr; ++i) removed = walks_[i].writes->FindRemoved(here);
    if (removed == nullptr) return;
    if (newest_ == kBase) LeaveRange(*removed);
  }
}

ReadResult LayeredCursor::state() const {
  const ReadResult stored = base_->state();
  if (stored == ReadResult::kError || stored == ReadResult::kNeedsDisk) return stored;
  if (entries_left_ < 0) return ReadResult::kNeedsDisk;
  return done_ ? ReadResult::kAbsent : ReadResult::kFound;
}

absl::string_view LayeredCursor::key() const {
  return newest_ == kBase ? base_->key() : absl::string_view(walks_[newest_].at->first);
}

absl::string_view LayeredCursor::value() const {
  return newest_ == kBase ? base_->value() : absl::string_view(*walks_[newest_].at->second);
}

}  // namespace holdfast::storage
