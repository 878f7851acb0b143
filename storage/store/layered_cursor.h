// Walks a location of a store as it is with sets of writes on top: a merge of their walks, which copies nothing.
//
// For each key the newest layer counts that says anything of it, and the store's entry if none does.

#ifndef HOLDFAST_STORAGE_STORE_LAYERED_CURSOR_H_
#define HOLDFAST_STORAGE_STORE_LAYERED_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

class LayeredCursor : public Cursor {
 public:
  // `layers` are newest first; they outlive the cursor and do not change meanwhile. `base` walks over `range`. A walk
  // that has looked at more than `entries_max` entries, hidden ones too, needs the disk.
  LayeredCursor(const std::vector<const WriteSet*>& layers, KeyRange range, std::unique_ptr<Cursor> base,
                int64_t entries_max = INT64_MAX);

  void SeekToFirst() override;
  void SeekToLast() override;
  void Seek(absl::string_view key) override;
  void Next() override;
  void Prev() override;
  ReadResult state() const override;
  absl::Status error() const override { return base_->error(); }
  absl::string_view key() const override;
  absl::string_view value() const override;
  int64_t entries_left() const { return entries_left_; }

 private:
  using Points = WriteSet::Points;

  // The walk over the points of one layer that are in the range.
  struct Walk {
    const WriteSet* writes;
    Points::const_iterator first;
    Points::const_iterator end;
    Points::const_iterator at;  // `end` past either end
    bool at_key = false;        // its key is that of the entry, or of the one that is looked at
  };

  static constexpr size_t kBase = SIZE_MAX;

  // Moves on, in the direction of the walk, to the next entry that counts.
  void Settle();
  // Sets the at_key of all walks: those that have the next key in the direction of the walk. Returns the newest of
  // them; nothing is left if no at_key is set.
  size_t FindNext();
  // Moves all walks on that are at the key.
  void Step();
  // Moves the store's walk, which is at a key in `range`, to the first key behind the range.
  void LeaveRange(const KeyRange& range);
  // Turns the direction at an entry: moves all walks to the first key behind it.
  void TurnToReverse();
  void TurnToForward();
  static void StepBack(Walk* walk);

  const KeyRange range_;
  std::vector<Walk> walks_;  // newest first
  const std::unique_ptr<Cursor> base_;
  bool base_at_key_ = false;
  bool reverse_ = false;
  bool done_ = true;  // there is no entry
  int64_t entries_left_;
  size_t newest_ = kBase;  // the walk that has the entry
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_LAYERED_CURSOR_H_
