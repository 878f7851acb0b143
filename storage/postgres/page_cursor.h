// A cursor over rows of hf_entry, which are read a page at a time.
//
// A range that fits into the first page, as most do, is read in one trip. A longer walk reads from a snapshot: a
// transaction, with a connection of its own, that lasts until the cursor is gone. The number of those connections is
// bounded (ReaderOptions), and the database keeps old versions of rows meanwhile, so a cursor over a long range must
// not live for longer than it is walked.
//
// Threading and lifetime: those of a Cursor. Making one and moving it block: never on an executor.

#ifndef HOLDFAST_STORAGE_POSTGRES_PAGE_CURSOR_H_
#define HOLDFAST_STORAGE_POSTGRES_PAGE_CURSOR_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/postgres/reader.h"
#include "storage/postgres/row_key.h"
#include "storage/store/store.h"

namespace holdfast::storage::postgres {

class PageCursor final : public Cursor {
 public:
  // Reads the first page. `reader` outlives the cursor.
  PageCursor(Reader* reader, const Location& location, const KeyRange& range);
  ~PageCursor() override;

  // The rows of the range, if the first page has all of them; else null.
  const RowPage* whole() const { return whole_ ? &page_ : nullptr; }
  size_t prefix_bytes() const { return space_.prefix().size(); }

  void SeekToFirst() override;
  void SeekToLast() override;
  void Seek(absl::string_view key) override;
  void Next() override;
  void Prev() override;
  ReadResult state() const override;
  absl::Status error() const override { return error_; }
  absl::string_view key() const override {
    return absl::string_view(page_.rows[at_].first).substr(space_.prefix().size());
  }
  absl::string_view value() const override { return page_.rows[at_].second; }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  absl::Status Begin();
  // Loads the page that begins at `from`, or the one that ends before `to`; nothing means the end of the range.
  void LoadFrom(const std::string& from);
  void LoadBefore(const std::optional<std::string>& to);
  bool Load(const KeyRange& rows, bool reverse);

  Reader* const reader_;
  const RowSpace space_;
  const KeyRange rows_;  // the range
  bool whole_ = false;
  std::optional<Reader::Lease> snapshot_;
  RowPage page_;
  // The page has all rows from first_ on that are before end_; without an end_, all up to the end of the range.
  std::string first_;
  std::optional<std::string> end_;
  size_t at_ = kNone;  // kNone: past either end
  absl::Status error_;
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_PAGE_CURSOR_H_
