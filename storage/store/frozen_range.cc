#include "storage/store/frozen_range.h"

namespace holdfast::storage {

absl::StatusOr<std::optional<std::string>> FrozenRange::Get(absl::string_view key) {
  if (!begun_) cursor_->SeekToFirst();
  begun_ = true;
  while (cursor_->state() == ReadResult::kFound && cursor_->key() < key) cursor_->Next();
  if (cursor_->state() == ReadResult::kError) return cursor_->error();

  const std::string* value = nullptr;
  switch (pending_.Find(key, &value)) {
    case WriteSet::Verdict::kPresent:
      return *value;
    case WriteSet::Verdict::kRemoved:
      return std::nullopt;
    case WriteSet::Verdict::kUnknown:
      break;
  }
  if (cursor_->state() == ReadResult::kFound && cursor_->key() == key) return std::string(cursor_->value());
  return std::nullopt;
}

}  // namespace holdfast::storage
