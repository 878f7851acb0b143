#ifndef HOLDFAST_STORAGE_STORE_STUCK_CURSOR_H_
#define HOLDFAST_STORAGE_STORE_STUCK_CURSOR_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// The cursor of a walk that cannot begin, whose state is always kNeedsDisk or kError; or that has nothing to walk over,
// whose state is always kAbsent.
class StuckCursor : public Cursor {
 public:
  static StuckCursor NeedsDisk() { return StuckCursor(ReadResult::kNeedsDisk, absl::OkStatus()); }
  StuckCursor(ReadResult state, absl::Status error) : state_(state), error_(std::move(error)) {}

  void SeekToFirst() override {}
  void SeekToLast() override {}
  void Seek(absl::string_view) override {}
  void Next() override {}
  void Prev() override {}
  ReadResult state() const override { return state_; }
  absl::Status error() const override { return error_; }
  absl::string_view key() const override { return {}; }
  absl::string_view value() const override { return {}; }

 private:
  const ReadResult state_;
  const absl::Status error_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_STUCK_CURSOR_H_
