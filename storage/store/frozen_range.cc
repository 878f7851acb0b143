#include "storage/store/frozen_range.h"

namespace holdfast::storage {

absl::StatusOr<std::optional<std::string>> FrozenRange::Get(absl::string_view key) {
  if (!begun_) cursor_->SeekToFirst();
  begun_ = true;
  const auto stored_key = [&] { return cursor_->key().substr(prefix_.size()); };
  while (cursor_->state() == ReadResult::kFound && stored_key() < key) cursor_->Next();
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
  if (cursor_->state() == ReadResult::kFound && stored_key() == key) return std::string(cursor_->value());
  return std::nullopt;
}

}  // namespace holdfast::storage
