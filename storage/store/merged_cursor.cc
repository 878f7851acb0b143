#include "storage/store/merged_cursor.h"

#include <string>

namespace holdfast::storage {

const Cursor* MergedCursor::Stuck() const {
  for (const auto& part : parts_) {
    const ReadResult state = part->state();
    if (state == ReadResult::kError || state == ReadResult::kNeedsDisk) return part.get();
  }
  return nullptr;
}

void MergedCursor::Choose(bool reverse) {
  reverse_ = reverse;
  at_ = kNone;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i]->state() != ReadResult::kFound) continue;
    const bool before = at_ == kNone || parts_[i]->key() < parts_[at_]->key();
    if (at_ == kNone || before != reverse) at_ = i;
  }
}

void MergedCursor::SeekToFirst() {
  for (const auto& part : parts_) part->SeekToFirst();
  Choose(/*reverse=*/false);
}

void MergedCursor::SeekToLast() {
  for (const auto& part : parts_) part->SeekToLast();
  Choose(/*reverse=*/true);
}

void MergedCursor::Seek(absl::string_view key) {
  // The key may be of the entry, which the first part that moves leaves.
  const std::string to(key);
  for (const auto& part : parts_) part->Seek(to);
  Choose(/*reverse=*/false);
}

void MergedCursor::TurnForward() {
  const std::string from(key());
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (i != at_) parts_[i]->Seek(from);
  }
}

void MergedCursor::TurnBack() {
  const std::string from(key());
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (i == at_) continue;
    parts_[i]->Seek(from);
    if (parts_[i]->state() == ReadResult::kFound) {
      parts_[i]->Prev();
    } else if (parts_[i]->state() == ReadResult::kAbsent) {
      parts_[i]->SeekToLast();
    }
  }
}

void MergedCursor::Next() {
  if (reverse_) TurnForward();
  parts_[at_]->Next();
  Choose(/*reverse=*/false);
}

void MergedCursor::Prev() {
  if (!reverse_) TurnBack();
  parts_[at_]->Prev();
  Choose(/*reverse=*/true);
}

ReadResult MergedCursor::state() const {
  if (const Cursor* const stuck = Stuck()) return stuck->state();
  return at_ == kNone ? ReadResult::kAbsent : ReadResult::kFound;
}

absl::Status MergedCursor::error() const {
  const Cursor* const stuck = Stuck();
  return stuck == nullptr ? absl::OkStatus() : stuck->error();
}

}  // namespace holdfast::storage
