// Walks several cursors as one, in the order of their keys. No two of them have the same key.
//
// Each of them sees the entries as they were when it was made; the merged walk sees those of a part at the part's own
// moment. An error of one ends the walk.

#ifndef HOLDFAST_STORAGE_STORE_MERGED_CURSOR_H_
#define HOLDFAST_STORAGE_STORE_MERGED_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/store/store.h"

namespace holdfast::storage {

class MergedCursor final : public Cursor {
 public:
  explicit MergedCursor(std::vector<std::unique_ptr<Cursor>> parts) : parts_(std::move(parts)) {}

  void SeekToFirst() override;
  void SeekToLast() override;
  void Seek(absl::string_view key) override;
  void Next() override;
  void Prev() override;
  ReadResult state() const override;
  absl::Status error() const override;
  absl::string_view key() const override { return parts_[at_]->key(); }
  absl::string_view value() const override { return parts_[at_]->value(); }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  // Stands at the first, or the last, of the entries at which the parts stand.
  void Choose(bool reverse);
  // Moves all parts but the one with the entry to their next entries in the other direction.
  void TurnForward();
  void TurnBack();
  // Returns the part whose state ends the walk; null if none does.
  const Cursor* Stuck() const;

  const std::vector<std::unique_ptr<Cursor>> parts_;
  size_t at_ = kNone;  // the part with the entry; kNone: past either end
  bool reverse_ = false;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_MERGED_CURSOR_H_
