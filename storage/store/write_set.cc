#include "storage/store/write_set.h"

#include <algorithm>

#include "storage/store/patch.h"

namespace holdfast::storage {
namespace {

// Each entry counts as this many bytes more, so that a flood of tiny writes is counted too.
constexpr size_t kPointOverheadBytes = 16;

size_t Size(absl::string_view key, const std::optional<std::string>& value) {
  return key.size() + (value ? value->size() : 0) + kPointOverheadBytes;
}
size_t PatchSize(absl::string_view key, absl::string_view patch) {
  return key.size() + patch.size() + kPointOverheadBytes;
}

bool EndsBefore(const KeyRange& range, absl::string_view key) { return !range.end.empty() && range.end < key; }

// Returns the later of two ends; an empty end is the last of all.
const std::string& LaterEnd(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return a.empty() ? a : b;
  return std::max(a, b);
}

}  // namespace

void WriteSet::Set(absl::string_view key, std::optional<std::string> value) {
  bytes_ += Size(key, value);
  auto [it, inserted] = points_.try_emplace(key);
  if (!inserted) bytes_ -= Size(key, it->second);
  it->second = std::move(value);
  if (auto patch = patches_.find(key); patch != patches_.end()) DropPatch(patch);
}

void WriteSet::DropPatch(Patches::iterator patch) {
  bytes_ -= PatchSize(patch->first, patch->second);
  patches_.erase(patch);
}

void WriteSet::Put(absl::string_view key, std::string value) { Set(key, std::move(value)); }

void WriteSet::PutChanged(absl::string_view key, std::string value, std::string patch) {
  const auto older = patches_.find(key);
  std::optional<std::string> below;  // the patch of the value below this set
  if (older != patches_.end()) {
    below = JoinPatches(older->second, patch, value);
  } else if (!points_.contains(key) && FindRemoved(key) == nullptr) {
    below = std::move(patch);
  }
  Set(key, std::move(value));
  if (!below) return;
  bytes_ += PatchSize(key, *below);
  patches_.emplace(key, *std::move(below));
}

void WriteSet::Delete(absl::string_view key) { Set(key, std::nullopt); }

void WriteSet::DeleteRange(KeyRange range) {
  if (range.IsEmpty()) return;
  auto first = points_.lower_bound(range.start);
  auto last = range.end.empty() ? points_.end() : points_.lower_bound(range.end);
  for (auto it = first; it != last; ++it) bytes_ -= Size(it->first, it->second);
  points_.erase(first, last);
  for (auto it = patches_.lower_bound(range.start); it != patches_.end() && range.Contains(it->first);) {
    bytes_ -= PatchSize(it->first, it->second);
    it = patches_.erase(it);
  }

  // Merges the ranges that the new one overlaps or touches into it.
  auto begin = std::partition_point(removed_.begin(), removed_.end(),
                                    [&](const KeyRange& other) { return EndsBefore(other, range.start); });
  auto end = begin;
  while (end != removed_.end() && !EndsBefore(range, end->start)) {
    range.start = std::min(range.start, end->start);
    range.end = LaterEnd(range.end, end->end);
    bytes_ -= end->start.size() + end->end.size() + kPointOverheadBytes;
    ++end;
  }
  bytes_ += range.start.size() + range.end.size() + kPointOverheadBytes;
  begin = removed_.erase(begin, end);
  removed_.insert(begin, std::move(range));
}

void WriteSet::Merge(WriteSet&& newer) {
  if (empty()) {
    std::swap(*this, newer);
    return;
  }
  for (KeyRange& range : newer.removed_) DeleteRange(std::move(range));
  for (auto& [key, value] : newer.points_) {
    if (auto patch = newer.patches_.find(key); patch != newer.patches_.end()) {
      PutChanged(key, *std::move(value), std::move(patch->second));
    } else {
      Set(key, std::move(value));
    }
  }
}

bool WriteSet::has_values() const {
  return std::any_of(points_.begin(), points_.end(), [](const auto& point) { return point.second.has_value(); });
}

void WriteSet::Clear() {
  points_.clear();
  patches_.clear();
  removed_.clear();
  bytes_ = 0;
}

void WriteSet::DropPatches() {
  for (const auto& [key, patch] : patches_) bytes_ -= PatchSize(key, patch);
  patches_.clear();
}

const KeyRange* WriteSet::FindRemoved(absl::string_view key) const {
  auto after = std::upper_bound(removed_.begin(), removed_.end(), key,
                                [](absl::string_view k, const KeyRange& range) { return k < range.start; });
  if (after == removed_.begin()) return nullptr;
  const KeyRange& before = *std::prev(after);
  return before.Contains(key) ? &before : nullptr;
}

WriteSet::Verdict WriteSet::Find(absl::string_view key, const std::string** value) const {
  if (auto it = points_.find(key); it != points_.end()) {
    if (!it->second) return Verdict::kRemoved;
    *value = &*it->second;
    return Verdict::kPresent;
  }
  return FindRemoved(key) != nullptr ? Verdict::kRemoved : Verdict::kUnknown;
}

void WriteSet::CopyRangeOnto(const KeyRange& range, WriteSet* older) const {
  if (range.IsEmpty()) return;
  for (const KeyRange& removed : removed_) {
    KeyRange part{std::max(removed.start, range.start), removed.end};
    if (part.end.empty() || (!range.end.empty() && range.end < part.end)) part.end = range.end;
    older->DeleteRange(std::move(part));
  }
  auto last = range.end.empty() ? points_.end() : points_.lower_bound(range.end);
  for (auto it = points_.lower_bound(range.start); it != last; ++it) older->Set(it->first, it->second);
}

}  // namespace holdfast::storage
